// @ts-check
/**
 * Lists of calls and recordings stay true while they are open. What changed is asked for by its ids, with the filters of
 * the page; rows that are there change in their place, and new ones come in at the top when nobody is working in the list.
 * Otherwise a button says how many wait: nothing moves under somebody's pointer.
 */
import { ngettext } from "./messages.js";

const GATHER = 400; // ms; a call that begins changes six times within a moment
const SPREAD = 600; // ms; all browsers hear of a change at once and need not ask at once
const LATER = 4_000; // ms after a call's end: its row is final and its recording has come in
const MOST = 50; // ids in one question; with more the page is asked for as a whole
const TOP = 40; // px; further down somebody reads older rows

/** @type {Set<string>} */ const asked = new Set();
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;
/** @type {Set<string>} rows that wait behind the button */ const waiting = new Set();
/** @type {Map<string, string>} the calls that went on, and how they were told */ let before = new Map();
/** @type {boolean} more changed than is asked for one by one */ let whole = false;

const region = () => /** @type {HTMLElement|null} */ (document.querySelector("[data-live-rows]"));
const rowsOf = (/** @type {ParentNode} */ root) => /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-row]")]);
const rowOf = (/** @type {ParentNode} */ root, /** @type {string} */ id) => /** @type {HTMLElement|null} */ (root.querySelector(`[data-row="${CSS.escape(id)}"]`));
const startOf = (/** @type {Element} */ row) => row.querySelector("time[datetime]")?.getAttribute("datetime") ?? "";

/** A call changed. @param {string} id */
export function changed(id) {
  if (!region()) return;
  if (asked.size >= MOST) whole = true; else asked.add(id);
  if (document.hidden) return;
  soon ??= setTimeout(ask, GATHER + Math.random() * SPREAD);
}

/** A call ended. @param {string} id */
export function ended(id) {
  before.delete(id);
  changed(id);
  if (region()) setTimeout(() => changed(id), LATER);
}

/** After a gap of the stream: whatever may have changed in it. @param {{id: string, html: string}[]} calls */
export function all(calls) {
  const here = region();
  const now = new Map(calls.map(({ id, html }) => [id, html]));
  if (here) {
    for (const [id, html] of now) if (before.get(id) !== html) changed(id);
    for (const id of before.keys()) if (!now.has(id)) changed(id);
    for (const row of here.querySelectorAll("[data-going-on]")) changed(/** @type {HTMLElement} */ (row).dataset.row ?? "");
  }
  before = now;
}

document.addEventListener("visibilitychange", () => { if (!document.hidden && (asked.size || whole) && !soon) soon = setTimeout(ask, 0); });
document.addEventListener("switchhook:results", () => { waiting.clear(); pill(); });
addEventListener("scroll", () => { if (waiting.size && scrollY <= TOP && !inUse()) show(); }, { passive: true });

async function ask() {
  soon = undefined;
  const here = region();
  const ids = [...asked];
  const everything = whole;
  asked.clear();
  whole = false;
  if (!here || (!ids.length && !everything)) return;
  const url = new URL(location.href);
  if (!everything && here.querySelector("[data-row]")) url.searchParams.set("only", ids.join(","));
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (!answer.ok || answer.redirected) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live-rows]");
    if (fresh && region() === here) take(here, fresh, new Set(ids));
  } catch { /* the line about the lost connection says it; after it everything is asked for again */ }
}

/** @param {HTMLElement} here @param {Element} fresh @param {Set<string>} ids what was asked for */
function take(here, fresh, ids) {
  if (!rowsOf(here).length && !inUse()) { // it was empty: headings and all
    if (rowsOf(fresh).length) here.replaceChildren(...fresh.childNodes);
    return;
  }
  const there = new Set();
  const older = new URL(location.href).searchParams.has("cursor");
  for (const row of rowsOf(fresh)) {
    there.add(row.dataset.row);
    const old = rowOf(here, row.dataset.row ?? "");
    if (old) replace(old, row);
    else if (!older) {
      if (inUse() || scrollY > TOP) waiting.add(row.dataset.row ?? ""); else insert(here, row);
    }
  }
  for (const row of rowsOf(here)) { // it fits the filter no longer, or became part of another call
    const id = row.dataset.ofCall ?? row.dataset.row ?? "";
    if (ids.has(id) && !there.has(row.dataset.row) && !row.contains(document.activeElement)) leave(row);
  }
  pill();
}

/** @param {HTMLElement} old @param {HTMLElement} row */
function replace(old, row) {
  if (old.innerHTML === row.innerHTML) return;
  const focused = old.contains(document.activeElement) ? [...old.querySelectorAll("a, button")].indexOf(/** @type {Element} */ (document.activeElement)) : -1;
  const playing = old.classList.contains("playing");
  old.replaceChildren(...row.childNodes);
  old.className = row.className;
  old.toggleAttribute("data-going-on", row.hasAttribute("data-going-on"));
  old.classList.toggle("playing", playing);
  if (focused >= 0) /** @type {HTMLElement|undefined} */ ([...old.querySelectorAll("a, button")][focused] ?? old.querySelector("a"))?.focus({ preventScroll: true });
}

/** Under its day, where its time puts it. @param {HTMLElement} here @param {HTMLElement} row */
function insert(here, row) {
  const list = listOf(here, headingOf(row), row);
  const after = [...list.children].find((other) => startOf(other) <= startOf(row));
  list.insertBefore(row, after ?? null);
}

/** The day it came under in the answer. @param {HTMLElement} row */
function headingOf(row) {
  const before = row.parentElement?.previousElementSibling;
  return before?.matches(".day") ? before : null;
}

/** The list of that day; made, with its heading, when it is the first of the day. @param {HTMLElement} here @param {Element|null} day @param {HTMLElement} row */
function listOf(here, day, row) {
  const heads = [...here.querySelectorAll("h2.day")];
  const same = heads.find((head) => head.textContent === day?.textContent)?.nextElementSibling;
  if (same) return same;
  const first = /** @type {Element} */ (here.querySelector("[data-list]"));
  if (!day) return first;
  const list = document.createElement("ol");
  list.className = row.parentElement?.className ?? "rows";
  list.setAttribute("data-list", "");
  const below = [...here.querySelectorAll("[data-list]")].find((one) => startOf(one) < startOf(row));
  const head = below?.previousElementSibling ?? null;
  (below?.parentElement ?? first.parentElement)?.insertBefore(list, head);
  list.before(day.cloneNode(true));
  return list;
}

/** @param {HTMLElement} row */
function leave(row) {
  const list = row.parentElement;
  row.remove();
  if (list && !list.children.length) { if (list.previousElementSibling?.matches(".day")) list.previousElementSibling.remove(); list.remove(); }
}

/** Somebody points at a row, or works in one. */
const inUse = () => Boolean(region()?.matches(":hover") || region()?.contains(document.activeElement));

/** The button that says how many wait. */
function pill() {
  let button = document.getElementById("new-rows");
  if (!waiting.size) { button?.remove(); return; }
  if (!button) {
    const made = document.createElement("button");
    made.id = "new-rows";
    made.type = "button";
    made.className = "new-rows";
    made.addEventListener("click", show);
    document.getElementById("main")?.append(made);
    button = made;
  }
  button.textContent = ngettext("{n} new call", "{n} new calls", waiting.size);
}

/** Bring in what waits. */
async function show() {
  const here = region();
  const ids = [...waiting];
  waiting.clear();
  pill();
  if (!here) return;
  const url = new URL(location.href);
  url.searchParams.set("only", ids.slice(0, MOST).join(","));
  if (ids.length > MOST || here.querySelector(".recording-row")) url.searchParams.delete("only"); // recordings wait by their own ids
  scrollTo({ top: 0 });
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live-rows]");
    for (const row of fresh ? rowsOf(fresh) : []) {
      const old = rowOf(here, row.dataset.row ?? "");
      if (old) replace(old, row); else insert(here, row);
    }
  } catch {
    for (const id of ids) waiting.add(id);
    pill();
  }
}
