// @ts-check
/** The live page: rows come, move and go with the stream. Outside of that page it does nothing. */
import { tick } from "./page.js";

const lists = /** @type {Record<string, HTMLElement|null>} */ ({
  waiting: document.getElementById("waiting"), talking: document.getElementById("talking"),
  voicemail: document.getElementById("voicemail"),
});
const people = document.getElementById("people");
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
  let free = 0;
  for (const person of people?.children ?? []) {
    const item = /** @type {HTMLElement} */ (person);
    item.hidden = (item.dataset.extensions ?? "").split(" ").some((extension) => busy.has(extension));
    if (!item.hidden) free += 1;
  }
  const numbers = { waiting: lists.waiting?.childElementCount, talking: lists.talking?.childElementCount, voicemail: lists.voicemail?.childElementCount, free };
  for (const [name, value] of Object.entries(numbers)) {
    const place = document.getElementById(`n-${name}`);
    if (place) place.textContent = String(value ?? 0);
  }
  const inVoicemail = lists.voicemail?.closest("section");
  if (inVoicemail) inVoicemail.hidden = !numbers.voicemail; // rare: no empty section for it
  tick();
}
