// @ts-check
/** The draft of a note on a person: every keystroke goes to this browser's storage until the note is saved. */

const place = (/** @type {string} */ name) => `switchhook note ${name}`; // where notes.js tidies up after two weeks

/** Keep what is typed into the form's field. @param {HTMLFormElement} form @returns {{forget: () => void}} */
export function draftOf(form) {
  const name = place(form.dataset.draft ?? "");
  const area = form.querySelector("textarea");
  if (!area) return { forget: () => {} };
  area.addEventListener("input", () => {
    if (area.value) localStorage.setItem(name, JSON.stringify({ text: area.value, at: Date.now() }));
    else localStorage.removeItem(name);
  });
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  try {
    const kept = JSON.parse(localStorage.getItem(name) ?? "null")?.text;
    if (kept && !area.value) area.value = kept;
  } catch { localStorage.removeItem(name); }
  return { forget: () => localStorage.removeItem(name) };
}
