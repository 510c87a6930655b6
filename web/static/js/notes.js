// @ts-check
/** A note is never lost: every keystroke goes to this browser's storage, and to the server when the typing pauses. */
import * as drafts from "./drafts.js";
import { _ } from "./messages.js";
import { request } from "./page.js";

const PAUSE = 600; // ms of no typing
const RETRY = 4_000; // ms until a refused save is tried again

const nameOf = (/** @type {string} */ id) => `note ${id}`;

/** The unsaved draft of a call, or null. @param {string} id @returns {string|null} */
export const draft = (id) => drafts.read(nameOf(id))?.text ?? null;

/** Keep what is typed. @param {HTMLTextAreaElement} area @param {string} id @param {Element} sign @param {() => string} [who] whom the call is with */
export function keep(area, id, sign, who = () => document.querySelector("h1")?.textContent?.trim() ?? "") {
  const name = nameOf(id);
  area.setAttribute("data-own-draft", "");
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  const store = (/** @type {"typed"|"waiting"} */ state) => drafts.write(name, {
    kind: "note", label: who() || _("a call"), page: `/calls/${id}`, state, text: area.value,
    call: { method: "PUT", path: `/api/v1/calls/${id}/note`, body: { text: area.value } },
  });
  const save = async () => {
    const text = area.value;
    try {
      const answer = await request("PUT", `/api/v1/calls/${id}/note`, { text });
      if (!answer.ok) throw new Error(String(answer.status));
      if (area.value === text) { drafts.drop(name); sign.textContent = _("Saved"); }
    } catch {
      if (area.value === text) store("waiting");
      sign.textContent = _("Kept in this browser, not saved yet");
      timer = setTimeout(save, RETRY);
    }
  };
  area.addEventListener("input", () => {
    sign.textContent = store("typed") ? "" : _("This browser keeps no drafts: stay until it says “Saved”.");
    clearTimeout(timer);
    timer = setTimeout(save, PAUSE);
  });
  document.addEventListener("switchhook:saved", (event) => {
    const told = /** @type {CustomEvent} */ (event).detail;
    if (told.name !== name || told.draft.text !== area.value) return;
    clearTimeout(timer);
    sign.textContent = _("Saved");
  });
  const waiting = draft(id);
  if (waiting !== null && waiting !== area.value) {
    area.value = waiting;
    timer = setTimeout(save, PAUSE);
  }
}
