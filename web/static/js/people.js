// @ts-check
/** People: the list that fills as one types, small forms in a dialog, notes that are never lost, more of a list in place. */
import { noteField } from "./cards.js";
import { say, saved, submit } from "./form-drafts.js";
import { keys } from "./keys.js";
import { _, ngettext } from "./messages.js";
import { keep } from "./notes.js";
import { page, paused } from "./people-asking.js";
import * as fields from "./people-sheet.js";
import { follow } from "./person-live.js";

const COPIED = 1_500; // ms

/* -- the list that fills as one types -- */

for (const form of document.querySelectorAll("form[data-refills]")) {
  if (!(form instanceof HTMLFormElement)) continue;
  const list = /** @type {HTMLElement} */ (document.querySelector(form.dataset.refills ?? ""));
  const field = /** @type {HTMLInputElement} */ (form.querySelector("[data-search]"));
  form.querySelector("[data-plain]")?.setAttribute("hidden", "");
  const ask = paused(async (fresh) => {
    const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value).map(([name, value]) => [name, String(value)]));
    const url = `${form.action}?${asked}`;
    list.setAttribute("aria-busy", "true");
    const got = await page(url);
    if (!fresh()) return;
    list.setAttribute("aria-busy", "false");
    const there = got?.html.querySelector(form.dataset.refills ?? "");
    list.classList.toggle("out-of-date", !there);
    const unsearched = document.querySelector("[data-found]");
    if (!there) { if (unsearched) unsearched.textContent = _("Not searched: no connection"); return; }
    list.replaceChildren(...there.childNodes);
    const exporting = got?.html.getElementById("export-list");
    if (exporting) document.getElementById("export-list")?.replaceChildren(...exporting.childNodes);
    const found = list.querySelectorAll("[data-nav]").length;
    const said = document.querySelector("[data-found]");
    if (said) said.textContent = found ? (list.querySelector("[rel=next]") ? ngettext("{n} and more found", "{n} and more found", found) : ngettext("{n} found", "{n} found", found)) : _("Nobody matches");
    history.replaceState(null, "", asked.size ? url : form.action);
  });
  field.addEventListener("input", ask);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    const first = /** @type {HTMLElement|null} */ (list.querySelector("[data-nav] a"));
    if (!first || list.getAttribute("aria-busy") === "true") { if (event.key === "Enter") event.preventDefault(); return; }
    event.preventDefault();
    first.focus();
  });
  keys({ "/": () => { field.focus(); field.select(); } });
}

/* -- more of a list, in place -- */

document.addEventListener("click", async (event) => {
  const target = /** @type {Element} */ (event.target);
  const more = /** @type {HTMLAnchorElement|null} */ (target.closest("a[data-more]"));
  if (more && plain(event)) { event.preventDefault(); return grow(more); }
  const copy = /** @type {HTMLElement|null} */ (target.closest("[data-copy]"));
  if (copy) return copied(copy);
  const opens = /** @type {HTMLAnchorElement|null} */ (target.closest("a[data-dialog]"));
  if (opens && plain(event)) { event.preventDefault(); return fields.sheet(opens.href, opens, wire); }
});

/** Neither into a new tab nor anything else the browser does with a link. @param {MouseEvent} event */
const plain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && event.button === 0;

/** @param {HTMLAnchorElement} more */
async function grow(more) {
  const part = more.dataset.more ?? "";
  const here = document.querySelector(part);
  const got = await page(more.href);
  const there = got?.html.querySelector(part);
  if (!here || !there) { location.href = more.href; return; }
  const [pager, next] = [here.querySelector(".pager"), there.querySelector(".pager")];
  const first = there.querySelector("a");
  there.querySelector(".person-heads")?.remove();
  const lists = [here, there].map((one) => [...one.querySelectorAll(":scope > ol")]);
  const [last, begin] = [lists[0].at(-1), lists[1][0]];
  const days = [here, there].map((one, at) => [...one.querySelectorAll(":scope > h3")].at(at ? 0 : -1));
  if (last && begin && days[0]?.textContent === days[1]?.textContent) { // the same day goes on, or there are no days
    last.append(...begin.children);
    days[1]?.remove();
    begin.remove();
  }
  pager?.remove();
  if (next) for (const link of next.querySelectorAll("a:not([rel=next])")) link.remove();
  here.append(...[...there.children]);
  here.setAttribute("data-grown", ""); // older lines are read: a fresh first page would take them away
  wire(here);
  first?.focus();
}

/** @param {HTMLElement} button */
async function copied(button) {
  try { await navigator.clipboard.writeText(button.dataset.copy ?? ""); } catch { return; }
  button.classList.add("copied");
  button.querySelector("use")?.setAttribute("href", "#i-check");
  setTimeout(() => { button.classList.remove("copied"); button.querySelector("use")?.setAttribute("href", "#i-copy"); }, COPIED);
}

/* -- what is changed without leaving -- */

/** Send the form and take over what the page says then; what was typed elsewhere stays. @param {HTMLFormElement} form */
function swap(form) {
  const area = form.querySelector("textarea");
  const note = form.matches(".composer");
  area?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (note && !area?.value.trim()) return;
    const sent = area?.value;
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    const answer = await submit(form, event.submitter);
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    if (answer?.outcome !== "saved") return;
    if (note && area && area.value === sent) { area.value = ""; saved(form); }
    await refreshParts(answer.to, form);
  });
}

/** The parts of this page as they are by now. @param {string} url @param {HTMLFormElement} form */
async function refreshParts(url, form) {
  const got = await page(url);
  if (!got?.answer.ok) { say(form, _("Saved. Load the page again to see it.")); return; }
  const focused = document.activeElement;
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = got.html.getElementById(part.id);
    if (fresh) { part.replaceChildren(...fresh.childNodes); wire(part); }
  }
  if (focused && !focused.isConnected) /** @type {HTMLElement|null} */ (document.querySelector("main"))?.focus();
}

document.addEventListener("switchhook:saved", () => { // a note that had waited stands in the timeline now
  if (document.querySelector("form[data-swap]")) void refreshParts(location.href, /** @type {HTMLFormElement} */ (document.querySelector("form[data-swap]")));
});

/** Give life to what is in it. @param {ParentNode} root */
function wire(root) {
  const each = (/** @type {string} */ what, /** @type {(one: any) => void} */ act) => {
    for (const one of root.querySelectorAll(what)) if (!one.hasAttribute("data-wired")) { one.setAttribute("data-wired", ""); act(one); }
  };
  each("[data-choose]", fields.choose);
  each("[data-suggest]", fields.suggest);
  each("[data-same]", fields.same);
  each("form[data-new]", fields.kinds);
  each("form[data-edit]", fields.facts);
  each("form[data-chooser]", (form) => fields.leadOn(form, wire));
  each("form[data-swap]", swap);
  each("[data-call-note]", (area) => keep(area, area.dataset.callNote, area.parentElement.querySelector(".saved")));
}

wire(document);
follow(wire);
document.addEventListener("switchhook:results", () => wire(document));
document.addEventListener("switchhook:form", (event) => wire(/** @type {CustomEvent} */ (event).detail));

/** Links that have a key of their own. */
for (const link of document.querySelectorAll("a[data-key]")) {
  keys({ [link.getAttribute("data-key") ?? ""]: () => { if (!link.isConnected) return false; /** @type {HTMLElement} */ (link).click(); } });
}
const composer = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(".composer textarea"));
if (composer) keys({ n: () => (noteField() ?? composer).focus() }); // a card is a call that goes on

/* -- daily actions in the head lead to their field -- */

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  for (const menu of document.querySelectorAll(".head-acts details[open]")) if (!menu.contains(target)) menu.removeAttribute("open");
  const link = /** @type {HTMLElement|null} */ (target.closest("[data-focus]"));
  const field = link && document.querySelector(link.dataset.focus ?? "");
  if (!link || !field) return;
  event.preventDefault();
  if (field instanceof HTMLDetailsElement) field.open = true;
  /** @type {HTMLElement|null} */ (field.matches("textarea") ? field : field.querySelector("input:not([type=hidden])"))?.focus();
});
