// @ts-check
/** A note is never lost: every keystroke goes to this browser's storage, and to the server when the typing pauses. */
import { put } from "./page.js";

const PAUSE = 600; // ms of no typing
const RETRY = 4_000; // ms until a refused save is tried again
const KEPT_DAYS = 14; // a draft that could not be saved for two weeks belongs to a call long gone

const place = (/** @type {string} */ id) => `switchhook note ${id}`;

/** The unsaved draft of a call, or null. @param {string} id @returns {string|null} */
export function draft(id) {
  try { return JSON.parse(localStorage.getItem(place(id)) ?? "null")?.text ?? null; } catch { return null; }
}

/** Forget drafts that nobody will come back to. */
export function tidy() {
  const oldest = Date.now() - KEPT_DAYS * 86_400_000;
  for (const name of Object.keys(localStorage)) {
    if (!/^switchhook (note|contact) /.test(name)) continue;
    try { if (JSON.parse(localStorage.getItem(name) ?? "{}").at < oldest) localStorage.removeItem(name); } catch { localStorage.removeItem(name); }
  }
}

/** Keep what is typed. @param {HTMLTextAreaElement} area @param {string} id @param {Element} sign */
export function keep(area, id, sign) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  const save = async () => {
    const text = area.value;
    try {
      const answer = await put(`/api/v1/calls/${id}/note`, { text });
      if (!answer.ok) throw new Error(String(answer.status));
      if (area.value === text) { localStorage.removeItem(place(id)); sign.textContent = "Saved"; }
    } catch {
      sign.textContent = "Kept in this browser, not saved yet";
      timer = setTimeout(save, RETRY);
    }
  };
  area.addEventListener("input", () => {
    localStorage.setItem(place(id), JSON.stringify({ text: area.value, at: Date.now() }));
    sign.textContent = "";
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  });
  const waiting = draft(id);
  if (waiting !== null && waiting !== area.value) {
    area.value = waiting;
    timer = setTimeout(save, PAUSE);
  }
}
