// @ts-check
/** A call's own page while the call goes on: head, picture, story and facts follow it and become the final ones. What
 * somebody types beside them is not touched. */

const GATHER = 300; // ms; several changes come together
const EVERY = 5_000; // ms; bars and sums grow by themselves
const AFTER = [3_000, 8_000, 20_000]; // ms after the end: the last facts are written, the recording has come in

const mine = () => /** @type {HTMLElement|null} */ (document.querySelector("#call-head[data-call-part]"));
const goesOn = () => mine()?.hasAttribute("data-going-on") ?? false;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;
let asking = 0;

/** @param {string} id */
export function changed(id) {
  if (id === mine()?.dataset.callPart) soon ??= setTimeout(refresh, GATHER);
}

/** @param {string} id */
export function ended(id) {
  if (id !== mine()?.dataset.callPart) return;
  changed(id);
  for (const wait of AFTER) setTimeout(refresh, wait);
}

/** After a gap of the stream. @param {{id: string}[]} calls */
export function all(calls) {
  const id = mine()?.dataset.callPart ?? "";
  if (id && (goesOn() || calls.some((call) => call.id === id))) changed(id);
}

if (mine()) setInterval(() => { if (goesOn() && !document.hidden) void refresh(); }, EVERY);
document.addEventListener("visibilitychange", () => { if (!document.hidden && goesOn()) void refresh(); });

async function refresh() {
  soon = undefined;
  const turn = ++asking;
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (!answer.ok || turn !== asking) return;
    if (answer.redirected) { location.replace(answer.url); return; } // it became part of another call
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-call-part]")) swap(part, html.getElementById(part.id));
  } catch { /* the line about the lost connection says it */ }
}

/** @param {Element} part @param {Element|null} fresh */
function swap(part, fresh) {
  if (!fresh || part.innerHTML === fresh.innerHTML) return;
  const player = part.querySelector("[data-player]");
  if (player && fresh.querySelector("[data-player]")) { // the sound is there already, perhaps it plays: only what stands above it changes
    const [old, now] = [part.querySelector(".chart"), fresh.querySelector(".chart")];
    if (old && now && old.innerHTML !== now.innerHTML) old.replaceWith(now);
    return;
  }
  if (part.querySelector("#pausing") && fresh.querySelector("#pausing")) { // its button is in use
    for (const name of [".chart", ".legend"]) {
      const [old, now] = [part.querySelector(name), fresh.querySelector(name)];
      if (old && now) old.replaceWith(now);
    }
    return;
  }
  if (part.contains(document.activeElement) && part.querySelector("input:focus, textarea:focus, select:focus")) return;
  part.toggleAttribute("data-going-on", fresh.hasAttribute("data-going-on"));
  part.replaceChildren(...fresh.childNodes);
  if (part.id === "call-picture") document.dispatchEvent(new CustomEvent("switchhook:call"));
}
