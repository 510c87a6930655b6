// @ts-check
/** Small forms in a dialog, and what their fields do while one types. */
import { page, paused } from "./people-asking.js";

/** @type {Map<string, HTMLDialogElement>} closed with something typed in them: it is there again the next time */
const kept = new Map();

/** Show the form of another page here; Esc and Back lead to where we were.
 * @param {string} url @param {HTMLElement} opener @param {(root: ParentNode) => void} wire gives life to what is shown */
export async function sheet(url, opener, wire) {
  const left = kept.get(url);
  if (left) { document.body.append(left); left.showModal(); return; }
  const got = await page(url);
  const content = got?.html.querySelector("[data-sheet]");
  if (!content || !got?.answer.ok) { location.href = url; return; }
  const dialog = document.createElement("dialog");
  dialog.className = "sheet-dialog";
  fill(dialog, content, wire);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    const typed = [...dialog.querySelectorAll("input:not([type=radio], [type=checkbox]), textarea")].some((one) => { const field = /** @type {HTMLInputElement} */ (one); return field.value !== field.defaultValue; });
    if (typed) kept.set(url, dialog); else kept.delete(url);
    dialog.remove();
    opener.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (/** @type {Element} */ (event.target).closest("[data-close]")) { event.preventDefault(); dialog.close(); }
  });
  dialog.showModal();
}

/** @param {HTMLElement} dialog @param {Element} content @param {(root: ParentNode) => void} wire */
function fill(dialog, content, wire) {
  for (const one of content.querySelectorAll("noscript")) one.remove();
  const title = content.querySelector("h1");
  if (title) { title.id = "sheet-title"; dialog.setAttribute("aria-labelledby", "sheet-title"); }
  dialog.replaceChildren(content);
  wire(dialog);
  /** @type {HTMLElement|null} */ (dialog.querySelector("[autofocus]"))?.focus();
}

/** A form that only leads on (who is merged with whom) goes on in the same dialog.
 * @param {HTMLFormElement} form @param {(root: ParentNode) => void} wire */
export function leadOn(form, wire) {
  form.addEventListener("submit", async (event) => {
    const dialog = form.closest("dialog");
    if (!dialog) return;
    event.preventDefault();
    const url = `${form.action}?${new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]))}`;
    const content = (await page(url))?.html.querySelector("[data-sheet]");
    if (content) fill(dialog, content, wire); else location.href = url;
  });
}

/** @param {HTMLInputElement} field */
export function choose(field) {
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
export function suggest(field) {
  field.addEventListener("input", paused(async (fresh) => {
    const got = await page(`/people/find?${new URLSearchParams({ q: field.value, kind: field.dataset.suggest ?? "" })}`);
    if (got && fresh()) field.list?.replaceChildren(...got.html.querySelectorAll("option"));
  }));
}

/** Say at once that a number is in the book already. @param {HTMLTextAreaElement} field */
export function same(field) {
  const said = field.form?.querySelector("[data-same-said]");
  const ask = paused(async (fresh) => {
    const got = await page(`/people/same?${new URLSearchParams({ phones: field.value })}`);
    if (got && fresh()) said?.replaceChildren(...got.html.body.childNodes);
  });
  field.addEventListener("input", ask);
  if (field.value) ask();
}

/** A company has no company. @param {HTMLFormElement} form */
export function kinds(form) {
  const show = () => {
    const kind = new FormData(form).get("kind");
    for (const one of form.querySelectorAll("[data-not]")) one.toggleAttribute("hidden", one.getAttribute("data-not") === kind);
  };
  form.addEventListener("change", show);
  show();
}

/** As soon as the last line of own facts is used, there is one more. @param {HTMLFormElement} form */
export function facts(form) {
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
