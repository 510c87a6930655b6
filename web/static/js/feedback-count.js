// @ts-check
/** The quiet number beside Feedback: what one has not read yet. A grade comes a few times a week, so it is asked once a page. */
import { meta } from "./page.js";

const MOST = 99; // more than two digits have no room beside the word
const LAST = `switchhook feedback ${meta("session")}`; // the number of the page before, shown until the server has answered

const doors = [...document.querySelectorAll('.bar nav a[href="/feedback"]')];

/** @param {{unread: number, text: string}} told */
function show({ unread, text }) {
  for (const door of doors) {
    const number = door.querySelector(".owed");
    if (number) number.textContent = unread ? `${Math.min(unread, MOST)}${unread > MOST ? "+" : ""}` : "";
    /** @type {HTMLElement} */ (door).title = text;
  }
}

async function look() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/feedback/count", { redirect: "error" });
    if (!answer.ok) return;
    const told = await answer.json();
    sessionStorage.setItem(LAST, JSON.stringify(told));
    show(told);
  } catch { /* the number stays as it was; a lost connection is said elsewhere */ }
}

if (doors.length) {
  try { show(JSON.parse(sessionStorage.getItem(LAST) ?? "")); } catch { /* the first page of this tab */ }
  look();
  document.addEventListener("visibilitychange", look);
}
