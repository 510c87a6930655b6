// @ts-check
/** The board: cards moved by mouse, finger and keyboard. A move is seen at once, kept by the server, and can be undone;
 * where somebody else was quicker, the card goes to where the deal is and a line says who moved it. */
import { saved, waits } from "./form-drafts.js";
import { toSignIn } from "./form-send.js";
import { escapes, keys } from "./keys.js";
import { _, ngettext } from "./messages.js";
import { meta } from "./page.js";

const LIFT = 6; // px the mouse travels before a press is a drag
const HOLD = 400; // ms a finger rests before it lifts a card; shorter is a tap, moving is scrolling
const SLIP = 10; // px a resting finger may tremble
const EDGE = 56; // px from an edge within which the board scrolls by itself
const SPEED = 14; // px a frame, at the very edge
const PAUSE = 700; // ms after the last arrow key before the move is told: two stages on are one move
const SAID = 20_000; // ms the line with Undo stays

const found = document.querySelector("[data-board]");
if (found instanceof HTMLElement) begin(found);

/** @typedef {{list: HTMLElement, next: Element|null}} Spot where a card lies: its column, and the card below it */

/** @param {HTMLElement} board */
function begin(board) {
  const line = /** @type {HTMLElement} */ (document.querySelector("[data-said]"));
  const undo = /** @type {HTMLButtonElement} */ (line.querySelector("[data-undo]"));
  const why = /** @type {HTMLAnchorElement} */ (line.querySelector("[data-why-lost]"));
  const announce = /** @type {HTMLElement} */ (document.querySelector("[data-announce]"));
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("to-stage"));
  const query = board.dataset.query ?? "";

  const columnOf = (/** @type {Element} */ inside) => /** @type {HTMLElement} */ (inside.closest("[data-column]"));
  const cardOf = (/** @type {Element|null} */ inside) => /** @type {HTMLElement|null} */ (inside?.closest("[data-deal]") ?? null);
  const listOf = (/** @type {string} */ stage) => /** @type {HTMLElement|null} */ (board.querySelector(`[data-column="${CSS.escape(stage)}"] [data-cards]`));
  const stageOf = (/** @type {Element} */ inside) => columnOf(inside).dataset.column ?? "";
  const nameOf = (/** @type {Element} */ column) => column.querySelector("[data-name]")?.textContent ?? "";
  const titleOf = (/** @type {Element} */ card) => card.querySelector("[data-title]")?.textContent ?? "";
  const linkOf = (/** @type {Element} */ card) => /** @type {HTMLElement} */ (card.querySelector("a.who"));
  const spotOf = (/** @type {HTMLElement} */ card) => ({ list: /** @type {HTMLElement} */ (card.parentElement), next: card.nextElementSibling });
  const lists = () => [...board.querySelectorAll("[data-cards]")].map((one) => /** @type {HTMLElement} */ (one));

  // -- telling ---------------------------------------------------------------------------------------------------------

  /** @type {ReturnType<typeof setTimeout>|undefined} */ let hush;
  /** @type {(() => void)|null} */ let takeBack = null;

  /** @param {string} text @param {(() => void)|null} back @param {boolean} [wrong] */
  function say(text, back, wrong = false) {
    clearTimeout(hush);
    why.hidden = true;
    /** @type {HTMLElement} */ (line.querySelector("bdi")).textContent = text;
    takeBack = back;
    undo.hidden = !back;
    line.classList.toggle("wrong", wrong);
    line.hidden = false;
    if (!wrong) hush = setTimeout(() => { if (!line.matches(":focus-within")) line.hidden = true; }, SAID);
  }
  undo.addEventListener("click", () => { line.hidden = true; takeBack?.(); });
  line.querySelector("[data-hush]")?.addEventListener("click", () => { line.hidden = true; });

  // -- keeping ---------------------------------------------------------------------------------------------------------

  /** One after the other, in the order in which they were made. @type {Promise<unknown>} */ let waiting = Promise.resolve();
  /** How often a card was moved here: an answer to an older move says nothing of where it lies now. @type {WeakMap<Element, number>} */
  const moves = new WeakMap();

  /** @param {string} path @param {Record<string, string>} told */
  function post(path, told) {
    const asked = fetch(`${path}?${query}`, {
      method: "POST", body: new URLSearchParams(told), keepalive: true,
      headers: { Accept: "application/json", "X-CSRF-Token": meta("csrf") },
    });
    return asked.then(async (answer) => {
      const told = answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : null;
      // Whoever was signed out meanwhile is led to a page, which is no answer to this.
      return { status: told || !answer.redirected ? answer.status : 401, told };
    });
  }

  /** Keep where the card lies now. @param {HTMLElement} card @param {Spot} from @param {boolean} [undoing] */
  function keep(card, from, undoing = false) {
    const list = /** @type {HTMLElement} */ (card.parentElement);
    const stage = stageOf(list), left = stageOf(from.list);
    if (list === from.list && card.nextElementSibling === from.next) return;
    const turn = (moves.get(card) ?? 0) + 1;
    moves.set(card, turn);
    count();
    const expected = card.dataset.stage ?? left;
    const below = /** @type {HTMLElement|null} */ (card.nextElementSibling);
    const told = { stage, before: below?.dataset.deal ?? list.dataset.next ?? "", expected };
    card.dataset.stage = stage;
    const back = () => {
      const here = spotOf(card);
      put(card, from);
      keep(card, here, true);
      linkOf(card).focus();
    };
    say(list === from.list ? _("“{title}” moved within {stage}.", { title: titleOf(card), stage: nameOf(columnOf(list)) }) : _("“{title}” is in {stage}.", { title: titleOf(card), stage: nameOf(columnOf(list)) }), undoing ? null : back);
    const isLost = !undoing && list !== from.list && columnOf(list).dataset.ends === "lost";
    waiting = waiting.then(() => post(`/deals/${card.dataset.deal}/move`, told)).then(
      ({ status, told: answer }) => {
        const newest = moves.get(card) === turn;
        if (status === 200 && answer) {
          if (newest) replace(card, answer.card);
          if (newest && isLost) { why.href = `/deals/${card.dataset.deal}#lost`; why.hidden = false; }
          total(answer.columns);
          return;
        }
        if (status === 409 && answer) {
          const real = listOf(answer.stage);
          const fresh = replace(card, answer.card);
          if (real) { if (fresh.parentElement !== real) real.prepend(fresh); } else fresh.remove();
          total(answer.columns);
        } else { put(card, from); card.dataset.stage = stageOf(card); count(); }
        say(answer?.said ?? (status === 401 ? _("You were signed out. The deal is where it was.") : _("The move was not kept. The deal is where it was.")), null, true);
      },
      () => { put(card, from); card.dataset.stage = stageOf(card); count(); say(_("Switchhook cannot be reached. The deal is where it was."), null, true); },
    );
  }

  /** @param {HTMLElement} card @param {Spot} spot */
  function put(card, spot) {
    spot.list.insertBefore(card, spot.next?.parentElement === spot.list ? spot.next : null);
  }

  /** The card as the server writes it. @param {HTMLElement} card @param {string} html */
  function replace(card, html) {
    const template = document.createElement("template");
    template.innerHTML = html; // our own server's, escaped there
    const fresh = /** @type {HTMLElement} */ (template.content.querySelector("[data-deal]"));
    if (drag?.card === card) return card;
    const focused = card.contains(document.activeElement);
    moves.set(fresh, moves.get(card) ?? 0);
    card.innerHTML = fresh.innerHTML;
    card.className = fresh.className;
    card.dataset.stage = fresh.dataset.stage;
    ready(card);
    if (focused) linkOf(card).focus({ preventScroll: true });
    return card;
  }

  /** @param {{stage: string, count: number, sums: string}[]} columns */
  function total(columns) {
    for (const one of columns) {
      const column = board.querySelector(`[data-column="${CSS.escape(one.stage)}"]`);
      if (column) head(column, String(one.count), one.sums);
    }
  }

  /** Until the server has counted: one less there, one more here. The sums follow with its answer. */
  function count() {
    for (const list of lists()) {
      const column = columnOf(list), before = Number(list.dataset.seen ?? 0), now = list.children.length;
      const shown = Number(column.querySelector("[data-count]")?.textContent ?? 0);
      if (before !== now) head(column, String(shown + now - before), null);
      list.dataset.seen = String(now);
    }
  }

  /** @param {Element} column @param {string} number @param {string|null} sums */
  function head(column, number, sums) {
    const list = column.querySelector("[data-cards]");
    if (list instanceof HTMLElement) list.dataset.seen = String(list.children.length);
    const counted = column.querySelector("[data-count]"), summed = column.querySelector("[data-sums]");
    if (counted) counted.textContent = number;
    if (summed && sums !== null) summed.textContent = sums;
    const option = document.querySelector(`[data-one-column] option[value="${CSS.escape(/** @type {HTMLElement} */ (column).dataset.column ?? "")}"]`);
    if (option instanceof HTMLElement) option.textContent = `${option.dataset.name} · ${number}`;
  }

  // -- by mouse and finger ---------------------------------------------------------------------------------------------

  /** @type {{card: HTMLElement, from: Spot, ghost: HTMLElement|null, x: number, y: number, dx: number, dy: number, touch: boolean, id: number}|null} */
  let drag = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let holding;
  let frame = 0;

  board.addEventListener("dragstart", (event) => event.preventDefault()); // links are not to be dragged by the browser
  board.addEventListener("pointerdown", (event) => {
    const target = /** @type {Element} */ (event.target), card = cardOf(target);
    if (!card || drag || event.button !== 0 || target.closest("button, input, summary")) return;
    flush();
    const box = card.getBoundingClientRect();
    drag = { card, from: spotOf(card), ghost: null, x: event.clientX, y: event.clientY, dx: event.clientX - box.left, dy: event.clientY - box.top, touch: event.pointerType !== "mouse", id: event.pointerId };
    if (drag.touch) holding = setTimeout(lift, HOLD);
  });
  addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.id) return;
    const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y);
    if (!drag.ghost) {
      if (drag.touch) { if (far > SLIP) cancel(); return; }
      if (far < LIFT) return;
      lift();
    }
    drag.x = event.clientX; drag.y = event.clientY;
    follow();
  });
  addEventListener("pointerup", (event) => { if (drag && event.pointerId === drag.id) drop(); });
  addEventListener("pointercancel", (event) => { if (drag && event.pointerId === drag.id) cancel(); });
  document.addEventListener("touchmove", (event) => { if (drag?.ghost) event.preventDefault(); }, { passive: false });
  board.addEventListener("contextmenu", (event) => { if (drag?.touch) event.preventDefault(); });
  escapes.unshift(() => { const had = Boolean(drag?.ghost); if (had) cancel(); return had; });

  function lift() {
    if (!drag) return;
    const { card } = drag, box = card.getBoundingClientRect();
    const ghost = /** @type {HTMLElement} */ (card.cloneNode(true));
    ghost.removeAttribute("data-deal");
    ghost.setAttribute("aria-hidden", "true");
    ghost.classList.add("ghost");
    Object.assign(ghost.style, { inlineSize: `${box.width}px`, left: "0", top: "0" });
    document.body.append(ghost);
    drag.ghost = ghost;
    card.classList.add("lifted");
    document.body.classList.add("dragging");
    getSelection()?.removeAllRanges();
    follow();
    frame = requestAnimationFrame(scroll);
  }

  function follow() {
    if (!drag?.ghost) return;
    drag.ghost.style.translate = `${drag.x - drag.dx}px ${drag.y - drag.dy}px`;
    const under = document.elementFromPoint(drag.x, drag.y), column = under?.closest("[data-column]");
    for (const one of board.querySelectorAll(".over-it")) if (one !== column) one.classList.remove("over-it");
    if (!column || !board.contains(column)) return;
    column.classList.add("over-it");
    const list = /** @type {HTMLElement} */ (column.querySelector("[data-cards]"));
    const y = drag.y, moved = drag.card;
    const below = [...list.children].find((one) => { const box = one.getBoundingClientRect(); return one !== moved && box.top + box.height / 2 > y; }) ?? null;
    const next = column.classList.contains("closed") ? [...list.children].find((one) => one !== moved) ?? null : below;
    if (moved.parentElement !== list || (moved.nextElementSibling !== next && next !== moved)) list.insertBefore(moved, next);
  }

  /** Near an edge the board and the column scroll by themselves. */
  function scroll() {
    if (!drag?.ghost) return;
    const by = (/** @type {number} */ at, /** @type {number} */ from, /** @type {number} */ to) =>
      at < from + EDGE ? -SPEED * Math.min(1, (from + EDGE - at) / EDGE) : at > to - EDGE ? SPEED * Math.min(1, (at - to + EDGE) / EDGE) : 0;
    const box = board.getBoundingClientRect();
    board.scrollLeft += by(drag.x, Math.max(box.left, 0), Math.min(box.right, innerWidth));
    const list = document.elementFromPoint(drag.x, drag.y)?.closest("[data-column]")?.querySelector("[data-cards]");
    if (list) { const inside = list.getBoundingClientRect(); list.scrollTop += by(drag.y, inside.top, inside.bottom); }
    if (box.bottom > innerHeight) scrollBy(0, by(drag.y, 0, innerHeight));
    follow();
    frame = requestAnimationFrame(scroll);
  }

  function ended() {
    clearTimeout(holding);
    cancelAnimationFrame(frame);
    drag?.ghost?.remove();
    drag?.card.classList.remove("lifted");
    document.body.classList.remove("dragging");
    for (const one of board.querySelectorAll(".over-it")) one.classList.remove("over-it");
    drag = null;
  }

  function drop() {
    if (!drag) return;
    const { card, from, ghost } = drag;
    ended();
    if (!ghost) return;
    const stop = (/** @type {Event} */ event) => { event.preventDefault(); event.stopPropagation(); };
    addEventListener("click", stop, { capture: true, once: true }); // the click that ends a drag opens nothing
    setTimeout(() => removeEventListener("click", stop, { capture: true }), 0);
    linkOf(card).focus({ preventScroll: true });
    keep(card, from);
  }

  function cancel() {
    if (drag?.ghost) put(drag.card, drag.from);
    ended();
  }

  // -- by keyboard -----------------------------------------------------------------------------------------------------

  /** The card that arrow keys are moving, and where it came from. @type {{card: HTMLElement, from: Spot}|null} */ let stepping = null;
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let soon;

  function flush() {
    clearTimeout(soon);
    const was = stepping;
    stepping = null;
    if (was) keep(was.card, was.from);
  }
  addEventListener("pagehide", flush);

  /** @param {(card: HTMLElement, list: HTMLElement) => boolean} act */
  const step = (act) => {
    const card = cardOf(document.activeElement);
    if (!card || !board.contains(card) || document.activeElement?.closest("button")) return false;
    if (stepping && stepping.card !== card) flush();
    const from = spotOf(card);
    if (!act(card, from.list)) return true;
    stepping ??= { card, from };
    clearTimeout(soon);
    soon = setTimeout(flush, PAUSE);
    const list = /** @type {HTMLElement} */ (card.parentElement), column = columnOf(list);
    show(column);
    linkOf(card).focus();
    card.scrollIntoView({ block: "nearest", inline: "nearest" });
    const at = [...list.children].indexOf(card) + 1;
    announce.textContent = _("{title}: {stage}, {place} of {count}", { title: titleOf(card), stage: nameOf(column), place: at, count: list.children.length });
    return true;
  };
  /** @param {number} by */
  const sideways = (by) => step((card, list) => {
    const all = lists(), to = all[all.indexOf(list) + (document.dir === "rtl" ? -by : by)];
    to?.prepend(card);
    return Boolean(to);
  });
  /** @param {number} by */
  const updown = (by) => step((card, list) => {
    if (columnOf(list).classList.contains("closed")) return false; // there the last closed is first
    if (by < 0) card.previousElementSibling?.before(card); else card.nextElementSibling?.after(card);
    return true;
  });
  const choose = () => {
    const card = cardOf(document.activeElement);
    if (!card || !board.contains(card)) return false;
    ask(card);
    return true;
  };
  keys({
    ArrowLeft: () => sideways(-1), ArrowRight: () => sideways(1),
    ArrowUp: () => updown(-1), ArrowDown: () => updown(1), m: choose,
  });

  // -- by name ---------------------------------------------------------------------------------------------------------

  /** @type {HTMLElement|null} */ let asking = null;

  /** @param {HTMLElement} card */
  function ask(card) {
    flush();
    asking = card;
    for (const button of dialog.querySelectorAll("li button")) /** @type {HTMLButtonElement} */ (button).disabled = /** @type {HTMLButtonElement} */ (button).value === stageOf(card);
    dialog.showModal();
  }
  dialog.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("li button");
    const list = button instanceof HTMLButtonElement ? listOf(button.value) : null;
    if (!list || !asking) return;
    const from = spotOf(asking);
    list.prepend(asking);
    dialog.close();
    keep(asking, from);
  });
  dialog.addEventListener("close", () => { if (asking) linkOf(asking).focus(); asking = null; });
  board.addEventListener("click", (event) => {
    const button = /** @type {Element} */ (event.target).closest("[data-to-stage]"), card = cardOf(button);
    if (card) ask(card);
  });

  // -- adding, and what lies below -------------------------------------------------------------------------------------

  /** @type {Promise<void>} one after the other, so that they lie in the order in which they were typed */
  let adding = Promise.resolve();
  board.addEventListener("submit", (event) => {
    const form = /** @type {HTMLFormElement} */ (event.target), column = columnOf(form);
    if (!form.hasAttribute("data-quick")) return;
    event.preventDefault();
    const field = /** @type {HTMLInputElement} */ (form.querySelector("input[name=title]")), title = field.value;
    if (!title.trim()) return;
    field.value = ""; // sent once; the next title may be typed while this one is on its way
    adding = adding.then(() => post("/deals/new", { title, stage: column.dataset.column ?? "" })).then(({ status, told }) => {
      if (status !== 200 || !told) throw new Error(String(status));
      const list = /** @type {HTMLElement} */ (column.querySelector("[data-cards]"));
      list.insertAdjacentHTML("afterbegin", told.card);
      const card = /** @type {HTMLElement} */ (list.firstElementChild);
      card.classList.add("fresh");
      ready(card);
      total(told.columns);
      if (!field.value) saved(form);
      say(told.said, () => { post(`/deals/${card.dataset.deal}/remove`, {}).then(({ told: after }) => { card.remove(); if (after) total(after.columns); }); });
    }).catch((problem) => {
      field.value = [title, field.value].filter(Boolean).join(" ");
      field.dispatchEvent(new Event("input", { bubbles: true }));
      if (problem.message === "401") { toSignIn(); return; }
      if (problem instanceof TypeError) { waits(form); return; } // no network
      say(_("The deal was not kept; what you typed is still there."), null, true);
    });
  });
  // At the click, not at "toggle": that comes later, and the first letters would be lost.
  for (const one of board.querySelectorAll("details.quick")) one.querySelector("summary")?.addEventListener("click", (event) => {
    if (one.hasAttribute("open")) return;
    event.preventDefault();
    one.setAttribute("open", "");
    /** @type {HTMLElement|null} */ (one.querySelector("input[name=title]"))?.focus();
  });
  escapes.push((target) => {
    const quick = target.closest("details.quick");
    if (!quick?.hasAttribute("open")) return false;
    quick.removeAttribute("open");
    /** @type {HTMLElement|null} */ (quick.querySelector("summary"))?.focus();
    return true;
  });

  board.addEventListener("click", async (event) => {
    const more = /** @type {Element} */ (event.target).closest("[data-more]");
    if (!(more instanceof HTMLAnchorElement)) return;
    event.preventDefault();
    const list = /** @type {HTMLElement} */ (columnOf(more).querySelector("[data-cards]"));
    try {
      const answer = await fetch(`/deals/column/${more.dataset.more}?${query}&skip=${list.children.length}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      const known = new Set([...list.querySelectorAll("[data-deal]")].map((one) => /** @type {HTMLElement} */ (one).dataset.deal));
      const template = document.createElement("template");
      template.innerHTML = told.cards; // our own server's, escaped there
      const fresh = [...template.content.querySelectorAll("[data-deal]")].map((one) => /** @type {HTMLElement} */ (one)).filter((one) => !known.has(one.dataset.deal));
      fresh.forEach(ready);
      list.append(...fresh);
      list.dataset.next = told.next;
      list.dataset.seen = String(list.children.length);
      if (fresh.length) linkOf(fresh[0]).focus();
      if (told.below) more.textContent = ngettext("{n} more", "{n} more", told.below);
      else more.parentElement?.remove();
    } catch { location.href = more.href; }
  });

  // -- one column on a narrow screen -----------------------------------------------------------------------------------

  const narrow = document.querySelector("[data-one-column]");
  /** @param {HTMLElement} column */
  function show(column) {
    for (const one of board.querySelectorAll("[data-column]")) one.classList.toggle("shown", one === column);
    if (narrow instanceof HTMLSelectElement) narrow.value = column.dataset.column ?? "";
  }
  narrow?.addEventListener("change", () => { const list = narrow instanceof HTMLSelectElement ? listOf(narrow.value) : null; if (list) show(columnOf(list)); });

  /** What only works with this script. @param {Element} card */
  function ready(card) {
    /** @type {HTMLElement} */ (card.querySelector("[data-to-stage]")).hidden = false;
  }
  for (const card of board.querySelectorAll("[data-deal]")) ready(card);
  for (const list of lists()) list.dataset.seen = String(list.children.length);
}
