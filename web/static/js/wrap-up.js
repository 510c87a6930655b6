// @ts-check
/**
 * Work after a call (wrap-up): a card in which something is typed, or which holds the focus, is still there on the next page
 * and after a reload, until it is closed by hand. Kept for this tab; the text itself is a draft like every other.
 */
import { meta } from "./page.js";

/** @typedef {import("./feed.js").Card} Card */

const place = () => `switchhook wrap-up ${meta("account")}`;

/** @returns {Record<string, Card>} */
function stored() {
  try { return JSON.parse(sessionStorage.getItem(place()) ?? "{}"); } catch { return {}; }
}

/** @param {Record<string, Card>} cards */
function store(cards) {
  try { sessionStorage.setItem(place(), JSON.stringify(cards)); } catch { /* the text is kept all the same */ }
}

/** @param {string} name @param {Card} card as it was shown last */
export function keepCard(name, card) { store({ ...stored(), [name]: card }); }

/** @param {string} name */
export function forgetCard(name) {
  const { [name]: gone, ...rest } = stored();
  if (gone) store(rest);
}

/** @returns {[string, Card][]} */
export const keptCards = () => Object.entries(stored());
