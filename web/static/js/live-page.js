// @ts-check
/** The live page: rows come, move and go with the stream. Outside of that page it does nothing. */
import { tick } from "./page.js";

const lists = /** @type {Record<string, HTMLElement|null>} */ ({
  waiting: document.getElementById("waiting"), talking: document.getElementById("talking"),
  voicemail: document.getElementById("voicemail"),
});
const EVERY = 20_000; // ms; phones that go off or want no calls are not in the stream
const PATIENCE = 5_000; // ms
/** @type {Map<string, import("./feed.js").Call>} */ let calls = new Map();

/** @param {import("./feed.js").Call[]} now */
export function all(now) {
  if (!lists.waiting) return;
  calls = new Map(now.map((call) => [call.id, call]));
  for (const row of document.querySelectorAll(".live-row")) if (!calls.has(/** @type {HTMLElement} */ (row).dataset.call ?? "")) row.remove();
  for (const call of now) place(call);
  count();
}

/** @param {import("./feed.js").Call} call */
export function upsert(call) {
  if (!lists.waiting) return;
  calls.set(call.id, call);
  place(call);
  count();
}

/** @param {string} id */
export function gone(id) {
  if (!lists.waiting) return;
  calls.delete(id);
  rowOf(id)?.remove();
  count();
}

/** @param {string} id @returns {HTMLElement|null} */
const rowOf = (id) => document.querySelector(`.live-row[data-call="${CSS.escape(id)}"]`);

/** Put the row where its turn is: the longest first. @param {import("./feed.js").Call} call */
function place(call) {
  const list = lists[call.section];
  if (!list) return;
  let row = rowOf(call.id);
  const focused = row?.contains(document.activeElement);
  if (!row) {
    row = document.createElement("li");
    row.className = "row live-row";
    row.dataset.call = call.id;
    row.setAttribute("data-nav", "");
  }
  if (row.dataset.html !== call.html) { row.innerHTML = call.html; row.dataset.html = call.html; }
  row.dataset.since = call.since;
  const after = [...list.children].find((other) => other !== row && (/** @type {HTMLElement} */ (other).dataset.since ?? "") > call.since);
  if (row.parentElement !== list || row.nextElementSibling !== (after ?? null)) list.insertBefore(row, after ?? null);
  if (focused) row.querySelector("a")?.focus();
}

function count() {
  const busy = new Set([...calls.values()].flatMap((call) => call.busy));
  const [free, away] = ["people", "away"].map((list) => showIdle(document.getElementById(list), busy));
  const numbers = { away, waiting: lists.waiting?.childElementCount, talking: lists.talking?.childElementCount, voicemail: lists.voicemail?.childElementCount, free };
  for (const [name, value] of Object.entries(numbers)) {
    const place = document.getElementById(`n-${name}`);
    if (place) place.textContent = String(value ?? 0);
  }
  const inVoicemail = lists.voicemail?.closest("section");
  if (inVoicemail) inVoicemail.hidden = !numbers.voicemail; // rare: no empty section for it
  const notThere = document.getElementById("away")?.closest("section");
  if (notThere) notThere.hidden = !away;
  tick();
}

/** How many of this list are in no call; the others are hidden. @param {HTMLElement|null} list @param {Set<string>} busy */
function showIdle(list, busy) {
  let idle = 0;
  for (const person of list?.children ?? []) {
    const item = /** @type {HTMLElement} */ (person);
    item.hidden = (item.dataset.extensions ?? "").split(" ").some((extension) => busy.has(extension));
    if (!item.hidden) idle += 1;
  }
  return idle;
}

/** Who can be reached now. Nothing there is clicked, so it is put in as a whole. */
async function lookAtPeople() {
  const place = document.getElementById("live-people");
  if (!place || document.hidden) return;
  try {
    const answer = await fetch("/live?part=people", { redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) return;
    place.innerHTML = await answer.text(); // our own server's, escaped there
    count();
  } catch { /* it stays as it was; a lost connection is said elsewhere */ }
}
if (lists.waiting) {
  setInterval(lookAtPeople, EVERY);
  document.addEventListener("visibilitychange", lookAtPeople);
}
