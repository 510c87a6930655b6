// @ts-check
/** What is wrong with a form, said at its fields: all of it at once, in our own words, the focus on the first. */
import { _, ngettext } from "./messages.js";

/** @typedef {{field: string, message: string}} Problem */
/** @typedef {HTMLInputElement|HTMLTextAreaElement|HTMLSelectElement} Field */

let made = 0;
/** @type {Field[]} */ let invalid = [];

// The browser's own bubbles speak the browser's language, one at a time; `invalid` comes once for each wrong field.
addEventListener("invalid", (event) => {
  event.preventDefault();
  const field = /** @type {Field} */ (event.target);
  if (!invalid.length) queueMicrotask(showInvalid);
  invalid.push(field);
}, true);

function showInvalid() {
  const fields = invalid;
  invalid = [];
  const form = fields[0]?.form;
  if (!form) return;
  clear(form);
  for (const field of fields) mark(field, sentence(field));
  lead(fields[0]);
}

/** @type {[keyof ValidityState, (field: any) => string][]} */
const SENTENCES = [
  ["valueMissing", (field) => (field.type === "radio" || field.tagName === "SELECT" ? _("Please choose one.") : field.type === "file" ? _("Please choose a file.") : _("Please fill this in."))],
  ["badInput", (field) => (field.type === "date" ? _("This date is not complete.") : field.type === "time" ? _("This time is not complete.") : _("Please write a number."))],
  ["typeMismatch", (field) => (field.type === "email" ? _("Please write an e-mail address, like name@example.com.") : _("Please write an address that begins with https://."))],
  ["rangeUnderflow", (field) => _("At least {least}.", { least: field.min })],
  ["rangeOverflow", (field) => _("At most {most}.", { most: field.max })],
  ["stepMismatch", () => _("Please write a whole number.")],
  ["tooShort", (field) => ngettext("At least {n} character.", "At least {n} characters.", field.minLength)],
  ["tooLong", (field) => ngettext("At most {n} character.", "At most {n} characters.", field.maxLength)],
  ["patternMismatch", (field) => field.title || _("This is not written as it is needed here.")],
];

/** @param {Field} field */
function sentence(field) {
  const kind = SENTENCES.find(([name]) => field.validity[name]);
  return kind ? kind[1](field) : field.validationMessage;
}

/** Say each at its field; what belongs to no field comes back. @param {HTMLFormElement} form @param {Problem[]} problems */
export function showProblems(form, problems) {
  clear(form);
  const homeless = [];
  /** @type {Field[]} */ const marked = [];
  for (const { field: name, message } of problems) {
    const field = fieldOf(form, name);
    if (!field) { homeless.push(message); continue; }
    mark(field, message);
    marked.push(field);
  }
  if (marked.length) lead(marked[0]);
  return homeless;
}

/** @param {HTMLFormElement} form @param {string} name @returns {Field|null} */
function fieldOf(form, name) {
  const fields = [...form.elements].filter((one) => /** @type {Field} */ (one).name === name && /** @type {Field} */ (one).type !== "hidden");
  return /** @type {Field|null} */ (fields[0] ?? null);
}

/** @param {Field} field @param {string} message */
function mark(field, message) {
  if (field.getAttribute("aria-invalid") === "true") return; // a group of radios is said once
  const said = document.createElement("small");
  said.className = "field-problem";
  said.id = `field-problem-${(made += 1)}`;
  said.textContent = message;
  const beside = /** @type {HTMLElement} */ (field.closest("fieldset.kinds, .phone-line, .fact-line, .when, .password-field") ?? field.closest("label") ?? field);
  field.parentElement?.querySelector(".field-echo")?.replaceChildren();
  beside.after(said);
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", [field.getAttribute("aria-describedby"), said.id].filter(Boolean).join(" "));
  field.addEventListener("input", () => unmark(field), { once: true });
}

/** @param {Field} field */
function unmark(field) {
  field.removeAttribute("aria-invalid");
  const left = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((id) => {
    const ours = id.startsWith("field-problem-");
    if (ours) document.getElementById(id)?.remove();
    return id && !ours;
  });
  if (left.length) field.setAttribute("aria-describedby", left.join(" ")); else field.removeAttribute("aria-describedby");
}

/** @param {HTMLFormElement} form */
export function clear(form) {
  for (const field of form.elements) if (field.getAttribute("aria-invalid")) unmark(/** @type {Field} */ (field));
}

/** @param {Field} field */
function lead(field) {
  for (let box = field.closest("details"); box; box = box.parentElement?.closest("details") ?? null) box.open = true;
  field.focus();
}

/** What a page of the server says is wrong. @param {ParentNode} page @returns {Problem[]} */
export function problemsIn(page) {
  const listed = [...page.querySelectorAll("[data-problems] [data-field]")];
  return listed.map((one) => ({ field: one.getAttribute("data-field") ?? "", message: one.textContent?.trim() ?? "" }));
}

/** The sentences of a page that are about no field; of an error page its heading and its remedy. @param {Document} page */
export function sentencesIn(page) {
  const texts = (/** @type {string} */ what) => [...page.querySelectorAll(what)].map((one) => one.textContent?.trim() ?? "").filter(Boolean);
  const said = texts("main .problem:not([data-problems])");
  return said.length || page.querySelector("[data-problems]") ? said : texts("main > h1, main > h1 + p");
}

// A page that came with problems (a browser without our sending of forms): they go to their fields.
for (const list of document.querySelectorAll("[data-problems]")) {
  const form = [...document.forms].find((one) => one.method === "post" && new URL(one.action).pathname === location.pathname && problemsIn(document).some(({ field }) => fieldOf(one, field)));
  if (form && !showProblems(form, problemsIn(document)).length) list.remove();
}
