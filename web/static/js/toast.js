// @ts-check
/** What was just done is said at the bottom, over the page: no list moves for it. It goes by itself, not from under the hand. */

const STAYS = 12_000; // ms; long enough to read it and to reach its Undo

/** Give a message its way out. @param {HTMLElement} toast */
function bindToast(toast) {
  if (toast.dataset.bound) return;
  toast.dataset.bound = "yes";
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  const wait = () => { clearTimeout(timer); timer = setTimeout(leave, STAYS); };
  const leave = () => { if (toast.matches(":hover, :focus-within")) wait(); else toast.remove(); };
  if (toast.getAttribute("role") !== "alert") wait();
}

/** @param {ParentNode} root */
export function bindToasts(root) {
  for (const toast of root.querySelectorAll(".toast")) bindToast(/** @type {HTMLElement} */ (toast));
}

bindToasts(document);
