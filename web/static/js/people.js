// @ts-check
/** People: the list that fills as one types, small forms in a dialog, notes that are never lost, more of a list in place. */
import { keys } from "./keys.js";
import { keep } from "./notes.js";
import { draftOf } from "./people-draft.js";

const PAUSE = 180; // ms of no typing until the list is asked again
const COPIED = 1_500; // ms

/** The page behind an address, parsed; null when it is not ours or we are signed out. @param {string} url @param {RequestInit} [how] */
async function page(url, how) {
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, ...how });
    if (new URL(answer.url).pathname.startsWith("/sign-in")) return null;
    return { answer, html: new DOMParser().parseFromString(await answer.text(), "text/html") };
  } catch { return null; }
}

/** Call it once the typing pauses; what was asked before and answers later is dropped.
 * @param {(fresh: () => boolean) => Promise<void>} ask */
function paused(ask) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  let turn = 0;
  return () => {
    clearTimeout(timer);
    const mine = ++turn;
    timer = setTimeout(() => ask(() => mine === turn), PAUSE);
  };
}

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
    if (!there) return;
    list.replaceChildren(...there.childNodes);
    history.replaceState(null, "", asked.size ? url : form.action);
  });
  field.addEventListener("input", ask);
  field.addEventListener("change", (event) => event.stopPropagation()); // the list is right already
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
  if (opens && plain(event)) { event.preventDefault(); return sheet(opens.href, opens); }
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

/* -- small forms in a dialog -- */

/** Show the form of another page here; Esc and Back lead to where we were. @param {string} url @param {HTMLElement} opener */
async function sheet(url, opener) {
  const got = await page(url);
  const content = got?.html.querySelector("[data-sheet]");
  if (!content || !got?.answer.ok) { location.href = url; return; }
  const dialog = document.createElement("dialog");
  dialog.className = "sheet-dialog";
  fill(dialog, content);
  document.body.append(dialog);
  dialog.addEventListener("close", () => { dialog.remove(); opener.focus(); });
  dialog.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  dialog.showModal();
}

/** @param {HTMLElement} dialog @param {Element} content */
function fill(dialog, content) {
  for (const one of content.querySelectorAll("noscript")) one.remove();
  const title = content.querySelector("h1");
  if (title) { title.id = "sheet-title"; dialog.setAttribute("aria-labelledby", "sheet-title"); }
  dialog.replaceChildren(content);
  wire(dialog);
  /** @type {HTMLElement|null} */ (dialog.querySelector("[autofocus]"))?.focus();
}

/** A form that only leads on (who is merged with whom) goes on in the same dialog. @param {HTMLFormElement} form */
function leadOn(form) {
  form.addEventListener("submit", async (event) => {
    const dialog = form.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    const url = `${form.action}?${new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]))}`;
    const content = (await page(url))?.html.querySelector("[data-sheet]");
    if (content) fill(dialog, content); else location.href = url;
  });
}

/** @param {HTMLInputElement} field */
function choose(field) {
  const form = field.form;
  const list = /** @type {HTMLElement} */ (form?.querySelector("[data-choices]"));
  const ask = paused(async (fresh) => {
    const asked = new URLSearchParams({ q: field.value, field: field.dataset.choose ?? "", but: field.dataset.but ?? "" });
    const got = await page(`/people/find?${asked}`);
    if (got && fresh()) list.replaceChildren(...got.html.body.childNodes);
  });
  field.addEventListener("input", ask);
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const first = /** @type {HTMLInputElement|null} */ (list.querySelector("input"));
    if (first) { first.checked = true; first.focus(); }
  });
}

/** @param {HTMLInputElement} field */
function suggest(field) {
  field.addEventListener("input", paused(async (fresh) => {
    const got = await page(`/people/find?${new URLSearchParams({ q: field.value, kind: field.dataset.suggest ?? "" })}`);
    if (got && fresh()) field.list?.replaceChildren(...got.html.querySelectorAll("option"));
  }));
}

/** Say at once that a number is in the book already. @param {HTMLTextAreaElement} field */
function same(field) {
  const said = field.form?.querySelector("[data-same-said]");
  const ask = paused(async (fresh) => {
    const got = await page(`/people/same?${new URLSearchParams({ phones: field.value })}`);
    if (got && fresh()) said?.replaceChildren(...got.html.body.childNodes);
  });
  field.addEventListener("input", ask);
  if (field.value) ask();
}

/** A company has no company. @param {HTMLFormElement} form */
function kinds(form) {
  const show = () => {
    const kind = new FormData(form).get("kind");
    for (const one of form.querySelectorAll("[data-not]")) one.toggleAttribute("hidden", one.getAttribute("data-not") === kind);
  };
  form.addEventListener("change", show);
  show();
}

/** As soon as the last line of own facts is used, there is one more. @param {HTMLFormElement} form */
function facts(form) {
  const box = form.querySelector(".own-facts");
  box?.addEventListener("input", () => {
    const lines = [...box.querySelectorAll(".fact-line")];
    const last = lines.at(-1);
    if (!last || ![...last.querySelectorAll("input")].some((one) => one.value)) return;
    const line = /** @type {HTMLElement} */ (last.cloneNode(true));
    for (const [at, one] of [...line.querySelectorAll("input")].entries()) {
      one.value = "";
      one.name = `${at ? "value" : "fact"}-${lines.length}`;
      one.setAttribute("aria-label", `${one.getAttribute("aria-label")?.replace(/\d+$/, "")}${lines.length + 1}`);
    }
    box.append(line);
  });
}

/* -- what is changed without leaving -- */

/** Send the form and take over what the page says then; what was typed elsewhere stays. @param {HTMLFormElement} form */
function swap(form) {
  const draft = form.dataset.draft ? draftOf(form) : null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const sign = form.querySelector(".saved");
    const area = form.querySelector("textarea");
    if (draft && !area?.value.trim()) return;
    const sent = area?.value;
    const body = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
    for (const button of form.querySelectorAll("button")) button.disabled = true;
    const got = await page(form.action, { method: "POST", body });
    for (const button of form.querySelectorAll("button")) button.disabled = false;
    if (!got?.answer.ok) {
      if (got && !draft) form.submit(); // the page says what is wrong
      else (sign ?? signed(form)).textContent = draft ? "Kept in this browser, not saved yet" : "Not saved: no connection, or you are signed out";
      return;
    }
    if (draft && area && area.value === sent) { area.value = ""; draft.forget(); }
    if (sign) sign.textContent = "";
    const focused = document.activeElement;
    for (const part of document.querySelectorAll("[data-part]")) {
      const fresh = got.html.getElementById(part.id);
      if (fresh) { part.replaceChildren(...fresh.childNodes); wire(part); }
    }
    if (focused && !focused.isConnected) /** @type {HTMLElement|null} */ (document.querySelector("main"))?.focus();
  });
}

/** Where a form says how it went. @param {HTMLFormElement} form */
function signed(form) {
  const sign = document.createElement("span");
  sign.className = "saved";
  sign.setAttribute("role", "status");
  form.append(sign);
  return sign;
}

/** Give life to what is in it. @param {ParentNode} root */
function wire(root) {
  const each = (/** @type {string} */ what, /** @type {(one: any) => void} */ act) => {
    for (const one of root.querySelectorAll(what)) if (!one.hasAttribute("data-wired")) { one.setAttribute("data-wired", ""); act(one); }
  };
  each("[data-choose]", choose);
  each("[data-suggest]", suggest);
  each("[data-same]", same);
  each("form[data-new]", kinds);
  each("form[data-edit]", facts);
  each("form[data-chooser]", leadOn);
  each("form[data-swap]", swap);
  each("[data-call-note]", (area) => keep(area, area.dataset.callNote, area.parentElement.querySelector(".saved")));
}

wire(document);

/** Links that have a key of their own. */
for (const link of document.querySelectorAll("a[data-key]")) {
  keys({ [link.getAttribute("data-key") ?? ""]: () => { if (!link.isConnected) return false; /** @type {HTMLElement} */ (link).click(); } });
}
const composer = /** @type {HTMLTextAreaElement|null} */ (document.querySelector(".composer textarea"));
if (composer) keys({ n: () => (document.querySelector("#cards textarea") ?? composer).focus() }); // a card is a call that goes on
