// @ts-check
/**
 * Every form with `data-filters`: the list follows the choice without a reload, the focus stays where it is, and Back goes
 * to the choice before. What is replaced are the elements marked `data-results`, by their ids. A page without them is
 * opened anew, but never while somebody is still choosing with the arrow keys (WCAG 3.2.2), and the focus comes back.
 */
import { _, ngettext } from "./messages.js";

const PAUSE = 250; // ms; arrow keys run through a list of choices
const FOCUS = "switchhook filter focus";

let asking = 0;
let byKey = false;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;
/** @type {Element|null} the field whose choice made the newest step back */ let stepped = null;

const forms = () => /** @type {HTMLFormElement[]} */ ([...document.querySelectorAll("form[data-filters]")]);
const results = (/** @type {ParentNode} */ root) => /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-results]")]);

/** @param {EventTarget|null} target @returns {HTMLFormElement|null} */
const formOf = (target) => /** @type {HTMLInputElement} */ (target)?.form?.closest("form[data-filters]") ?? null;

/** The address of what is chosen; empty choices are left out. @param {HTMLFormElement} form */
function address(form) {
  const given = [...new FormData(form)].map(([name, value]) => [name, String(value).trim()]).filter(([name, value]) => value && !hiddenField(form, name));
  const asked = new URLSearchParams(given);
  const path = new URL(form.action, location.href).pathname;
  return asked.size ? `${path}?${asked}` : path;
}

/** A field that does not count with the present choice. @param {HTMLFormElement} form @param {string} name */
const hiddenField = (form, name) => Boolean(/** @type {HTMLElement|null} */ (form.elements.namedItem(name))?.closest?.("[data-when][hidden]"));

/** Fields that belong to one choice of another are shown with it. @param {HTMLFormElement} form */
function reveal(form) {
  for (const part of /** @type {NodeListOf<HTMLElement>} */ (form.querySelectorAll("[data-when]"))) {
    const [name, value] = (part.dataset.when ?? "").split("=");
    part.hidden = /** @type {HTMLSelectElement|null} */ (form.elements.namedItem(name))?.value !== value;
  }
}

/** Choosing on in one field is one step for Back. @param {HTMLFormElement} form @param {Element} [field] */
async function apply(form, field) {
  clearTimeout(soon);
  const url = address(form);
  if (url === location.pathname + location.search) return;
  if (!results(document).length) return leave(form, url);
  await load(url, () => history[field && field === stepped ? "replaceState" : "pushState"]({ filters: true }, "", url));
  stepped = field ?? null;
}

/** Where the page has nothing to replace. @param {HTMLFormElement} form @param {string} url */
function leave(form, url) {
  const name = /** @type {HTMLInputElement|null} */ (document.activeElement)?.name;
  if (name && formOf(document.activeElement) === form) sessionStorage.setItem(FOCUS, name);
  location.assign(url);
}

/** Fetch the page and put its results in the place of ours. @param {string} url @param {() => void} then */
async function load(url, then) {
  const turn = ++asking;
  for (const part of results(document)) part.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(10_000) });
    if (turn !== asking) return;
    if (answer.redirected) { location.assign(url); return; }
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asking) return;
    if (!results(html).length) { location.assign(url); return; }
    then();
    swap(html);
  } catch {
    if (turn === asking) say(_("Not filtered: no connection. The list is as it was before."));
  } finally {
    if (turn === asking) for (const part of results(document)) part.removeAttribute("aria-busy");
  }
}

/** @param {Document} html */
function swap(html) {
  for (const part of results(document)) {
    const fresh = html.getElementById(part.id);
    if (fresh) part.replaceChildren(...fresh.childNodes);
  }
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("[data-filters] [data-date]"))) settleDate(field, html);
  for (const link of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-clear]"))) {
    link.hidden = /** @type {HTMLElement|null} */ (html.querySelector("[data-clear]"))?.hidden ?? true;
  }
  const rows = results(document).reduce((sum, part) => sum + part.querySelectorAll("[data-nav]").length, 0);
  say(rows ? (document.querySelector("[data-results] [rel=next]") ? ngettext("{n} and more found", "{n} and more found", rows) : ngettext("{n} found", "{n} found", rows)) : _("Nothing matches"));
  document.dispatchEvent(new CustomEvent("switchhook:results"));
}

/** Whether a day that was typed was understood. @param {HTMLInputElement} field @param {Document} html */
function settleDate(field, html) {
  const fresh = /** @type {HTMLInputElement|null} */ (html.querySelector(`[data-filters] [data-date][name="${field.name}"]`));
  if (!fresh) return;
  for (const name of ["aria-invalid", "aria-describedby"]) {
    const value = fresh.getAttribute(name);
    if (value) field.setAttribute(name, value); else field.removeAttribute(name);
  }
}

/** Read out, not shown. @param {string} text */
function say(text) {
  let line = document.getElementById("filters-said");
  if (!line) {
    line = document.createElement("p");
    line.id = "filters-said";
    line.className = "sr";
    line.setAttribute("role", "status");
    document.getElementById("main")?.append(line);
  }
  line.textContent = text;
}

/** The fields as an address has them: after Back. */
function restore() {
  const asked = new URLSearchParams(location.search);
  for (const form of forms()) {
    if (new URL(form.action, location.href).pathname !== location.pathname) continue;
    for (const field of form.elements) {
      const one = /** @type {HTMLInputElement|HTMLSelectElement} */ (field);
      if (!one.name || one.type === "hidden" || one.type === "submit") continue;
      const value = asked.get(one.name);
      if (one instanceof HTMLSelectElement) {
        const at = [...one.options].findIndex((option) => option.value === value);
        one.selectedIndex = at >= 0 ? at : Math.max(0, [...one.options].findIndex((option) => option.defaultSelected));
        if (at < 0 && [...one.options].some((option) => option.value === "")) one.value = "";
      } else one.value = value ?? "";
    }
    reveal(form);
  }
}

addEventListener("pointerdown", () => { byKey = false; }, true);
addEventListener("keydown", () => { byKey = true; }, true);

document.addEventListener("change", (event) => {
  const form = formOf(event.target);
  if (!form) return;
  const field = /** @type {HTMLInputElement|HTMLSelectElement} */ (event.target);
  if (field.matches("[data-search]")) return; // the list follows each letter already
  reveal(form);
  const waits = byKey && !results(document).length; // Enter, or leaving the field, applies it
  if (waits && document.activeElement === field) return;
  clearTimeout(soon);
  soon = setTimeout(() => apply(form, field), byKey ? PAUSE : 0);
});
document.addEventListener("focusout", (event) => {
  const form = formOf(event.target);
  if (!form || /** @type {HTMLElement} */ (event.target).matches("[data-search], button")) return;
  stepped = null;
  if (/** @type {HTMLInputElement} */ (event.target).matches("[data-date]") || !results(document).length) void apply(form);
});
document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (event.defaultPrevented || !form.matches("form[data-filters]")) return;
  event.preventDefault();
  void apply(form);
});
document.addEventListener("keydown", (event) => { // some browsers do not send a form from a list by Enter
  const form = formOf(event.target);
  if (event.key !== "Enter" || !form || !/** @type {HTMLElement} */ (event.target).matches("select")) return;
  event.preventDefault();
  void apply(form);
});
document.addEventListener("click", (event) => {
  const link = /** @type {HTMLAnchorElement|null} */ (/** @type {Element} */ (event.target).closest("a[data-clear]"));
  if (!link || !results(document).length || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  void load(link.href, () => { history.pushState({ filters: true }, "", link.href); restore(); });
});
addEventListener("popstate", () => {
  if (!forms().length || !results(document).length) return;
  restore();
  void load(location.href, () => {});
});

const focused = sessionStorage.getItem(FOCUS);
sessionStorage.removeItem(FOCUS);
for (const form of forms()) {
  form.querySelector("button[type=submit]")?.classList.add("sr-until-focus");
  if (focused) /** @type {HTMLElement|null} */ (form.elements.namedItem(focused))?.focus?.();
}
