// @ts-check
/**
 * Sends what waits in this browser, from whichever page is open, and says on every page how much is not saved yet. Before
 * somebody signs out, what can be sent is sent; the rest is named, and goes only when they say so.
 */
import * as drafts from "./drafts.js";
import { leave, sendForm } from "./form-send.js";
import { _, ngettext } from "./messages.js";
import { meta, request } from "./page.js";

/** @typedef {import("./drafts.js").Draft} Draft */

const EVERY = 4_000; // ms between two tries
const RESTING = 2_500; // ms a note was not typed in: until then its own field saves it
const line = document.getElementById("unsaved");
let trying = false;

const isWaiting = (/** @type {Draft} */ draft) => draft.state === "waiting";
/** A note is to be saved without anybody pressing anything. @param {Draft} draft */
const isDue = (draft) => isWaiting(draft) || (draft.kind === "note" && draft.state === "typed" && Date.now() - draft.at > RESTING);

/** Try everything once. @param {boolean} [now] also what is still being typed @returns {Promise<void>} */
export async function flush(now = false) {
  if (trying && !now) return;
  trying = true;
  try {
    for (const [name, draft] of drafts.all()) {
      if (!(isDue(draft) || (now && draft.kind === "note" && draft.state !== "refused"))) continue;
      if (!(await sendOne(name, draft))) break; // not reachable: nor are the others
    }
  } finally { trying = false; }
  show();
}

/** @param {string} name @param {Draft} draft @returns {Promise<boolean>} whether the next one is worth trying */
async function sendOne(name, draft) {
  const { result, to } = draft.call ? { result: await sendCall(draft), to: "" } : await sendBody(draft);
  if (result === "unreachable") { if (!isWaiting(draft)) mark(name, draft, { state: "waiting" }); return false; }
  const now = drafts.read(name);
  if (!now || now.at !== draft.at) return true; // typed on meanwhile: that is sent next
  if (result === "saved") {
    drafts.drop(name);
    document.dispatchEvent(new CustomEvent("switchhook:saved", { detail: { name, draft, to } }));
  } else mark(name, draft, { state: "refused", text: draft.kind === "note" ? draft.text : result });
  return true;
}

/** @param {string} name @param {Draft} draft @param {Partial<Draft>} change */
const mark = (name, draft, change) => { if (drafts.read(name)?.at === draft.at) drafts.write(name, { ...draft, ...change }); };

/** @param {Draft} draft @returns {Promise<string>} `saved`, `unreachable`, or why it was refused */
async function sendCall(draft) {
  const call = /** @type {import("./drafts.js").ApiCall} */ (draft.call);
  try {
    const answer = await request(call.method, call.path, call.body);
    if (answer.ok) return "saved";
    if (answer.status >= 500 || answer.status === 401 || answer.status === 403 || answer.status === 429) return "unreachable";
    const told = await answer.json().catch(() => ({}));
    return [told.detail, told.remedy].filter(Boolean).join(" ") || _("That could not be saved.");
  } catch { return "unreachable"; }
}

/** @param {Draft} draft @returns {Promise<{result: string, to: string}>} */
async function sendBody(draft) {
  if (!draft.action || !draft.body) return { result: "unreachable", to: "" };
  const answer = await sendForm(draft.action, draft.body, draft.id);
  if (answer.outcome === "saved") return { result: "saved", to: answer.to };
  if (answer.outcome === "page") return { result: "saved", to: "" };
  if (answer.outcome === "unreachable" || answer.outcome === "signed-out") return { result: "unreachable", to: "" };
  return { result: answer.outcome === "conflict" ? CONFLICT : REFUSED, to: "" };
}

const CONFLICT = _("Somebody changed this meanwhile. What you typed is here, not saved yet.");
const REFUSED = _("It was not accepted like this. What you typed is here, not saved yet.");

/* -- what is not saved yet -- */

/** What is left, as a sentence: each kind has its own, because a language may order a list in another way. @param {number} notes @param {number} forms */
function unsavedSentence(notes, forms) {
  const written = ngettext("{n} note", "{n} notes", notes), sent = ngettext("{n} form", "{n} forms", forms);
  if (notes && forms) return _("{notes} and {forms} not saved yet:", { notes: written, forms: sent });
  return _("{what} not saved yet:", { what: notes ? written : sent });
}

/** The line on every page. It covers nothing and moves nothing. */
function show() {
  if (!line) return;
  const left = drafts.all().filter(([, draft]) => draft.state !== "typed");
  line.hidden = !left.length;
  if (!left.length) { line.replaceChildren(); return; }
  const notes = left.filter(([, draft]) => draft.kind === "note").length, forms = left.length - notes;
  const links = left.slice(0, 3).map(([, draft]) => Object.assign(document.createElement("a"), { href: draft.page, textContent: draft.label }));
  line.replaceChildren(`${unsavedSentence(notes, forms)} `, ...links.flatMap((link, at) => (at ? [", ", link] : [link])), left.length > 3 ? " …" : "");
}

drafts.watch(show);
setInterval(() => { if (drafts.all().some(([, draft]) => isDue(draft))) void flush(); }, EVERY);
addEventListener("online", () => { void flush(); });
document.addEventListener("switchhook:connected", () => { void flush(); });
show();
void flush();

/* -- signing out -- */

let sure = false;
for (const out of document.querySelectorAll('form[action="/sign-out"]')) {
  out.addEventListener("submit", (event) => { event.preventDefault(); void signOut(/** @type {HTMLFormElement} */ (out)); });
}

/** @param {HTMLFormElement} form */
async function signOut(form) {
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("button"));
  await flush(true);
  const left = drafts.all().filter(([, draft]) => draft.state !== "typed" || draft.kind === "note");
  if (left.length && !sure) {
    sure = true; // the second press is meant
    show();
    button.textContent = _("Sign out and discard it");
    return;
  }
  drafts.dropAll();
  sessionStorage.clear();
  leave();
  /** @type {HTMLInputElement} */ (form.elements.namedItem("csrf")).value = meta("csrf");
  form.submit();
}
