// @ts-check
/** Pausing the recording of a live call, on its card and on its page. What is shown is what the phone system told. */
import { _ } from "./messages.js";
import { send, tick } from "./page.js";

const PATIENCE = 4_000; // ms until the button may be pressed again; the phone system usually tells within 0.1 s

const EVERY = 250; // ms between two questions

/** @param {Element} place holds the button @param {string|null} since paused since; null while it records */
export function showPausing(place, since) {
  const button = /** @type {HTMLButtonElement|null} */ (place.querySelector("[data-pausing]"));
  if (!button) return;
  const changed = button.dataset.pausing !== (since ?? "on");
  button.dataset.pausing = since ?? "on";
  button.classList.toggle("paused", since !== null);
  if (changed) button.disabled = false;
  /** @type {HTMLElement} */ (button.querySelector("[data-pausing-word]")).textContent = since ? _("Recording paused") : _("Pause recording");
  /** @type {HTMLElement} */ (button.querySelector("[data-pausing-then]")).hidden = !since;
  const time = /** @type {HTMLElement} */ (button.querySelector("[data-pausing-time]"));
  if (since) time.setAttribute("data-since", since); else { time.removeAttribute("data-since"); time.textContent = ""; }
  tick();
}

/** What the phone system tells of it, asked until it is as wanted or the patience ends: a page without the stream of
 * cards has no other way to learn it. @param {string} call @param {boolean} wanted paused @returns {Promise<string|null>} */
export async function told(call, wanted) {
  let since = null;
  for (let asked = 0; asked < PATIENCE / EVERY; asked += 1) {
    const answer = await fetch(`/api/v1/calls/${call}`);
    if (!answer.ok) break;
    /** @type {{until: string|null, pauses: {at: string, until: string|null}[]}[]} */
    const going = ((await answer.json()).recorded ?? []).filter((/** @type {{until: string|null}} */ one) => one.until === null);
    const open = going.map((one) => one.pauses.at(-1)).filter((pause) => pause && pause.until === null);
    since = going.length && open.length === going.length ? open[0]?.at ?? null : null;
    if ((since !== null) === wanted) break;
    await new Promise((later) => setTimeout(later, EVERY));
  }
  return since;
}

/** @param {Element} place @param {string} call @param {(text: string) => void} say */
export function bindPausing(place, call, say) {
  const button = /** @type {HTMLButtonElement|null} */ (place.querySelector("[data-pausing]"));
  button?.addEventListener("click", async () => {
    const paused = button.classList.contains("paused");
    button.disabled = true;
    setTimeout(() => { button.disabled = false; }, PATIENCE);
    try {
      const answer = await send("POST", `/api/v1/calls/${call}/recording/${paused ? "resume" : "pause"}`);
      if (!answer.ok) { const told = await answer.json(); throw new Error([told.detail, told.remedy].filter(Boolean).join(" ")); }
      say("");
    } catch (problem) {
      button.disabled = false;
      say(problem instanceof TypeError ? _("Switchhook cannot be reached; it goes on recording.") : String(/** @type {Error} */ (problem).message));
    }
  });
}
