// @ts-check
/** The player on the call page and in the drawer of a list: buttons, keys, and the strips they move over. */
import { escapes, keys } from "./keys.js";
import { _ } from "./messages.js";
import { Panels } from "./player-panels.js";
import { Sound } from "./player-sound.js";
import { bindPausing, showPausing, told } from "./pausing.js";
import { clock } from "./page.js";
import { StripView, exact } from "./player-strip.js";

const JUMP = 10; // s, the buttons
const STEP = 5; // s, an arrow key; with Shift one second
const SELECTION_LEAST = 0.2; // s; less is a slip

export class Player {
  /** @param {HTMLElement} root */
  constructor(root) {
    this.root = root;
    this.say = root.querySelector("[data-said]");
    /** @type {{view: StripView, from: number, to: number}|null} */ this.chosen = null;
    this.views = [...root.querySelectorAll("[data-strip]")].map((element) => new StripView(/** @type {HTMLElement} */ (element), {
      seek: (view, at) => this.sound.choose(view.strip, at),
      choose: (view, from, to) => this.choose(view, from, to),
    }));
    const audio = /** @type {HTMLAudioElement} */ (root.querySelector("audio"));
    this.sound = new Sound(audio, () => this.paint(), (problem) => this.tell(problem, true));
    this.panels = new Panels(this);
    this.frame = 0;
    this.stopped = false; // by a call of mine
    this.sound.choose(this.views[0].strip);
    this.bind(audio);
    const speed = Number(localStorage.getItem("switchhook speed"));
    if (this.field("speed", HTMLSelectElement) && [...this.field("speed", HTMLSelectElement).options].some((o) => Number(o.value) === speed)) this.sound.setSpeed(speed);
    this.skip(localStorage.getItem("switchhook skip silence") === "yes");
    this.paint();
  }

  /** @template {Element} T @param {string} name @param {new () => T} _kind @returns {T} */
  field(name, _kind) { return /** @type {T} */ (this.root.querySelector(`[data-${name}]`)); }

  /** @param {string} name @returns {HTMLElement[]} */
  buttons(name) { return [...this.root.querySelectorAll(`[data-do="${name}"]`)].map((one) => /** @type {HTMLElement} */ (one)); }

  get view() { return this.views.find((view) => view.strip === this.sound.strip) ?? this.views[0]; }

  /** @private @param {HTMLAudioElement} audio */
  bind(audio) {
    this.root.addEventListener("click", (event) => {
      const button = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest("[data-do]"));
      if (button) this.act(button.dataset.do ?? "", button);
    });
    this.field("speed", HTMLSelectElement).addEventListener("change", (event) => this.setSpeed(Number(/** @type {HTMLSelectElement} */ (event.target).value)));
    for (const view of this.views) view.scale.addEventListener("keydown", (event) => {
      if (this.sound.strip !== view.strip && event.key !== "Tab") this.sound.choose(view.strip, view.at);
      const to = /** @type {Record<string, number>} */ ({ Home: 0, End: view.strip.seconds, PageUp: this.sound.now - 30, PageDown: this.sound.now + 30 })[event.key];
      if (to !== undefined) { event.preventDefault(); this.sound.seek(to); }
    });
    audio.addEventListener("ended", () => this.goOn());
  }

  /** What a button does. @param {string} name @param {HTMLElement} button */
  act(name, button) {
    const { sound } = this;
    /** @type {Record<string, () => void>} */
    const acts = {
      play: () => this.toggle(),
      back: () => sound.seek(sound.now - JUMP),
      ahead: () => sound.seek(sound.now + JUMP),
      skip: () => this.skip(!sound.skipping),
      original: () => sound.setOriginal(!sound.original),
      go: () => { this.goTo(button); void this.play(); },
      "play-chosen": () => this.playChosen(),
      unchoose: () => this.choose(null),
    };
    if (acts[name]) acts[name](); else this.panels.act(name, button);
    if (button.closest(".menu")) button.closest("details")?.removeAttribute("open");
  }

  toggle() { if (this.sound.playing) this.sound.pause(); else void this.play(); }

  /** Play, once a reason was given where one is wanted. */
  async play() {
    if (this.view.element.hasAttribute("data-wants-reason")) { this.panels.open("reason"); return; }
    this.tell("");
    this.stopped = false;
    await this.sound.play();
  }

  /** Go to the moment that a comment's button names. @param {HTMLElement} button */
  goTo(button) {
    const view = this.views.find(({ strip }) => strip.id === button.dataset.of) ?? this.view;
    this.sound.choose(view.strip, Number(button.dataset.at));
  }

  /** At the end of one recording the call may go on in another: the line to the outside after a transfer. @private */
  goOn() {
    this.sound.report();
    const end = this.view.onAxis(this.view.strip.seconds);
    const next = this.views.find((view) => view !== this.view && view.strip.x + view.strip.width > end + 0.5 && view.strip.x <= end + 0.5);
    if (!next) return;
    const at = ((end - next.strip.x) / next.strip.width) * next.strip.seconds;
    this.sound.choose(next.strip, Math.max(at, 0));
    void this.play();
  }

  /** @param {number} speed */
  setSpeed(speed) {
    localStorage.setItem("switchhook speed", String(speed));
    this.sound.setSpeed(speed);
  }

  /** The next speed of the list. @param {number} by */
  shiftSpeed(by) {
    const list = this.field("speed", HTMLSelectElement);
    const to = list.options[list.selectedIndex + by];
    if (to) this.setSpeed(Number(to.value));
  }

  /** @param {boolean} on */
  skip(on) {
    this.sound.skipping = on;
    localStorage.setItem("switchhook skip silence", on ? "yes" : "no");
    this.paint();
  }

  /** Choose a part of a strip, or none. @param {StripView|null} view @param {number} [from] @param {number} [to] */
  choose(view, from = 0, to = 0) {
    this.chosen = view ? { view, from, to } : null;
    for (const one of this.views) one.paintChosen(one === view ? { from, to } : null);
    const line = this.field("selection", HTMLElement);
    line.hidden = !view || to - from < SELECTION_LEAST;
    if (view) this.field("chosen-words", HTMLElement).textContent = `${exact(from)} – ${exact(to)} (${exact(to - from)})`;
    this.panels.partChanged();
  }

  /** `[` and `]`: the part begins or ends here. @param {"from"|"to"} end */
  mark(end) {
    const { view, sound: { now } } = this;
    const old = this.chosen?.view === view ? this.chosen : { from: 0, to: view.strip.seconds };
    const [from, to] = end === "from" ? [now, old.to > now ? old.to : view.strip.seconds] : [old.from < now ? old.from : 0, now];
    this.choose(view, from, to);
  }

  playChosen() {
    if (!this.chosen) return;
    const { view, from, to } = this.chosen;
    this.sound.choose(view.strip, from);
    this.sound.stopAt = to;
    void this.play();
  }

  /** My phone rings, or I talk: nothing is played over it. */
  pauseForCall() {
    if (!this.sound.playing) return;
    this.sound.pause();
    this.stopped = true;
    this.tell(_("Paused: your phone is in use."));
  }

  /** The call is over. What was stopped for it goes on when somebody wants it to. */
  offerToGoOn() {
    if (!this.stopped || !this.say) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = _("Go on from {time}", { time: clock(this.sound.now) });
    button.addEventListener("click", () => { void this.play(); });
    this.tell(_("Your call has ended."));
    this.say.append(" ", button);
  }

  /** @param {string} text @param {boolean} [bad] @param {(() => unknown)|null} [undo] */
  tell(text, bad = false, undo = null) {
    if (!this.say) return;
    this.say.textContent = undo ? `${text} ` : text;
    this.say.classList.toggle("bad", bad);
    if (!undo) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet";
    button.textContent = _("Undo");
    button.addEventListener("click", undo, { once: true });
    this.say.append(button);
  }

  /** Show everything as it is now; while it plays, again with every frame. */
  paint() {
    const { sound, view } = this;
    view.paint(sound.now);
    for (const one of this.views) one.element.classList.toggle("current", one === view);
    const set = (/** @type {string} */ name, /** @type {string} */ text) => { const place = this.field(name, HTMLElement); if (place.textContent !== text) place.textContent = text; };
    set("now", clock(sound.now));
    set("total", clock(view.strip.seconds));
    for (const button of this.buttons("play")) {
      button.querySelector("use")?.setAttribute("href", sound.playing ? "#i-hold" : "#i-play");
      const word = button.querySelector("[data-word]");
      const text = sound.playing ? _("Pause") : _("Play");
      if (word && word.textContent !== text) word.textContent = text;
    }
    paintOpener(sound.playing);
    const silent = view.strip.silences.reduce((sum, [since, until]) => sum + until - since, 0);
    set("saved-by-skipping", silent ? clock(silent) : "");
    for (const button of this.buttons("skip")) {
      button.setAttribute("aria-pressed", String(sound.skipping));
      /** @type {HTMLButtonElement} */ (button).disabled = !silent;
      button.title = silent ? "" : _("There is no silence in this recording.");
    }
    for (const button of this.buttons("original")) { button.hidden = !view.strip.original; button.setAttribute("aria-pressed", String(sound.original)); }
    const list = this.field("speed", HTMLSelectElement);
    if (Number(list.value) !== sound.speed) list.value = String(sound.speed);
    for (const link of this.root.querySelectorAll("[data-download]")) {
      const mp3 = link.getAttribute("data-download") === "mp3";
      link.setAttribute("href", `/recordings/${view.strip.id}/audio?as=${mp3 ? "mp3" : "download"}${sound.original && !mp3 ? "&original=1" : ""}`);
    }
    this.root.querySelector("[data-about]")?.setAttribute("href", `/recordings/${view.strip.id}`);
    this.paintPicture();
    if (sound.playing && !this.frame) this.frame = requestAnimationFrame(() => { this.frame = 0; this.paint(); });
  }

  /** The same moment in the picture of the call above. @private */
  paintPicture() {
    const line = this.root.closest(".one-axis")?.querySelector("[data-picture-head]");
    if (!line) return;
    const started = this.sound.now > 0 || this.sound.playing;
    line.setAttribute("visibility", started ? "visible" : "hidden");
    for (const end of ["x1", "x2"]) line.setAttribute(end, `${this.view.onAxis(this.sound.now)}%`);
  }

  /** Take from the server what has changed: comments, the sound's picture. */
  async refresh() {
    const answer = await fetch(this.root.dataset.refresh ?? "");
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of this.root.querySelectorAll("[data-part]")) {
      const other = fresh.querySelector(`[data-part="${CSS.escape(part.getAttribute("data-part") ?? "")}"]`);
      if (other) part.replaceWith(document.importNode(other, true));
    }
    for (const view of this.views) {
      const other = fresh.querySelector(`[data-strip*="${CSS.escape(view.strip.id)}"]`);
      if (other) Object.assign(view.strip, JSON.parse(other.getAttribute("data-strip") ?? "{}"));
      view.paint(view.at);
    }
    if (this.chosen) this.choose(this.chosen.view, this.chosen.from, this.chosen.to);
    this.paint();
  }

  /** The page or the drawer closes. */
  close() {
    this.sound.pause();
    this.sound.report();
  }
}

// -- on this page --

/** The player that stands on the page itself. @returns {Player|null} */
function ofPage() {
  const own = /** @type {HTMLElement|null} */ (document.querySelector("main [data-player]"));
  return own?.querySelector("[data-strip]") ? new Player(own) : null;
}
/** @type {HTMLElement|null} the row's button that opened the drawer */ let openedBy = null;
/** @type {Player|null} */ let player = ofPage();
document.addEventListener("switchhook:call", () => { player?.close(); player = ofPage(); }); // the call's page has new parts
addEventListener("pagehide", () => player?.sound.report());
document.addEventListener("visibilitychange", () => { if (document.hidden && !player?.sound.playing) player?.sound.report(); });
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll(".player details[open]")) if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
});

const live = document.getElementById("pausing");
if (live) {
  showPausing(live, live.dataset.pausedSince || null);
  const status = /** @type {HTMLElement} */ (live.querySelector("[role=status]"));
  bindPausing(live, live.dataset.call ?? "", async (text) => {
    status.textContent = text;
    if (!text) showPausing(live, await told(live.dataset.call ?? "", live.querySelector(".paused") === null));
  });
}

// -- one's own phone --

document.addEventListener("switchhook:phone", (event) => {
  if (/** @type {CustomEvent} */ (event).detail === "busy") player?.pauseForCall(); else player?.offerToGoOn();
});

// -- the drawer of a list --

const drawer = document.getElementById("drawer");
/** @type {string} what is in the drawer */ let shown = "";

/** The row's button shows what pressing it does now. @param {boolean} playing */
function paintOpener(playing) {
  if (!openedBy) return;
  openedBy.setAttribute("aria-pressed", String(playing));
  const atRest = openedBy.classList.contains("faulty") ? "#i-warn" : "#i-play";
  openedBy.querySelector("use")?.setAttribute("href", playing ? "#i-hold" : atRest);
}

/** @param {HTMLElement} button */
async function hear(button) {
  const address = button.dataset.play ?? "";
  if (!drawer) return;
  if (shown === address && player) { player.toggle(); return; }
  shown = address;
  const answer = await fetch(address).catch(() => null);
  if (shown !== address) return; // somebody was quicker with another
  if (answer?.status === 401) { location.reload(); return; }
  player?.close();
  paintOpener(false);
  if (answer?.ok) drawer.innerHTML = await answer.text();
  else drawer.replaceChildren(Object.assign(document.createElement("p"), { className: "told-state act", textContent: _("The recording cannot be opened just now. Try again in a moment.") }));
  openedBy = button;
  for (const row of document.querySelectorAll(".playing")) row.classList.remove("playing");
  button.closest("[data-nav]")?.classList.add("playing");
  drawer.hidden = false;
  document.body.classList.add("has-drawer");
  button.closest("[data-nav]")?.scrollIntoView({ block: "nearest" });
  const root = /** @type {HTMLElement|null} */ (drawer.querySelector("[data-player]"));
  player = root ? new Player(root) : null;
  const view = player?.views.find(({ strip }) => address.includes(strip.id));
  if (player && view) { player.sound.choose(view.strip); await player.play(); }
}

function closeDrawer() {
  if (!drawer || drawer.hidden) return false;
  player?.close();
  player = null;
  paintOpener(false);
  const inside = drawer.contains(document.activeElement);
  drawer.hidden = true;
  drawer.replaceChildren();
  shown = "";
  document.body.classList.remove("has-drawer");
  for (const row of document.querySelectorAll(".playing")) row.classList.remove("playing");
  if (inside || document.activeElement === document.body) openedBy?.focus();
  return true;
}

document.addEventListener("click", (event) => {
  const target = /** @type {Element} */ (event.target);
  const button = /** @type {HTMLElement|null} */ (target.closest("[data-play]"));
  if (button) void hear(button);
  if (target.closest("[data-close-drawer]")) closeDrawer();
});

// -- keys --

/** @param {(player: Player, event: KeyboardEvent) => void} act @returns {(event: KeyboardEvent) => boolean} */
const playing = (act) => (event) => { if (player) act(player, event); return Boolean(player); };

/** @param {number} way @returns {(event: KeyboardEvent) => boolean} */
const arrow = (way) => playing(({ sound }, event) => {
  const forward = document.documentElement.dir === "rtl" ? -way : way;
  sound.seek(sound.now + forward * (event.shiftKey ? 1 : STEP));
});

keys({
  " ": (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("button, summary")) return false; // the button is what is pressed
    const there = /** @type {HTMLElement|null} */ (target.closest("[data-nav]")?.querySelector("[data-play]") ?? null);
    if (there) { void hear(there); return true; }
    if (target.closest("[data-nav]") && !player) return false;
    return playing((one) => one.toggle())(event);
  },
  ArrowLeft: arrow(-1),
  ArrowRight: arrow(1),
  "<": playing((one) => one.shiftSpeed(-1)),
  ">": playing((one) => one.shiftSpeed(1)),
  "[": playing((one) => one.mark("from")),
  "]": playing((one) => one.mark("to")),
  c: playing((one) => one.panels.act("comment")),
  s: playing((one) => one.panels.act("share")),
});
escapes.push((target) => {
  const menu = target.closest(".player details[open]");
  if (menu) { menu.removeAttribute("open"); menu.querySelector("summary")?.focus(); return true; }
  if (player?.panels.close()) return true;
  if (target.closest("input, textarea, select, .card")) return false;
  return closeDrawer();
});
