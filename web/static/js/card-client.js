// @ts-check
/** Who calls, on the card: name, deal, why; choosing between several, saving an unknown one, "wrong person". */
import * as drafts from "./drafts.js";
import { _, language } from "./messages.js";
import { request } from "./page.js";

/**
 * @typedef {{id: string, name: string, company: string|null, kind: string|null, spoken_at: string|null, deals: number}} Other
 * @typedef {{call_id: string, client: {id: string, name: string, href: string, company: string|null, kind: string|null}|null,
 *   deal: {title: string, href: string, state: string}|null, why: string[], unsure: boolean, others: Other[],
 *   choose: boolean, save: boolean, nobody: boolean}} Who
 */

const PAUSE = 200; // ms of no typing before people are looked for
const FIELDS = /** @type {const} */ (["name", "company"]);
const nameOf = (/** @type {string} */ id) => `form contact ${id}`;

/** @param {Element} element @param {string} selector @returns {HTMLElement} */
const part = (element, selector) => /** @type {HTMLElement} */ (element.querySelector(selector));

/** Begin: what is typed and pressed. @param {HTMLElement} card @param {(text: string) => void} say */
export function bindClient(card, say) {
  const form = /** @type {HTMLFormElement} */ (part(card, "[data-save]"));
  const wrong = /** @type {HTMLFormElement} */ (part(card, "[data-wrong]"));
  const act = (/** @type {Promise<Response>} */ asked, /** @type {string} */ done) => answer(card, asked, done, say);
  const about = () => card.dataset.about ?? "";
  const store = (/** @type {"typed"|"waiting"} */ state) => drafts.write(nameOf(about()), {
    kind: "form", label: part(card, '[data-slot="who"]').textContent ?? "", page: `/calls/${about()}`, state,
    values: FIELDS.map((name) => ({ name, index: 0, value: values(form)[name] })),
    call: { method: "POST", path: `/api/v1/calls/${about()}/contact`, body: values(form) },
  });
  form.addEventListener("input", () => { store("typed"); });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const id = about();
    void answer(card, request("POST", `/api/v1/calls/${id}/contact`, values(form)), _("Contact saved"), say, () => {
      store("waiting");
      say(_("Switchhook cannot be reached. The contact is kept in this browser and saved as soon as that is possible."));
    }).then((told) => {
      if (told && told.made) offerUndo(card, () => act(request("POST", `/api/v1/calls/${id}/contact/undo`, { contact_id: told.made }), _("Not saved as a contact any more.")));
    });
  });
  part(card, "[data-chooser]").addEventListener("change", (event) => {
    act(request("PUT", `/api/v1/calls/${about()}/who`, { client_id: /** @type {HTMLInputElement} */ (event.target).value }), _("Remembered for the next call"));
  });
  part(card, '[data-act="wrong"]').addEventListener("click", () => { open(card, true); wrong.q.focus(); });
  part(card, '[data-act="keep"]').addEventListener("click", () => { open(card, false); part(card, '[data-act="wrong"]').focus(); });
  const instead = async (/** @type {string|null} */ id) => {
    const before = card.dataset.client || null;
    const moved = await act(request("PUT", `/api/v1/calls/${about()}/who`, { client_id: id, wrong: before }), _("The call was moved."));
    if (moved) offerUndo(card, () => act(request("PUT", `/api/v1/calls/${about()}/who`, { client_id: before, wrong: id }), _("The call is where it was.")));
  };
  part(card, '[data-act="nobody"]').addEventListener("click", () => { void instead(null); });
  wrong.addEventListener("submit", (event) => event.preventDefault());
  part(wrong, '[data-slot="found"]').addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest("button");
    if (button?.dataset.id) void instead(button.dataset.id);
  });
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  wrong.q.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(() => look(wrong, about(), card.dataset.client ?? ""), PAUSE); });
}

/** Show what is known of the client now. @param {HTMLElement} card @param {Who|null} who */
export function showClient(card, who) {
  const all = part(card, "[data-client]");
  const text = JSON.stringify(who);
  if (all.dataset.shown === text) return;
  all.dataset.shown = text;
  all.hidden = !who;
  if (!who) return;
  card.dataset.about = who.call_id;
  if ((card.dataset.client ?? "") !== (who.client?.id ?? "")) open(card, false);
  card.dataset.client = who.client?.id ?? "";
  line(card, who);
  part(card, "[data-unsure]").hidden = !who.unsure;
  const doubt = part(card, '[data-act="wrong"]');
  doubt.hidden = wrongIsOpen(card);
  doubt.textContent = (who.client ? doubt.dataset.wrongWord : doubt.dataset.knownWord) ?? "";
  const why = part(card, "[data-why]");
  why.hidden = !who.why.length;
  part(card, '[data-slot="why"]').replaceChildren(...who.why.map((one) => item("li", one)));
  part(card, "[data-chooser]").hidden = !who.choose;
  if (who.choose) part(card, '[data-slot="choices"]').replaceChildren(...who.others.map(choice));
  const save = /** @type {HTMLFormElement} */ (part(card, "[data-save]"));
  if (save.hidden && who.save) restore(save, who.call_id);
  save.hidden = !who.save && !who.nobody;
}

/** Whether something is typed that is not stored yet. @param {HTMLElement} card */
export function unsaved(card) {
  const save = /** @type {HTMLFormElement} */ (part(card, "[data-save]"));
  return !save.hidden && Object.values(values(save)).some((text) => text.trim());
}

/** @param {HTMLElement} card @param {Who} who */
function line(card, who) {
  const of = part(card, "[data-of]"), deal = part(card, "[data-deal]");
  of.hidden = !who.client;
  part(card, '[data-slot="kind"]').textContent = who.client?.kind ?? "";
  part(card, '[data-slot="kind"]').hidden = !who.client?.kind;
  part(card, '[data-slot="company"]').textContent = who.client?.company ?? "";
  const person = /** @type {HTMLAnchorElement} */ (part(card, '[data-slot="person"]'));
  if (who.client) person.href = who.client.href;
  deal.hidden = !who.deal;
  const link = /** @type {HTMLAnchorElement} */ (part(card, '[data-slot="deal"]'));
  link.textContent = who.deal?.title ?? "";
  if (who.deal) link.href = who.deal.href;
  part(card, '[data-slot="stage"]').textContent = who.deal?.state ?? "";
}

/** @param {Other} other */
function choice(other) {
  const label = item("label", "");
  label.className = "choice";
  const input = document.createElement("input");
  input.type = "radio";
  input.name = "client";
  input.value = other.id;
  const words = item("span", "");
  words.append(item("bdi", other.name));
  const more = [other.kind, other.company, other.deals ? _("open deal") : null, spoken(other.spoken_at)].filter(Boolean).join(" · ");
  if (more) { const quiet = item("span", ` ${more}`); quiet.className = "quiet-word"; words.append(quiet); }
  label.append(input, words);
  return label;
}

/** @param {string|null} at */
const spoken = (at) => (at ? _("spoken {day}", { day: new Date(at).toLocaleDateString(language, { day: "numeric", month: "short" }) }) : null);

/** @param {HTMLFormElement} form @param {string} id @param {string} but who it is not */
async function look(form, id, but) {
  const found = part(form, '[data-slot="found"]');
  const text = form.q.value.trim();
  if (!text) return found.replaceChildren();
  try {
    const answer = await fetch(`/api/v1/calls/${id}/people?${new URLSearchParams({ q: text })}`);
    if (!answer.ok || form.q.value.trim() !== text) return;
    const people = (await answer.json()).people.filter((/** @type {{id: string}} */ one) => one.id !== but);
    found.replaceChildren(...people.map(person), ...(people.length ? [] : [item("p", _("Nobody fits."))]));
  } catch { /* typing on asks again */ }
}

/** @param {{id: string, name: string, company: string|null, kind: string, number: string|null}} one */
function person(one) {
  const button = /** @type {HTMLButtonElement} */ (item("button", ""));
  button.type = "button";
  button.className = "quiet choice";
  button.dataset.id = one.id;
  const words = item("span", "");
  words.append(item("bdi", one.name));
  for (const more of [one.company, one.number]) {
    if (!more) continue;
    const quiet = item("bdi", more);
    quiet.className = "quiet-word";
    if (more === one.number) quiet.dir = "ltr";
    words.append(" · ", quiet);
  }
  button.append(words);
  return button;
}

/** @param {string} name @param {string} text */
function item(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/** @param {HTMLElement} card */
const wrongIsOpen = (card) => !part(card, "[data-wrong]").hidden;

/** @param {HTMLElement} card @param {boolean} yes */
function open(card, yes) {
  const form = /** @type {HTMLFormElement} */ (part(card, "[data-wrong]"));
  form.hidden = !yes;
  form.q.value = "";
  part(form, '[data-slot="found"]').replaceChildren();
  part(card, '[data-act="wrong"]').hidden = yes;
}

/** @param {HTMLFormElement} form @returns {Record<string, string>} */
const values = (form) => Object.fromEntries(FIELDS.map((name) => [name, /** @type {HTMLInputElement} */ (form.elements.namedItem(name)).value]));

/** What was typed before a reload. @param {HTMLFormElement} form @param {string} id */
function restore(form, id) {
  for (const { name, value } of drafts.read(nameOf(id))?.values ?? []) {
    const field = form.elements.namedItem(name);
    if (field instanceof HTMLInputElement && value) field.value = value;
  }
}

/** @param {HTMLElement} card @param {Promise<Response>} asked @param {string} done @param {(text: string) => void} say @param {() => void} [lost] */
async function answer(card, asked, done, say, lost = () => say(_("Not saved: no connection. Try again."))) {
  try {
    const got = await asked;
    const told = await got.json();
    if (!got.ok) { say([told.detail ?? told.title, told.remedy].filter(Boolean).join(" ")); return false; }
    drafts.drop(nameOf(card.dataset.about ?? ""));
    /** @type {HTMLFormElement} */ (part(card, "[data-save]")).reset();
    open(card, false);
    if (told.who?.client) { part(card, '[data-slot="who"]').textContent = told.who.client.name; part(card, ".number").hidden = false; }
    showClient(card, told.who);
    say(done);
    return told;
  } catch { lost(); return false; }
}

/** Beside what was just done. @param {HTMLElement} card @param {() => void} undo */
function offerUndo(card, undo) {
  const button = /** @type {HTMLButtonElement} */ (item("button", _("Undo")));
  button.type = "button";
  button.className = "quiet";
  button.dataset.act = "undo-move";
  button.addEventListener("click", undo);
  part(card, '[data-slot="saved"]').append(" ", button);
}
