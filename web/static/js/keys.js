// @ts-check
/** The keyboard: `/` search, `g` then a letter, `n` note, `j` `k` in lists, `Esc`, `?`. Never while somebody types. */
import { leave, noteField } from "./cards.js";

const PAIR = 1200; // ms between `g` and its letter
let gone = 0;
/** @type {Element|null} */ let before = null;

addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Escape") return escape(target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, select, dialog")) return;
  if (Date.now() - gone < PAIR) {
    gone = 0;
    const door = /** @type {HTMLAnchorElement|null} */ (document.querySelector(`header [data-go="${CSS.escape(event.key)}"]`));
    if (door) { event.preventDefault(); location.href = door.href; }
    return;
  }
  const act = ACTS[event.key];
  if (act && act(event) !== false) event.preventDefault();
});

/** What Esc closes before anything else; the first that returns true had something. @type {((target: HTMLElement) => boolean)[]} */
export const escapes = [];

/** Keys of a part of the page; an act that returns false leaves the key to the browser. @param {Record<string, (event: KeyboardEvent) => boolean|void>} more */
export const keys = (more) => { Object.assign(ACTS, more); };

/** @type {Record<string, (event: KeyboardEvent) => boolean|void>} */
const ACTS = {
  "/": () => go(document.getElementById("find")),
  n: () => go(noteField()),
  g: () => { gone = Date.now(); },
  j: () => step(1),
  k: () => step(-1),
  "?": () => /** @type {HTMLDialogElement} */ (document.getElementById("keys")).showModal(),
};

/** @param {HTMLElement|null} field */
function go(field) {
  if (!field) return;
  before = document.activeElement;
  field.focus();
  if (field instanceof HTMLInputElement) field.select();
}

/** @param {number} by */
function step(by) {
  const rows = [...document.querySelectorAll("[data-list] [data-nav]")];
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(Math.max(at + by, 0), rows.length - 1)];
  next?.querySelector("a")?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

/** Leave the field and go back to where the focus came from. @param {HTMLElement} target */
function escape(target) {
  if (target.closest("dialog")) return;
  if (escapes.some((close) => close(target))) return;
  if (leave() || target.closest("input, textarea, select")) {
    target.blur();
    if (before instanceof HTMLElement && before !== document.body) before.focus();
    before = null;
  }
}
