// @ts-check
/** Says beside a field how what is being typed in it is understood. The server reads it, so there is one rule only. */

const PAUSE = 250; // ms of no typing
const PATIENCE = 5_000; // ms; no answer, no echo
/** @type {WeakMap<HTMLInputElement, ReturnType<typeof setTimeout>>} */ const timers = new WeakMap();

addEventListener("input", (event) => {
  const field = event.target;
  if (!(field instanceof HTMLInputElement) || !field.dataset.echo) return;
  clearTimeout(timers.get(field));
  timers.set(field, setTimeout(() => { void echo(field); }, PAUSE));
});

/** @param {HTMLInputElement} field */
async function echo(field) {
  const text = field.value;
  const said = place(field);
  if (!text.trim()) { said.textContent = ""; return; }
  try {
    const answer = await fetch(`/form-echo/${field.dataset.echo}?${new URLSearchParams({ text: text.slice(0, 200) })}`, { signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok || field.value !== text) return;
    const told = await answer.json();
    said.textContent = told.problem ?? `= ${told.text}`;
    if (told.problem) said.removeAttribute("dir"); else said.dir = "ltr"; // a sum is written one way in every language
    said.classList.toggle("bad", Boolean(told.problem));
  } catch { said.textContent = ""; }
}

/** @param {HTMLInputElement} field */
function place(field) {
  const id = `${field.name}-echo`;
  const found = /** @type {HTMLOutputElement|null|undefined} */ (field.parentElement?.querySelector("output[data-echo-of]"));
  if (found) return found;
  const made = document.createElement("output");
  made.className = "field-echo";
  made.dataset.echoOf = id;
  field.after(made);
  return made;
}
