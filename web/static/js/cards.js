// @ts-check
/** My card: opens when my phone rings, closes when somebody else takes the call, stays while I am still writing. */
import { arrangeCards, arrangeWhenReleased, presentCard, removeCard, toggleFold, unfold } from "./card-order.js";
import { raiseCards } from "./cards-layer.js";
import { bindClient, showClient, unsaved } from "./card-client.js";
import { key } from "./feed.js";
import { _, language } from "./messages.js";
import { draft, keep } from "./notes.js";
import { meta, tick } from "./page.js";
import { bindPausing, showPausing } from "./pausing.js";
import { announceRing, endRing } from "./ring-alert.js";
import { forgetCard, keepCard, keptCards } from "./wrap-up.js";

const LINGER = 20_000; // ms an ended card stays without a note: time to look once more at who it was
const ICONS = /** @type {Record<string, string>} */ ({ ringing: "ring", talking: "talk", held: "hold", ended: "end" });

const panel = document.getElementById("cards");
const template = /** @type {HTMLTemplateElement|null} */ (document.getElementById("card-template"));
const title = document.title;
/** @type {Map<string, HTMLElement>} */ const open = new Map();
/** @type {Map<string, string>} closed by hand, and from whom the call came then: they must not come back with the next
 * change, but do when somebody hands the call over once more */ const dismissed = new Map();
/** @type {Map<string, import("./feed.js").Card>} as it was shown last */ const shown = new Map();
/** @type {Set<string>} calls that ring at my phone or are talked in there, whether or not their card is open */ const busy = new Set();

/** @param {HTMLElement} card @param {string} name @returns {HTMLElement} */
const slot = (card, name) => /** @type {HTMLElement} */ (card.querySelector(`[data-slot="${name}"]`));

/** Exactly these cards are open now; others of ours have ended meanwhile. @param {import("./feed.js").Card[]} cards */
export function reconcile(cards) {
  const now = new Set(cards.map(key));
  for (const name of busy) if (!now.has(name)) setBusy(name, false);
  for (const [name, element] of open) if (!now.has(name) && element.dataset.state !== "ended") finish(name, element);
  for (const card of cards) show(card);
  takeUpKept();
}

let tookUp = false;

/** What was being written on the page before, after its call had ended. */
function takeUpKept() {
  if (tookUp || !panel || !template || meta("cards") !== "yes") return;
  tookUp = true;
  for (const [name, card] of keptCards()) {
    if (open.has(name)) continue;
    const element = make(card, name);
    fill(element, { ...card, state: "ended", word: _("Ended") });
    end(element);
  }
}

/** Cards in which one writes go along to the next page. */
function keepOpen() {
  for (const [name, element] of open) {
    const card = shown.get(name);
    if (card && (typed(element) || element.contains(document.activeElement))) keepCard(name, card);
  }
}
panel?.addEventListener("input", keepOpen);
addEventListener("pagehide", keepOpen);

/** @param {import("./feed.js").Card} card */
export function show(card) {
  if (!panel || !template || meta("cards") !== "yes") return;
  const name = key(card);
  setBusy(name, card.state !== "ended");
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
  if (card.state === "ringing" && card.inbound) announce(card, name); else endRing(name);
  if (card.state === "ended") {
    if (rang && !typed(element)) return remove(name, element); // it rang here once more, and another phone took it
    linger(name, element);
  }
  if (panel) arrangeCards(panel);
  retitle();
  tick();
}

/** The rest of the page wants to know: a player stops while one talks. @param {string} name @param {boolean} yes */
function setBusy(name, yes) {
  const before = busy.size;
  if (yes) busy.add(name); else busy.delete(name);
  if (busy.size && yes && before < busy.size) document.dispatchEvent(new CustomEvent("switchhook:phone", { detail: "busy" }));
  if (!busy.size && before) document.dispatchEvent(new CustomEvent("switchhook:phone", { detail: "free" }));
}

/** The server took the card away. @param {{call_id: string, extension: string}} closed */
export function close(closed) {
  const name = key(closed);
  setBusy(name, false);
  endRing(name);
  const element = open.get(name);
  if (!element) return;
  if (typed(element)) { end(element); retitle(); } else remove(name, element);
}

/** @param {import("./feed.js").Card} card @param {string} name */
function make(card, name) {
  const element = /** @type {HTMLElement} */ (
    /** @type {DocumentFragment} */ (/** @type {HTMLTemplateElement} */ (template).content.cloneNode(true)).firstElementChild
  );
  element.dataset.call = card.call_id;
  const area = /** @type {HTMLTextAreaElement} */ (slot(element, "note"));
  keep(area, card.call_id, slot(element, "saved"), () => slot(element, "who").textContent ?? "");
  element.querySelector('[data-act="close"]')?.addEventListener("click", () => {
    if (element.dataset.state !== "ended") dismissed.set(name, element.dataset.from ?? "");
    remove(name, element);
  });
  element.querySelector('[data-act="fold"]')?.addEventListener("click", () => toggleFold(element));
  element.querySelector('[data-act="copy"]')?.addEventListener("click", () => {
    navigator.clipboard?.writeText(slot(element, "number").textContent ?? "").then(() => { slot(element, "saved").textContent = _("Number copied"); });
  });
  bindClient(element, (text) => { slot(element, "saved").textContent = text; });
  bindPausing(element, card.call_id, (text) => { slot(element, "saved").textContent = text; });
  slot(element, "last").closest("div")?.setAttribute("hidden", "");
  /** @type {HTMLAnchorElement} */ (slot(element, "open")).href = `/calls/${card.call_id}`;
  element.classList.add("arriving");
  element.addEventListener("animationend", () => element.classList.remove("arriving"));
  panel?.append(element);
  open.set(name, element);
  document.body.classList.add("has-cards");
  if (open.size === 1) raiseCards();
  fillIn(element, card.call_id, area);
  return element;
}

/** @param {HTMLElement} element @param {import("./feed.js").Card} card */
function fill(element, card) {
  shown.set(key(card), card);
  element.dataset.state = card.state;
  element.dataset.from = card.from ?? "";
  element.toggleAttribute("data-internal", card.internal);
  element.querySelector(".state use")?.setAttribute("href", `#i-${ICONS[card.state]}`);
  slot(element, "word").textContent = card.word;
  const time = slot(element, "time");
  if (card.state === "ended") { time.removeAttribute("data-since"); } else time.setAttribute("data-since", card.since);
  for (const name of ["who", "short"]) slot(element, name).textContent = card.name ?? card.number;
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
      const when = new Date(last.at).toLocaleDateString(language, { day: "numeric", month: "short" });
      link.textContent = _("{when}: {what}", { when, what: last.text });
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
  if (panel) setTimeout(() => arrangeCards(panel));
  slot(element, "word").textContent = _("Ended");
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
  if (panel) removeCard(panel, element); else element.remove();
  open.delete(name);
  shown.delete(name);
  forgetCard(name);
  endRing(name);
  if (panel) arrangeCards(panel);
  if (!open.size) document.body.classList.remove("has-cards");
  if (hadFocus) document.getElementById("main")?.focus();
  retitle();
}

/** @param {import("./feed.js").Card} card @param {string} name */
function announce(card, name) {
  const more = [card.name ? card.number : "", card.queue ?? card.did ?? ""].filter(Boolean);
  void announceRing(name, card.since, { title: card.name ?? card.number, body: more.join(" · ") });
}

/** A hidden tab says in its title who calls. */
function retitle() {
  const ringing = [...open.values()].find((card) => card.dataset.state === "ringing");
  document.title = ringing ? `${slot(ringing, "who").textContent} · ${slot(ringing, "word").textContent}` : title;
}

/** The note that `n` goes to: of the conversation one is in, else of what rings. @returns {HTMLElement|null} */
export function noteField() {
  const card = panel && presentCard(panel);
  if (card) unfold(card);
  return card?.querySelector("textarea") ?? document.querySelector("#my-note");
}

if (panel) arrangeWhenReleased(panel);

/** Close the card the focus is in. @returns {boolean} */
export function leave() {
  const card = document.activeElement?.closest(".card");
  if (!card) return false;
  /** @type {HTMLElement} */ (document.activeElement).blur();
  document.getElementById("main")?.focus();
  return true;
}

