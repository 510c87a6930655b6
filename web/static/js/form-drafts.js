// @ts-check
/**
 * Typing is never lost: the one helper for every form that changes something. Each keystroke goes to this browser's storage
 * under the account's name; what comes back to a form says so. A form is sent without leaving the page; when Switchhook
 * cannot be reached it waits, is sent as soon as that is possible again, and until then a line on every page says so.
 *
 * Nothing has to be wired: it listens on the document, so forms in dialogs and in refreshed parts are covered too. A form with
 * its own script (`submit` prevented) calls `saved` or `waits` itself.
 */
import { hasLeftSince } from "./departure.js";
import * as drafts from "./drafts.js";
import { clear, problemsIn, sentencesIn, showProblems } from "./form-problems.js";
import { sendForm, toSignIn, UNREACHABLE } from "./form-send.js";
import { _ } from "./messages.js";

/** @typedef {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} Field */
/** @typedef {import("./drafts.js").Value} Value */

const KEPT = _("What you typed is kept in this browser and is sent as soon as that is possible.");
const RECENTLY = 10_000; // ms in which a page that was asked for must have come
const BASE = /^(version|expected|seen|was-.*)$/; // what the form was filled from; a conflict is found by it
const PASSING = /^(csrf|back|here|next|sure)$/; // hidden fields that do not say which form it is
const NEVER = "[type=hidden], [type=password], [type=file], [type=submit], [type=button], [data-address], [readonly]";

/** Whether what is typed here is worth keeping: not a search, not a filter, not a dialog that only closes. @param {HTMLFormElement} form */
const keeps = (form) => !form.matches("[data-filters], [data-save], [data-wrong], [data-chooser], [data-no-draft], [role=search], .door")
  && form.getAttribute("method") !== "dialog" && (form.method === "post" || !form.hasAttribute("action")) && fieldsOf(form).length > 0;

/** @param {HTMLFormElement} form @returns {Field[]} */
const fieldsOf = (form) => /** @type {Field[]} */ ([...form.elements].filter((one) => one.matches("input, textarea, select") && !one.matches(NEVER) && /** @type {Field} */ (one).name && !one.closest("[data-own-draft]")));

/** The same form has the same name on whichever page it is shown. @param {HTMLFormElement} form */
function nameOf(form) {
  const own = form.dataset.grade ?? form.dataset.panel;
  if (own !== undefined) return `form ${location.pathname} ${own}`;
  const told = [...form.querySelectorAll("input[type=hidden]")].map((one) => /** @type {HTMLInputElement} */ (one))
    .filter((one) => one.name && !BASE.test(one.name) && !PASSING.test(one.name) && !one.closest("[data-row]")).map((one) => `${one.name}=${one.defaultValue}`);
  const kinds = [...new Set(fieldsOf(form).filter((one) => !one.closest("[data-row], .own-facts, .phones, .choices")).map((one) => one.name))];
  return `form ${new URL(form.action).pathname} ${told.join("&")} ${kinds.slice(0, 3).join(",")}`.trim();
}

/** @param {Field} field */
function isChanged(field) {
  if (field instanceof HTMLSelectElement) {
    const standing = [...field.options].some((one) => one.defaultSelected);
    return [...field.options].some((one, at) => one.selected !== (standing ? one.defaultSelected : !field.multiple && at === 0));
  }
  if (field instanceof HTMLInputElement && (field.type === "radio" || field.type === "checkbox")) return field.checked !== field.defaultChecked;
  return field.value !== field.defaultValue;
}

/** Where a field stands among those of its name. @param {HTMLFormElement} form @param {Field} field */
const placeOf = (form, field) => fieldsOf(form).filter((one) => one.name === field.name).indexOf(field);

/** What differs from what the server sent. @param {HTMLFormElement} form @returns {Value[]} */
function changes(form) {
  return fieldsOf(form).filter(isChanged).map((field) => {
    const choice = field instanceof HTMLInputElement && (field.type === "radio" || field.type === "checkbox");
    const value = choice ? (/** @type {HTMLInputElement} */ (field).checked ? field.value : "") : field.value;
    const label = choice && field.type === "radio" && field.closest(".choices") ? field.closest("label")?.textContent?.trim() : undefined;
    return { name: field.name, index: choice && field.type === "radio" ? -1 : placeOf(form, field), value, ...(label && { label }) };
  }).filter((one) => one.index >= 0 || one.value); // of radios only the one that is chosen
}

/** What a person calls this form, for the line about what is not saved. @param {HTMLFormElement} form */
function labelOf(form) {
  const heading = form.closest("section, dialog, [data-sheet], main")?.querySelector("h1, h2")?.textContent?.trim();
  return (heading || document.title).replace(/\s+/g, " ").slice(0, 80);
}

/** @param {HTMLFormElement} form */
function keep(form) {
  if (!keeps(form)) return;
  const values = changes(form);
  if (!values.length) { drafts.drop(nameOf(form)); say(form, ""); return; }
  const name = nameOf(form), before = drafts.read(name);
  if (before && JSON.stringify(before.values) === JSON.stringify(values)) return; // what waits goes on waiting
  // A new id: what is typed now is another thing than what may have arrived already.
  const kept = drafts.write(name, { ...describe(form), id: drafts.newId(), state: "typed", values });
  if (!kept) say(form, _("This browser keeps no drafts: save before you leave this page."));
  form.toggleAttribute("data-unkept", !kept);
}

/** @param {HTMLFormElement} form */
function describe(form) {
  const hidden = [...form.querySelectorAll("input[type=hidden]")].map((one) => /** @type {HTMLInputElement} */ (one));
  const base = Object.fromEntries(hidden.filter((one) => BASE.test(one.name)).map((one) => [one.name, one.value]));
  return { kind: /** @type {const} */ ("form"), label: labelOf(form), page: location.pathname + location.search, action: form.action, base };
}

/** Put back what was typed here before. @param {HTMLFormElement} form */
function restore(form) {
  if (!keeps(form) || form.hasAttribute("data-restored")) return;
  form.setAttribute("data-restored", "");
  const draft = drafts.read(nameOf(form));
  if (!draft?.values?.length) return;
  for (const [name, value] of Object.entries(draft.base ?? {})) {
    const field = form.querySelector(`input[type=hidden][name="${CSS.escape(name)}"]`);
    if (field) /** @type {HTMLInputElement} */ (field).value = value;
  }
  if (!fill(form, draft.values)) return;
  for (let box = form.closest("details"); box; box = box.parentElement?.closest("details") ?? null) box.open = true;
  say(form, draft.state === "refused" && draft.text ? draft.text : draft.state === "waiting" ? `${_("Not saved yet.")} ${KEPT}` : _("What you typed before is here again, not saved yet."), true);
}

/** @param {HTMLFormElement} form @param {Value[]} values @returns {boolean} whether anything was put in */
function fill(form, values) {
  let put = false;
  for (const value of values) {
    const field = target(form, value);
    if (!field) continue;
    if (field instanceof HTMLInputElement && (field.type === "radio" || field.type === "checkbox")) field.checked = Boolean(value.value);
    else field.value = value.value;
    for (let box = field.closest("details"); box && form.contains(box); box = box.parentElement?.closest("details") ?? null) box.open = true;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
    put = true;
  }
  return put;
}

/** @param {HTMLFormElement} form @param {Value} value @returns {Field|undefined} */
function target(form, value) {
  const fields = () => fieldsOf(form).filter((one) => one.name === value.name);
  const add = /** @type {HTMLElement|null} */ (form.querySelector("[data-add]"));
  for (let row = 0; !fields().length && add && !add.hidden && row < 40; row += 1) add.click(); // a line that was added by hand
  if (value.index >= 0) return fields()[value.index];
  const chosen = fields().find((one) => one.value === value.value);
  const choices = form.querySelector(".choices");
  if (chosen || !choices || !value.label) return chosen;
  const label = document.createElement("label"); // somebody who was found while typing
  label.className = "choice";
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: value.name, value: value.value });
  label.append(radio, ` ${value.label}`);
  choices.append(label);
  return radio;
}

/* -- what a form says of itself -- */

/** One line at the end of the form. @param {HTMLFormElement} form @param {string} text @param {boolean} [discardable] */
export function say(form, text, discardable = false) {
  let sign = /** @type {HTMLElement|null} */ (form.querySelector(":scope > .form-sign"));
  if (!sign) {
    if (!text) return;
    sign = document.createElement("p");
    sign.className = "form-sign";
    sign.setAttribute("role", "status");
    form.append(sign);
  }
  sign.textContent = text;
  sign.hidden = !text;
  if (!discardable || !text) return;
  const button = document.createElement("button");
  Object.assign(button, { type: "button", className: "quiet", textContent: _("Discard") });
  button.addEventListener("click", () => { drafts.drop(nameOf(form)); clear(form); form.reset(); say(form, ""); });
  sign.append(" ", button);
}

/** It is saved: nothing has to be kept. @param {HTMLFormElement} form */
export function saved(form) {
  drafts.drop(nameOf(form));
  clear(form);
  say(form, "");
}

/** It could not be sent: it waits in this browser and is sent later. @param {HTMLFormElement} form @param {string} [why] @param {HTMLElement|null} [submitter] */
export function waits(form, why = UNREACHABLE, submitter = null) {
  if (!keeps(form)) { say(form, `${why} ${_("Nothing was changed; try again in a moment.")}`); return; }
  const name = nameOf(form);
  const secret = [...form.elements].some((one) => one.matches("[type=password], [type=file]") && /** @type {HTMLInputElement} */ (one).value);
  const body = secret ? undefined : entries(form, submitter).map(([key, value]) => /** @type {[string, string]} */ ([key, String(value)]));
  drafts.write(name, { ...describe(form), state: body ? "waiting" : "typed", values: changes(form), body });
  say(form, secret ? `${why} ${_("Nothing was saved; try again in a moment.")}` : `${why} ${KEPT}`);
}

/* -- sending -- */

/** @param {HTMLFormElement} form @param {HTMLElement|null} submitter @returns {[string, FormDataEntryValue][]} */
const entries = (form, submitter) => [...new FormData(form, submitter ?? undefined)];

/** Send it; what is wrong is said in it. @param {HTMLFormElement} form @param {HTMLElement|null} submitter */
export async function submit(form, submitter) {
  if (form.hasAttribute("data-sending")) return null;
  form.setAttribute("data-sending", "");
  form.setAttribute("aria-busy", "true");
  const name = nameOf(form);
  const sent = entries(form, submitter);
  const id = drafts.read(name)?.id ?? drafts.newId();
  try {
    const answer = await sendForm(form.action, sent, id, form.enctype === "multipart/form-data");
    if (answer.outcome === "signed-out") { keep(form); toSignIn(); }
    if (answer.outcome === "unreachable") waits(form, answer.why, submitter);
    if (answer.outcome === "refused") { renewId(name); refuse(form, answer.html); }
    if (answer.outcome === "conflict") { renewId(name); conflict(form, answer.html); }
    if (answer.outcome === "saved") saved(form);
    return answer;
  } finally {
    form.removeAttribute("data-sending");
    form.removeAttribute("aria-busy");
  }
}

/** What was refused and is sent again is another thing. @param {string} name */
function renewId(name) {
  const draft = drafts.read(name);
  if (draft) drafts.write(name, { ...draft, id: drafts.newId(), state: "typed", body: undefined });
}

/** What the server says, at the fields; the form stays as it is. @param {HTMLFormElement} form @param {Document} html */
function refuse(form, html) {
  const homeless = [...sentencesIn(html), ...showProblems(form, problemsIn(html))];
  say(form, homeless.join(" ") || (problemsIn(html).length ? "" : _("That could not be saved.")));
  form.querySelector(":scope > .form-sign")?.classList.toggle("bad", homeless.length > 0);
}

/** Somebody was quicker, or something is asked back: the server's form takes the place of ours, with what was typed in it.
 * @param {HTMLFormElement} form @param {Document} html */
function conflict(form, html) {
  const values = changes(form);
  const fresh = [...html.forms].find((one) => one.getAttribute("action") === form.getAttribute("action") && one.method === "post" && one.querySelector("input:not([type=hidden])"));
  if (!fresh) { refuse(form, html); return; }
  const told = [...html.querySelectorAll("main .problem")].map((one) => document.importNode(one, true));
  form.replaceChildren(...document.adoptNode(fresh).childNodes);
  for (const one of form.parentElement?.querySelectorAll(":scope > .problem") ?? []) one.remove();
  form.before(...told);
  document.dispatchEvent(new CustomEvent("switchhook:form", { detail: form }));
  fill(form, values);
  keep(form);
  /** @type {HTMLElement|undefined} */ (told[0])?.scrollIntoView({ block: "nearest" });
}

/** A page instead of a redirect. @param {HTMLFormElement} form @param {Document} html */
function showPage(form, html) {
  saved(form);
  const [here, there] = [document.querySelector("main"), html.querySelector("main")];
  if (!here || !there) return;
  here.replaceChildren(...document.adoptNode(there).childNodes);
  document.title = html.title;
  here.focus();
  document.dispatchEvent(new CustomEvent("switchhook:form", { detail: here }));
}

/** @param {string} to */
function goOn(to) {
  const url = new URL(to, location.href);
  leaving = true;
  if (url.pathname + url.search === location.pathname + location.search) { if (url.hash) history.replaceState(null, "", url); location.reload(); } else location.assign(url);
}

addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const submitter = /** @type {HTMLElement|null} */ (event.submitter);
  if (event.defaultPrevented || form.method !== "post" || form.matches("[data-native], .door")) return;
  event.preventDefault();
  const asked = performance.now();
  void submit(form, submitter).then((answer) => {
    if (answer?.outcome === "saved") { if (hasLeftSince(asked)) say(form, _("Saved.")); else goOn(answer.to); }
    if (answer?.outcome === "page") showPage(form, answer.html);
  });
});

document.addEventListener("switchhook:saved", (event) => { // what had waited has arrived, perhaps while its form is open
  const { name, to } = /** @type {CustomEvent} */ (event).detail;
  const form = [...document.forms].find((one) => keeps(one) && nameOf(one) === name);
  if (!form) return;
  const active = document.activeElement;
  form.reset();
  clear(form);
  if (form.matches("[data-swap], [data-quick]")) { say(form, ""); return; }
  const isElsewhere = active?.matches("input, textarea, select") && !form.contains(active);
  if (to && !isElsewhere && !hasLeftSince(performance.now() - RECENTLY)) { goOn(to); return; }
  say(form, _("Saved."));
});

/* -- every form, whenever it comes -- */

let leaving = false;
for (const kind of ["input", "change"]) {
  addEventListener(kind, (event) => {
    const form = /** @type {Partial<Field>} */ (event.target).form;
    if (form instanceof HTMLFormElement) keep(form);
  });
}
addEventListener("reset", (event) => { drafts.drop(nameOf(/** @type {HTMLFormElement} */ (event.target))); });
addEventListener("click", (event) => { // "Leave as it was", "Cancel": said on purpose
  const cancel = /** @type {Element} */ (event.target).closest?.("[data-cancel]");
  const form = cancel?.closest("form");
  if (form) drafts.drop(nameOf(form));
});
addEventListener("beforeunload", (event) => {
  const unkept = [...document.forms].some((form) => form.hasAttribute("data-unkept") || [...form.elements].some((one) => one.matches("[type=password], [type=file]") && !form.matches(".door") && /** @type {HTMLInputElement} */ (one).value));
  if (unkept && !leaving) event.preventDefault();
});

/** @param {ParentNode} root */
export function restoreAll(root) {
  for (const form of root.querySelectorAll("form")) restore(form);
}

// After every script of the page: a form may grow a line while it is filled.
if (document.readyState === "complete") restoreAll(document); else addEventListener("DOMContentLoaded", () => restoreAll(document));
new MutationObserver((changed) => {
  for (const { addedNodes } of changed) for (const node of addedNodes) if (node instanceof HTMLElement) queueMicrotask(() => { if (node instanceof HTMLFormElement) restore(node); else restoreAll(node); });
}).observe(document.body, { childList: true, subtree: true });
