// @ts-check
/** What one does with a recording besides hearing it: the reason before, a comment, a link, covering a part. One at a time. */
import { _ } from "./messages.js";
import { clock, send } from "./page.js";
import { exact, seconds } from "./player-strip.js";

/** @typedef {import("./player.js").Player} Player */

export class Panels {
  /** @param {Player} player */
  constructor(player) {
    this.player = player;
    /** @type {HTMLFormElement|null} */ this.shown = null;
    /** @type {Element|null} */ this.before = null;
    /** @type {{id: string, of: string}|null} the comment that is changed */ this.editing = null;
    this.at = 0;
    for (const form of player.root.querySelectorAll("form[data-panel]")) this.bind(/** @type {HTMLFormElement} */ (form));
  }

  /** @private @param {HTMLFormElement} form */
  bind(form) {
    form.addEventListener("submit", (event) => { event.preventDefault(); void this.submit(form); });
    form.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(); });
    form.addEventListener("change", () => { const part = form.querySelector("[data-from-to]"); if (part instanceof HTMLElement) part.hidden = this.value(form, "what") !== "part"; });
  }

  /** @param {string} name @param {HTMLElement} [button] */
  act(name, button) {
    if (name === "close") { this.close(); return; }
    if (name === "copy") { void this.copy(); return; }
    if (name === "revoke" && button) { void this.revoke(button); return; }
    if (name === "edit" && button) { this.edit(button); return; }
    if (this.shown?.dataset.panel === name) { this.close(); return; }
    if (!this.form(name)) return;
    if (name === "comment") this.beginComment();
    this.open(name);
    if (name === "share") void this.showLinks();
  }

  /** @param {string} name @returns {HTMLFormElement|null} */
  form(name) { return this.player.root.querySelector(`[data-panel="${name}"]`); }

  /** @param {HTMLFormElement} form @param {string} name */
  value(form, name) { return String(new FormData(form).get(name) ?? ""); }

  /** @param {string} name */
  open(name) {
    const form = this.form(name);
    if (!form) return;
    this.close(false);
    this.before = document.activeElement;
    this.shown = form;
    form.hidden = false;
    for (const button of this.player.buttons(name)) if (button.hasAttribute("aria-expanded")) button.setAttribute("aria-expanded", "true");
    this.partChanged(true);
    const first = /** @type {HTMLElement|null} */ (form.querySelector("textarea, input:checked, input, select"));
    first?.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} [back] whether the focus returns to where it came from */
  close(back = true) {
    const form = this.shown;
    if (!form) return false;
    form.hidden = true;
    this.shown = null;
    for (const button of this.player.buttons(form.dataset.panel ?? "")) if (button.hasAttribute("aria-expanded")) button.setAttribute("aria-expanded", "false");
    const made = form.querySelector("[data-made]");
    if (made instanceof HTMLElement) made.hidden = true;
    if (form.dataset.panel !== "comment" || this.editing) form.reset(); // a comment begun is still there when one comes back
    this.editing = null;
    if (back && this.before instanceof HTMLElement) (this.before.isConnected && this.before !== document.body ? this.before : this.player.view.scale).focus();
    return true;
  }

  /** The chosen part goes into the fields. @param {boolean} [opened] */
  partChanged(opened = false) {
    const { chosen } = this.player;
    const form = this.shown;
    if (!form || (form.dataset.panel !== "share" && form.dataset.panel !== "redact")) return;
    const field = (/** @type {string} */ name) => /** @type {HTMLInputElement} */ (form.elements.namedItem(name));
    if (chosen) { field("from").value = exact(chosen.from); field("to").value = exact(chosen.to); }
    if (form.dataset.panel !== "share") return;
    if (chosen) /** @type {HTMLInputElement} */ (form.querySelector('[value="part"]')).checked = true;
    if (chosen || opened) form.dispatchEvent(new Event("change"));
  }

  /** @private */
  beginComment() {
    this.editing = null;
    this.at = this.player.sound.now;
    this.labelComment(clock(this.at), false);
  }

  /** @private @param {HTMLElement} button */
  edit(button) {
    this.player.goTo(button);
    this.open("comment");
    this.editing = { id: button.dataset.comment ?? "", of: button.dataset.of ?? "" };
    this.labelComment(clock(Number(button.dataset.at)), true);
    const area = this.form("comment")?.querySelector("textarea");
    if (area) area.value = button.closest("li")?.querySelector("[data-text]")?.textContent ?? "";
  }

  /** @private @param {string} at @param {boolean} hint */
  labelComment(at, hint) {
    this.player.field("comment-at", HTMLElement).textContent = at;
    this.player.field("comment-hint", HTMLElement).hidden = !hint;
  }

  /** @private @param {HTMLFormElement} form */
  async submit(form) {
    const button = /** @type {HTMLButtonElement|null} */ (form.querySelector("[type=submit]"));
    if (button?.disabled) return;
    if (button) button.disabled = true;
    this.player.tell("");
    try {
      await this[/** @type {"reason"|"comment"|"share"|"redact"} */ (form.dataset.panel)](form);
    } catch (problem) {
      this.player.tell(problem instanceof Told ? problem.message : _("That did not reach Switchhook. Nothing is lost; try again in a moment."), true);
    } finally {
      if (button) button.disabled = false;
    }
  }

  /** @private @param {HTMLFormElement} form */
  async reason(form) {
    const body = { reason: this.value(form, "reason"), listening: this.player.sound.listening };
    for (const { element, strip } of this.player.views) {
      if (!element.hasAttribute("data-wants-reason")) continue;
      await asked("POST", `/api/v1/recordings/${strip.id}/reason`, body);
      element.removeAttribute("data-wants-reason");
    }
    this.close();
    await this.player.play();
  }

  /** @private @param {HTMLFormElement} form */
  async comment(form) {
    const text = this.value(form, "text");
    if (this.editing) await asked("PUT", `/api/v1/recordings/${this.editing.of}/comments/${this.editing.id}`, { text });
    else if (text.trim()) await asked("POST", `/api/v1/recordings/${this.player.view.strip.id}/comments`, { at_seconds: this.at, text });
    form.reset();
    this.close();
    await this.player.refresh();
  }

  /** @private @param {HTMLFormElement} form */
  async share(form) {
    const part = this.value(form, "what") === "part" ? span(this.value(form, "from"), this.value(form, "to")) : { from_seconds: null, to_seconds: null };
    this.player.tell(part.from_seconds === null ? "" : _("The part is being cut …"));
    const made = await asked("POST", `/api/v1/recordings/${this.strip().id}/links`, { ...part, days: Number(this.value(form, "days")) });
    const field = this.player.field("address", HTMLInputElement);
    field.value = made.address;
    this.player.field("made", HTMLElement).hidden = false;
    field.select();
    this.player.tell("");
    await this.showLinks();
  }

  /** @private The strip that is spoken of: the one a part was chosen of, else the one that plays. */
  strip() { return (this.player.chosen?.view ?? this.player.view).strip; }

  /** @private */
  async showLinks() {
    const place = this.player.field("links", HTMLElement);
    const answer = await fetch(`/recordings/${this.strip().id}/links`).catch(() => null);
    if (answer?.ok && place) place.innerHTML = await answer.text();
  }

  /** @private @param {HTMLElement} button */
  async revoke(button) {
    try {
      await asked("DELETE", `/api/v1/recordings/${button.dataset.of}/links/${button.dataset.link}`);
      await this.showLinks();
      this.player.tell(_("The link leads nowhere now."));
    } catch (problem) { this.player.tell(problem instanceof Told ? problem.message : _("The link could not be ended; try again in a moment."), true); }
  }

  /** @private */
  async copy() {
    const field = this.player.field("address", HTMLInputElement);
    field.select();
    try { await navigator.clipboard.writeText(field.value); this.player.tell(_("The address is copied.")); } catch { this.player.tell(_("Copy the address by hand: the browser does not allow it here.")); }
  }

  /** @private @param {HTMLFormElement} form */
  async redact(form) {
    const part = span(this.value(form, "from"), this.value(form, "to"));
    this.player.tell(_("The part is being covered …"));
    const strip = this.strip().id;
    const made = await asked("POST", `/api/v1/recordings/${strip}/redactions`, { ...part, typed: this.value(form, "typed") });
    this.close();
    await this.soundChanged();
    const undo = made.id && made.original === "kept" ? `/api/v1/recordings/${strip}/redactions/${made.id}` : null;
    this.player.tell(_("The part is covered."), false, undo ? () => this.uncover(undo) : null);
  }

  /** @private @param {string} path of the redaction */
  async uncover(path) {
    this.player.tell(_("The part is being uncovered …"));
    try {
      await asked("DELETE", path);
      await this.soundChanged();
      this.player.tell(_("The part is heard again."));
    } catch (problem) { this.player.tell(problem instanceof Told ? problem.message : _("That did not reach Switchhook; try again under About the recording."), true); }
  }

  /** @private */
  async soundChanged() {
    this.player.sound.reload();
    this.player.choose(null);
    await this.player.refresh();
  }
}

/** A sentence of the server's. */
class Told extends Error {}

/** @param {string} method @param {string} path @param {object} [body] @returns {Promise<any>} */
async function asked(method, path, body) {
  const answer = await send(method, path, body);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  const told = await answer.json().catch(() => ({}));
  throw new Told([told.detail ?? _("That did not work."), told.remedy].filter(Boolean).join(" "));
}

/** @param {string} from @param {string} to */
function span(from, to) {
  const [since, until] = [seconds(from), seconds(to)];
  if (since === null || until === null || until <= since) throw new Told(_("Write from and to like 1:05 and 1:30; the part begins before it ends."));
  return { from_seconds: since, to_seconds: until };
}
