// @ts-check
/**
 * The cards stand above everything. A modal dialog makes all outside of it inert, so while one is open the cards live in
 * it; as a popover they are in the top layer, where no dialog's edge cuts them off.
 */

const panel = document.getElementById("cards");
/** @type {HTMLDialogElement[]} open modal dialogs, the topmost last */ let dialogs = [];

/** Above what was opened last. */
export function raiseCards() {
  if (!panel?.isConnected || !panel.showPopover) return;
  if (panel.matches(":popover-open")) panel.hidePopover();
  panel.showPopover();
}

/** Into the topmost dialog, or back to the page. @param {HTMLElement} cards */
function rehouse(cards) {
  dialogs = [...dialogs.filter((one) => one.isConnected && one.matches(":modal")), ...newlyOpened()];
  const home = dialogs.at(-1) ?? document.body;
  if (cards.parentElement === home) return;
  const focus = cards.contains(document.activeElement) ? /** @type {HTMLElement} */ (document.activeElement) : null;
  home.append(cards);
  raiseCards();
  focus?.focus();
}

const newlyOpened = () => [...document.querySelectorAll("dialog")].filter((one) => one.matches(":modal") && !dialogs.includes(one));

/** Esc in a card leaves the card's field, not the dialog. @param {Event} event */
function keepDialog(event) {
  if (!panel?.contains(document.activeElement)) return;
  event.preventDefault();
  /** @type {HTMLElement} */ (document.activeElement).blur();
}

if (panel) {
  new MutationObserver(() => rehouse(panel)).observe(document.body, { subtree: true, attributeFilter: ["open"] });
  // A dialog that is filled anew or removed takes its children with it.
  new MutationObserver(() => { if (!panel.isConnected) rehouse(panel); }).observe(document.body, { subtree: true, childList: true });
  document.addEventListener("cancel", keepDialog, true);
}
