// @ts-check
/**
 * A person's page is live: when calls begin or end, its timeline, tasks and deals are asked for again and take the place of
 * what is shown, if they differ. Nothing changes under a pointer or beside what somebody types: it waits until they leave.
 */
import { page } from "./people-asking.js";

const GATHER = 600; // ms; a call that begins changes six times within a moment
const SPREAD = 900; // ms; all browsers hear of a change at once and need not ask at once
const LATER = 4_000; // ms after a call's end: its line is final and its recording has come in
const RETRY = 1_000; // ms until it is looked again whether somebody still works there

/** @type {Set<string>} calls that are going on */ const known = new Set();
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;
/** @type {(part: Element) => void} */ let wire = () => {};

const parts = () => [...document.querySelectorAll("[data-part][data-follows]:not([data-grown])")];
const inUse = (/** @type {Element} */ part) => part.matches(":hover") || part.contains(document.activeElement);
const latest = () => !new URL(location.href).searchParams.has("cursor");

/** @param {(part: Element) => void} give gives life to what is new */
export function follow(give) {
  wire = give;
  document.addEventListener("switchhook:call", (event) => heard(/** @type {CustomEvent} */ (event).detail));
  document.addEventListener("visibilitychange", () => { if (!document.hidden) later(0); });
}

/** @param {{id: string, ended: boolean}} call */
function heard({ id, ended }) {
  const begins = !known.has(id);
  if (ended) { known.delete(id); later(GATHER); setTimeout(() => later(0), LATER); return; }
  known.add(id);
  if (begins) later(GATHER);
}

/** @param {number} wait */
function later(wait) {
  if (document.hidden || !parts().length || !latest()) return;
  soon ??= setTimeout(refresh, wait + Math.random() * SPREAD);
}

async function refresh() {
  soon = undefined;
  if (parts().some(inUse)) { soon = setTimeout(refresh, RETRY); return; }
  const got = await page(location.pathname);
  if (!got?.answer.ok) return;
  for (const part of parts()) {
    const fresh = got.html.getElementById(part.id);
    if (!fresh || inUse(part) || fresh.textContent === part.textContent) continue;
    part.replaceChildren(...fresh.childNodes);
    wire(part);
  }
}
