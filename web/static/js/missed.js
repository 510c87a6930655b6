// @ts-check
/** The list of missed calls: what is done is done without leaving it, and what others do shows by itself. */
import { say, submit } from "./form-drafts.js";
import { UNREACHABLE } from "./form-send.js";
import { keys } from "./keys.js";
import { _ } from "./messages.js";
import { meta } from "./page.js";
import { bindToasts } from "./toast.js";

const PATIENCE = 400; // ms; several changes of one call come together
const PATIENT = 5_000; // ms until a server that does not answer is taken for gone
const EVERY = 60_000; // ms; "overdue by 5 min" grows by itself
let asking = 0;
/** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;

const list = () => /** @type {HTMLElement|null} */ (document.getElementById("missed"));

/**
 * Put the list of another copy of this page in the place of ours. The focus stays on its row; when somebody else changed
 * the list, what we did a moment ago can still be taken back. @param {Document} html @param {boolean} [own]
 */
function swap(html, own = false) {
  const fresh = html.getElementById("missed");
  const old = list();
  if (!fresh || !old) return;
  const row = /** @type {HTMLElement|null} */ (document.activeElement?.closest("[data-entry]"));
  const at = row ? [...old.querySelectorAll("[data-entry]")].indexOf(row) : -1;
  const kind = document.activeElement?.matches(".call-back") ? ".call-back" : "a.who";
  const said = old.querySelector(".toast");
  if (said && !own && !fresh.querySelector(".toast")) fresh.append(said);
  old.replaceWith(document.adoptNode(fresh));
  bindToasts(fresh);
  bind();
  if (at < 0) return;
  const rows = [...fresh.querySelectorAll("[data-entry]")];
  const same = rows.find((one) => /** @type {HTMLElement} */ (one).dataset.entry === row?.dataset.entry);
  const next = same ?? rows[Math.min(at, rows.length - 1)];
  /** @type {HTMLElement|null} */ (next?.querySelector(kind) ?? next?.querySelector("a.who"))?.focus({ preventScroll: true });
}

/** Nothing is put under somebody's hands: an open box or a field in use waits for the next change. */
const busy = () => pressed || Boolean(list()?.querySelector("details[open]") || document.activeElement?.closest("#missed :is(input, select, textarea)"));
let pressed = false; // a click whose row is exchanged between pressing and letting go is lost
addEventListener("pointerdown", (event) => { pressed = Boolean(/** @type {Element} */ (event.target).closest?.("#missed")); }, { capture: true });
for (const over of ["pointerup", "pointercancel"]) addEventListener(over, () => { setTimeout(() => { pressed = false; if (late) changed(); }); }, { capture: true });

async function refresh() {
  if (document.hidden || busy()) { late = true; return; }
  late = false;
  const turn = ++asking;
  try {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (!answer.ok || answer.redirected) return;
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (turn !== asking) return; // a newer list has been asked for
    if (busy()) late = true; else swap(html); // somebody may have taken a row in hand since we asked
  } catch { /* the line about the lost connection says it */ }
}
let late = false;

const changed = () => { clearTimeout(soon); soon = setTimeout(refresh, PATIENCE); };
document.addEventListener("switchhook:missed", changed);
setInterval(changed, EVERY);
document.addEventListener("visibilitychange", () => { if (!document.hidden && late) changed(); });
document.addEventListener("focusout", () => { if (late) changed(); });
document.addEventListener("toggle", (event) => { if (late && !(/** @type {HTMLDetailsElement} */ (event.target).open)) changed(); }, true);
document.addEventListener("toggle", (event) => { offer(/** @type {HTMLDetailsElement} */ (event.target)); }, true);

/** The names of everybody are on the page once; a row's own choice is made of them when its box opens. @param {HTMLDetailsElement} box */
function offer(box) {
  for (const choice of box.open ? box.querySelectorAll("select[data-options]:empty") : []) {
    const select = /** @type {HTMLSelectElement} */ (choice);
    const names = /** @type {HTMLTemplateElement|null} */ (document.getElementById(select.dataset.options ?? ""));
    if (names) select.append(names.content.cloneNode(true));
    if (select.dataset.chosen) select.value = select.dataset.chosen;
  }
}
document.addEventListener("click", (event) => {
  for (const box of document.querySelectorAll("#missed details[open]")) if (!box.contains(/** @type {Node} */ (event.target))) box.removeAttribute("open");
});

/** A form of the list: sent without leaving the page. @param {HTMLFormElement} form @param {HTMLElement|null} submitter */
async function act(form, submitter) {
  asking += 1;
  const answer = await submit(form, submitter);
  if (answer?.outcome === "page") swap(answer.html, true);
  if (answer?.outcome === "saved") await reload(answer.to, form);
}

/** @param {string} url @param {HTMLFormElement|null} form */
async function reload(url, form) {
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENT) });
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"), true);
  } catch { if (form) say(form, UNREACHABLE); }
}

function bind() {
  const here = list();
  if (!here) return;
  for (const form of here.querySelectorAll("form[data-act]:not([data-bound])")) {
    form.setAttribute("data-bound", "");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void act(/** @type {HTMLFormElement} */ (form), /** @type {SubmitEvent} */ (event).submitter);
    });
  }
  for (const link of here.querySelectorAll("[data-call-back]")) link.addEventListener("click", () => { calling(/** @type {HTMLElement} */ (link)); });
}

const OPENS = 1_500; // ms in which a program that answers to tel: links comes to the front

/**
 * The number is copied, and dialled by whatever answers to tel: links. Only when such a program really came to the front we
 * note who is calling: where nothing dials, nobody has claimed anything. @param {HTMLElement} link
 */
async function calling(link) {
  const row = link.closest("[data-entry]");
  const opened = dialled();
  try { await navigator.clipboard.writeText(link.dataset.number ?? ""); label(link, _("Number copied")); } catch { /* it is dialled, or read from the row */ }
  if (!(await opened)) return;
  if (row?.querySelector('form[action$="/release"]')) return; // it is ours already
  const body = new URLSearchParams({ csrf: meta("csrf"), back: location.search.slice(1) });
  asking += 1;
  try {
    const answer = await fetch(link.dataset.callBack ?? "", { method: "POST", body, signal: AbortSignal.timeout(PATIENT) });
    swap(new DOMParser().parseFromString(await answer.text(), "text/html"), true);
  } catch { /* the line about the lost connection says it */ }
}

/** Whether another program took the focus. @returns {Promise<boolean>} */
const dialled = () => new Promise((tell) => {
  const end = (/** @type {boolean} */ yes) => { removeEventListener("blur", gone); clearTimeout(late); tell(yes); };
  const gone = () => end(true);
  const late = setTimeout(() => end(false), OPENS);
  addEventListener("blur", gone);
});

/** @param {HTMLElement} link @param {string} text */
function label(link, text) {
  const word = link.querySelector("span");
  if (!word) return;
  const before = word.textContent;
  word.textContent = text;
  setTimeout(() => { word.textContent = before; }, 2_000);
}

keys({
  b: () => {
    const link = document.activeElement?.closest("[data-entry]")?.querySelector("[data-call-back]");
    if (!(link instanceof HTMLElement)) return false;
    link.click();
  },
});
bind();
document.addEventListener("switchhook:results", bind);
