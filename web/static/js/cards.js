// @ts-check
/** My card: opens when my phone rings, closes when somebody else takes the call, stays while I am still writing. */
import { bindClient, showClient, unsaved } from "./card-client.js";
import { key } from "./feed.js";
import { draft, keep } from "./notes.js";
import { meta, tick } from "./page.js";
import { bindPausing, showPausing } from "./pausing.js";

const LINGER = 20_000; // ms an ended card stays without a note: time to look once more at who it was
const ICONS = /** @type {Record<string, string>} */ ({ ringing: "ring", talking: "talk", held: "hold", ended: "end" });

const panel = document.getElementById("cards");
const template = /** @type {HTMLTemplateElement|null} */ (document.getElementById("card-template"));
const title = document.title;
/** @type {Map<string, HTMLElement>} */ const open = new Map();
/** @type {Map<string, string>} closed by hand, and from whom the call came then: they must not come back with the next
 * change, but do when somebody hands the call over once more */ const dismissed = new Map();
/** @type {Map<string, Notification>} */ const notifications = new Map();

/** @param {HTMLElement} card @param {string} name @returns {HTMLElement} */
const slot = (card, name) => /** @type {HTMLElement} */ (card.querySelector(`[data-slot="${name}"]`));

/** Exactly these cards are open now; others of ours have ended meanwhile. @param {import("./feed.js").Card[]} cards */
export function reconcile(cards) {
  const now = new Set(cards.map(key));
  for (const [name, element] of open) if (!now.has(name) && element.dataset.state !== "ended") finish(name, element);
  for (const card of cards) show(card);
}

/** @param {import("./feed.js").Card} card */
export function show(card) {
  if (!panel || !template || meta("cards") !== "yes") return;
  const name = key(card);
  if (dismissed.get(name) === (card.from ?? "")) {
    if (card.state === "ended") dismissed.delete(name);
    return;
  }
  dismissed.delete(name);
  let element = open.get(name);
  if (!element) {
    if (card.state === "ended") return;
    element = make(card, name);
  }
  const rang = element.dataset.state === "ringing";
  fill(element, card);
  if (card.state === "ringing" && card.inbound) announce(card, name); else quiet(name);
  if (card.state === "ended") {
    if (rang && !typed(element)) return remove(name, element); // it rang here once more, and another phone took it
    linger(name, element);
  }
  retitle();
  tick();
}

/** The server took the card away. @param {{call_id: string, extension: string}} closed */
export function close(closed) {
  const name = key(closed);
  const element = open.get(name);
  if (!element) return;
  quiet(name);
  if (typed(element)) { end(element); retitle(); } else remove(name, element);
}

/** @param {import("./feed.js").Card} card @param {string} name */
function make(card, name) {
  const element = /** @type {HTMLElement} */ (
    /** @type {DocumentFragment} */ (/** @type {HTMLTemplateElement} */ (template).content.cloneNode(true)).firstElementChild
  );
  element.dataset.call = card.call_id;
  const area = /** @type {HTMLTextAreaElement} */ (slot(element, "note"));
  keep(area, card.call_id, slot(element, "saved"));
  element.querySelector('[data-act="close"]')?.addEventListener("click", () => {
    if (element.dataset.state !== "ended") dismissed.set(name, element.dataset.from ?? "");
    remove(name, element);
  });
  element.querySelector('[data-act="copy"]')?.addEventListener("click", () => {
    navigator.clipboard?.writeText(slot(element, "number").textContent ?? "").then(() => { slot(element, "saved").textContent = "Number copied"; });
  });
  bindClient(element, (text) => { slot(element, "saved").textContent = text; });
  bindPausing(element, card.call_id, (text) => { slot(element, "saved").textContent = text; });
  slot(element, "last").closest("div")?.setAttribute("hidden", "");
  /** @type {HTMLAnchorElement} */ (slot(element, "open")).href = `/calls/${card.call_id}`;
  panel?.prepend(element);
  open.set(name, element);
  document.body.classList.add("has-cards");
  fillIn(element, card.call_id, area);
  return element;
}

/** @param {HTMLElement} element @param {import("./feed.js").Card} card */
function fill(element, card) {
  element.dataset.state = card.state;
  element.dataset.from = card.from ?? "";
  element.querySelector(".state use")?.setAttribute("href", `#i-${ICONS[card.state]}`);
  slot(element, "word").textContent = card.word;
  const time = slot(element, "time");
  if (card.state === "ended") { time.removeAttribute("data-since"); } else time.setAttribute("data-since", card.since);
  slot(element, "who").textContent = card.name ?? card.number;
  const number = slot(element, "number");
  number.textContent = card.number;
  /** @type {HTMLElement} */ (number.parentElement).hidden = !card.name || card.withheld;
  const recording = element.querySelector('[data-row="recording"]');
  if (recording) {
    /** @type {HTMLElement} */ (recording).hidden = !card.recording || card.state === "ended" || card.state === "ringing";
    showPausing(recording, card.recording?.paused_since ?? null);
  }
  showClient(element, card.who);
  for (const row of /** @type {const} */ (["from", "queue", "did"])) field(element, row, card[row]);
  field(element, "also", card.also.length ? card.also.join(", ") : null);
}

/** @param {HTMLElement} element @param {string} name @param {string|null} value */
function field(element, name, value) {
  slot(element, name).textContent = value ?? "";
  /** @type {HTMLElement} */ (element.querySelector(`[data-row="${name}"]`)).hidden = !value;
}

/** What needs the store comes after the card is already there. @param {HTMLElement} element @param {string} id @param {HTMLTextAreaElement} area */
async function fillIn(element, id, area) {
  try {
    const answer = await fetch(`/api/v1/calls/${id}/card`);
    if (!answer.ok) return;
    const { last, note } = await answer.json();
    if (last) {
      const link = /** @type {HTMLAnchorElement} */ (slot(element, "last"));
      const when = new Date(last.at).toLocaleDateString(undefined, { day: "numeric", month: "short" });
      link.textContent = `${when}: ${last.text}`;
      link.href = `/calls/${last.id}`;
      link.closest("div")?.removeAttribute("hidden");
    }
    if (note && !area.value && draft(id) === null) area.value = note;
  } catch { /* the card is complete enough without it */ }
}

/** @param {string} name @param {HTMLElement} element */
function finish(name, element) {
  if (element.dataset.state === "ringing" && !typed(element)) return remove(name, element);
  end(element);
  linger(name, element);
}

/** @param {HTMLElement} element */
function end(element) {
  element.dataset.state = "ended";
  slot(element, "word").textContent = "Ended";
  slot(element, "time").removeAttribute("data-since");
  element.querySelector(".state use")?.setAttribute("href", "#i-end");
}

/** @param {string} name @param {HTMLElement} element */
function linger(name, element) {
  const at = element.dataset.ended = String(performance.now());
  setTimeout(() => {
    if (element.dataset.state !== "ended" || element.dataset.ended !== at) return; // the call came back to this phone
    if (!typed(element) && !element.contains(document.activeElement)) remove(name, element);
  }, LINGER);
}

/** @param {HTMLElement} element */
const typed = (element) => /** @type {HTMLTextAreaElement} */ (slot(element, "note")).value.trim() !== "" || unsaved(element);

/** @param {string} name @param {HTMLElement} element */
function remove(name, element) {
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  open.delete(name);
  quiet(name);
  if (!open.size) document.body.classList.remove("has-cards");
  if (hadFocus) document.getElementById("main")?.focus();
  retitle();
}

/** @param {import("./feed.js").Card} card @param {string} name */
function announce(card, name) {
  if (notifications.has(name) || !document.hidden || typeof Notification === "undefined" || Notification.permission !== "granted") return;
  const shown = new Notification(card.name ?? card.number, { body: [card.name ? card.number : "", card.queue ?? card.did ?? ""].filter(Boolean).join(" · "), tag: name });
  shown.onclick = () => { window.focus(); shown.close(); };
  notifications.set(name, shown);
  if (localStorage.getItem("switchhook sound") === "yes") chime();
}

/** @param {string} name */
function quiet(name) {
  notifications.get(name)?.close();
  notifications.delete(name);
}

/** Two soft tones, made here: nothing to download. */
function chime() {
  try {
    const sound = new AudioContext();
    for (const [at, pitch] of [[0, 660], [0.18, 880]]) {
      const tone = sound.createOscillator(); const level = sound.createGain();
      tone.frequency.value = pitch; level.gain.value = 0.06;
      tone.connect(level).connect(sound.destination);
      tone.start(sound.currentTime + at); tone.stop(sound.currentTime + at + 0.15);
    }
  } catch { /* a browser that plays nothing before a click */ }
}

/** A hidden tab says in its title who calls. */
function retitle() {
  const ringing = [...open.values()].find((card) => card.dataset.state === "ringing");
  document.title = ringing ? `${slot(ringing, "who").textContent} · ${slot(ringing, "word").textContent}` : title;
}

/** The note that `n` goes to. @returns {HTMLElement|null} */
export const noteField = () => panel?.querySelector("textarea") ?? document.querySelector("#my-note");

/** Close the card the focus is in. @returns {boolean} */
export function leave() {
  const card = document.activeElement?.closest(".card");
  if (!card) return false;
  /** @type {HTMLElement} */ (document.activeElement).blur();
  document.getElementById("main")?.focus();
  return true;
}

