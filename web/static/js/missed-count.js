// @ts-check
/** The quiet number beside the door of missed calls, and one quiet line when a deadline of one's own comes near. */
import { meta } from "./page.js";

const SPREAD = 1_500; // ms; all browsers hear of a change at once and need not ask at once
const MOST = 99; // more than two digits have no room beside the word
const EVERY = 60_000; // ms; deadlines pass by themselves
const SEEN = "switchhook missed seen";
const LAST = `switchhook missed ${meta("session")}`; // the number of the page before, shown until the server has answered

const door = /** @type {HTMLElement|null} */ (document.querySelector('.bar nav a[href="/missed"]'));
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;

/** @typedef {{waiting: number, overdue: number, soon: number, text: string}} Counts */

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/missed/count", { redirect: "error" });
    if (answer.ok) show(await answer.json());
  } catch { /* the number stays as it was; a lost connection is said elsewhere */ }
}

/** @param {Counts} counts */
function show(counts) {
  const number = door?.querySelector(".owed");
  if (!door || !number) return;
  number.classList.toggle("late", counts.overdue > 0);
  const most = Math.min(counts.waiting, MOST);
  number.textContent = counts.waiting ? `${most}${most < counts.waiting ? "+" : counts.overdue ? "!" : ""}` : ""; // empty: its room stays
  door.title = counts.text;
  sessionStorage.setItem(LAST, JSON.stringify(counts));
  remind(counts);
}

/** What the page before showed. */
function showLast() {
  try { show(JSON.parse(sessionStorage.getItem(LAST) ?? "")); } catch { /* the first page of this tab */ }
}

/** Said once when more is near or past its deadline than before, and never on the list itself. @param {Counts} counts */
function remind(counts) {
  const before = Number(sessionStorage.getItem(SEEN) ?? "0");
  const pressing = counts.soon + counts.overdue;
  sessionStorage.setItem(SEEN, String(pressing));
  const line = document.getElementById("missed-notice");
  if (!pressing || location.pathname === "/missed") line?.remove();
  if (pressing <= before || location.pathname === "/missed" || line) return;
  const said = document.createElement("p");
  said.className = "notice";
  said.id = "missed-notice";
  said.setAttribute("role", "status");
  const link = document.createElement("a");
  link.href = "/missed?whose=mine&period=all&sort=deadline";
  link.textContent = counts.text;
  said.append(link);
  document.getElementById("notices")?.append(said);
}

if (door) {
  showLast();
  look();
  setInterval(look, EVERY);
  document.addEventListener("visibilitychange", look);
  document.addEventListener("switchhook:missed", () => { clearTimeout(soon); soon = setTimeout(look, Math.random() * SPREAD); });
}
