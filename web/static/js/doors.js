// @ts-check
/** The box of further pages under “More”: closed by a click beside it, and by Esc. */
import { escapes } from "./keys.js";

const more = /** @type {HTMLDetailsElement|null} */ (document.querySelector(".more-doors"));

function close() {
  if (!more?.open) return false;
  const inside = more.contains(document.activeElement);
  more.open = false;
  if (inside) more.querySelector("summary")?.focus();
  return true;
}

if (more) {
  escapes.push(close);
  document.addEventListener("click", (event) => { if (!more.contains(/** @type {Node} */ (event.target))) close(); });
}
