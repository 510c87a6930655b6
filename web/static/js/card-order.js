// @ts-check
/**
 * Which card stands where. The conversation is on top and open, what rings beside it is one line, what has ended is
 * folded. Nothing moves under the hand: while a card holds the focus or the pointer, every card stays where it is, a new
 * one is added behind the others, and one that goes leaves its room until the hand has left.
 */

const RANK = /** @type {Record<string, number>} */ ({ talking: 0, held: 1, ringing: 2, ended: 3 });
const FOLDED = "switchhook cards folded"; // kept for this tab: on a small screen the card covers what one works at
const SMALL = matchMedia("(max-width: 899px)"); // as in card.css: below it the cards are a sheet at the bottom
const MOUSE = matchMedia("(hover: hover)"); // a finger leaves its :hover behind on what it touched last

/** @param {HTMLElement} card */
const rank = (card) => RANK[card.dataset.state ?? "ended"] ?? RANK.ended;

/** @param {HTMLElement} card */
const isInHand = (card) => card.contains(document.activeElement) || (MOUSE.matches && card.matches(":hover"));

/** @param {HTMLElement} panel @returns {HTMLElement[]} */
const cardsIn = (panel) => /** @type {HTMLElement[]} */ ([...panel.querySelectorAll(":scope > .card:not([data-gone])")]);

/** Put every card in its place, unless a hand is on one of them. @param {HTMLElement} panel */
export function arrangeCards(panel) {
  const cards = cardsIn(panel);
  const inHand = cards.find(isInHand);
  if (inHand) return foldNewOnes(cards, inHand);
  for (const left of panel.querySelectorAll(":scope > [data-gone]")) left.remove();
  const sorted = [...cards].sort((one, other) => rank(one) - rank(other)); // stable: among equals who came first stays first
  sorted.forEach((card, at) => { if (panel.children[at] !== card) panel.insertBefore(card, panel.children[at] ?? null); });
  sorted.forEach((card, at) => fold(card, isFolded(card, at === 0)));
}

/** @param {HTMLElement[]} cards @param {HTMLElement} inHand */
function foldNewOnes(cards, inHand) {
  for (const card of cards) if (card.dataset.folded === undefined) fold(card, card !== inHand);
}

/** @param {HTMLElement} card @param {boolean} first */
function isFolded(card, first) {
  if (card.dataset.byHand) return card.dataset.byHand === "folded";
  return !first || (SMALL.matches && sessionStorage.getItem(FOLDED) === "yes");
}

/** @param {HTMLElement} card @param {boolean} folded */
function fold(card, folded) {
  card.dataset.folded = folded ? "yes" : "no";
  card.querySelector('[data-act="fold"]')?.setAttribute("aria-expanded", String(!folded));
}

/** @param {HTMLElement} card */
export function toggleFold(card) {
  const folded = card.dataset.folded !== "yes";
  card.dataset.byHand = folded ? "folded" : "open";
  if (SMALL.matches) sessionStorage.setItem(FOLDED, folded ? "yes" : "no");
  fold(card, folded);
}

/** @param {HTMLElement} card */
export function unfold(card) {
  if (card.dataset.folded === "yes") toggleFold(card);
}

/** The card of the conversation: talking, else on hold, else ringing, else ended. @param {HTMLElement} panel @returns {HTMLElement|undefined} */
export const presentCard = (panel) => [...cardsIn(panel)].sort((one, other) => rank(one) - rank(other))[0];

/** Take a card away; its room stays while the hand is on another one. @param {HTMLElement} panel @param {HTMLElement} card */
export function removeCard(panel, card) {
  if (!cardsIn(panel).some((other) => other !== card && isInHand(other))) { card.remove(); return; }
  card.dataset.gone = "";
  card.inert = true;
}

/** Put things in order once the hand has left. @param {HTMLElement} panel */
export function arrangeWhenReleased(panel) {
  const later = () => setTimeout(() => arrangeCards(panel));
  panel.addEventListener("focusout", later);
  panel.addEventListener("pointerleave", later);
}
