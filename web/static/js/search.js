// @ts-check
/** The search at the head of every page: what fits is shown as one types, chosen with the arrow keys, opened with Enter. */

const PAUSE = 150; // ms of no typing
const field = /** @type {HTMLInputElement|null} */ (document.getElementById("find"));
const box = document.getElementById("found");
let asking = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;

const options = () => /** @type {HTMLAnchorElement[]} */ ([...(box?.querySelectorAll("[role=option]") ?? [])]);
const chosen = () => options().findIndex((one) => one.getAttribute("aria-selected") === "true");

/** @param {boolean} yes */
function open(yes) {
  if (!box || !field) return;
  box.hidden = !yes;
  field.setAttribute("aria-expanded", String(yes));
  if (!yes) choose(-1);
}

/** @param {number} at */
function choose(at) {
  const all = options();
  all.forEach((one, place) => one.setAttribute("aria-selected", String(place === at)));
  if (at < 0) field?.removeAttribute("aria-activedescendant"); else field?.setAttribute("aria-activedescendant", all[at].id);
  all[at]?.scrollIntoView({ block: "nearest" });
}

async function ask() {
  const text = field?.value.trim() ?? "";
  const turn = ++asking;
  if (!text) { open(false); box?.replaceChildren(); return; }
  try {
    const answer = await fetch(`/search/suggestions?${new URLSearchParams({ q: text })}`, { signal: AbortSignal.timeout(5_000) });
    if (!box || turn !== asking || !answer.ok || answer.redirected) return;
    box.innerHTML = await answer.text();
  } catch {
    if (!box || turn !== asking) return;
    box.innerHTML = '<p class="found-none">Not searched: no connection.</p>';
  }
  open(document.activeElement === field);
}

/** @type {Record<string, (event: KeyboardEvent) => void>} */
const KEYS = {
  ArrowDown: (event) => { event.preventDefault(); if (box?.hidden) void ask(); else choose((chosen() + 1) % Math.max(1, options().length)); },
  ArrowUp: (event) => { event.preventDefault(); choose(chosen() <= 0 ? options().length - 1 : chosen() - 1); },
  Enter: (event) => { const at = chosen(); if (at >= 0 && !box?.hidden) { event.preventDefault(); location.assign(options()[at].href); } },
  Escape: (event) => { if (!box?.hidden) { event.preventDefault(); event.stopPropagation(); open(false); } },
};

if (field && box) {
  field.addEventListener("input", () => { clearTimeout(soon); soon = setTimeout(ask, PAUSE); });
  field.addEventListener("keydown", (event) => KEYS[event.key]?.(event));
  field.addEventListener("focus", () => { if (field.value.trim() && box.childElementCount) open(true); });
  field.addEventListener("blur", () => open(false));
  box.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus, the click still goes through
  addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}
