// @ts-check
/**
 * The sound of one recording at a time: loads it when it is first played, skips silence, and counts what was heard.
 *
 * @typedef {{id: string, x: number, width: number, seconds: number, silences: [number, number][],
 *   voices: [number, number, string][], outside: string, original: boolean}} Strip
 */
import { _ } from "./messages.js";
import { meta } from "./page.js";

const LEAD = 0.25; // s of a silence left before the next word, so that its first sound is not cut
const WORTH = 0.7; // s; a jump over less is a hiccup
const STEP_MOST = 1.5; // s between two looks at the clock, times the speed; more is a jump and was not heard
const REPORT_EVERY = 300; // s of listening; what a browser that dies keeps to itself at most

export class Sound {
  /** @param {HTMLAudioElement} audio @param {() => void} changed @param {(problem: string) => void} fail */
  constructor(audio, changed, fail) {
    this.audio = audio;
    this.changed = changed;
    this.fail = fail;
    /** @type {Strip|null} */ this.strip = null;
    this.original = false;
    this.skipping = false;
    this.listening = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
    /** @type {number|null} where to begin once it is loaded */ this.pending = 0;
    /** @type {number|null} */ this.stopAt = null;
    this.loaded = "";
    this.speed = 1;
    this.heard = 0;
    this.last = 0;
    audio.addEventListener("loadedmetadata", () => { audio.playbackRate = this.speed; if (this.pending !== null) audio.currentTime = this.pending; this.pending = null; });
    audio.addEventListener("ratechange", changed);
    audio.addEventListener("seeked", () => { this.last = audio.currentTime; changed(); });
    audio.addEventListener("timeupdate", () => this.look());
    for (const name of ["play", "pause", "waiting", "playing"]) audio.addEventListener(name, changed);
    audio.addEventListener("error", () => { if (this.loaded) this.explain(); });
  }

  get playing() { return !this.audio.paused; }

  get now() { return this.pending ?? this.audio.currentTime; }

  /** @param {Strip} strip @param {number} [at] */
  choose(strip, at) {
    if (this.strip !== strip) {
      this.report();
      this.audio.pause();
      this.strip = strip;
      this.loaded = "";
      this.pending = at ?? 0;
      this.stopAt = null;
      this.original = this.original && strip.original;
    } else if (at !== undefined) this.seek(at);
    this.changed();
  }

  async play() {
    const strip = this.strip;
    if (!strip) return;
    this.load();
    if (this.pending === null && this.audio.ended) this.seek(0);
    try { await this.audio.play(); } catch (problem) {
      if (/** @type {DOMException} */ (problem).name === "NotAllowedError") this.fail(_("The browser wants a click on Play first."));
    }
  }

  pause() { this.audio.pause(); }

  /** @param {number} seconds */
  seek(seconds) {
    const strip = this.strip;
    if (!strip) return;
    const at = Math.min(Math.max(seconds, 0), strip.seconds);
    this.stopAt = null;
    if (this.loaded && this.audio.readyState > 0) { this.look(); this.audio.currentTime = at; this.last = at; } else this.pending = at;
    this.changed();
  }

  /** @param {number} speed */
  setSpeed(speed) {
    this.speed = speed;
    this.audio.playbackRate = speed;
    this.audio.preservesPitch = true;
    this.changed();
  }

  /** Hear what was covered, or the ordinary sound again. @param {boolean} on */
  setOriginal(on) {
    if (this.original === on) return;
    const [now, playing] = [this.now, this.playing];
    this.report();
    this.original = on;
    this.loaded = "";
    this.pending = now;
    if (playing) void this.play();
    this.changed();
  }

  /** Forget what was loaded: the sound has changed. */
  reload() { this.pending = this.now; this.audio.pause(); this.loaded = ""; }

  /** @private */
  load() {
    const strip = /** @type {Strip} */ (this.strip);
    const address = `/recordings/${strip.id}/audio?listening=${this.listening}${this.original ? "&original=1" : ""}`;
    if (this.loaded === address) return;
    this.loaded = address;
    this.audio.src = address;
    this.last = this.pending ?? 0;
  }

  /** @private Count what was heard, stop at the end of a chosen part, jump over silence. */
  look() {
    const now = this.audio.currentTime;
    const step = now - this.last;
    if (step > 0 && step < STEP_MOST * Math.max(1, this.speed)) this.heard += step;
    this.last = now;
    if (this.heard >= REPORT_EVERY) this.report();
    if (this.stopAt !== null && now >= this.stopAt) { this.stopAt = null; this.audio.pause(); }
    if (this.skipping && this.playing) {
      const silence = this.strip?.silences.find(([since, until]) => now >= since + LEAD && now < until - LEAD - WORTH);
      if (silence) { this.audio.currentTime = silence[1] - LEAD; this.last = silence[1] - LEAD; }
    }
    this.changed();
  }

  /** Tell the server how much was heard; also from a page that is closing. */
  report() {
    if (!this.strip || this.heard < 0.5) return;
    const body = new URLSearchParams({ csrf: meta("csrf"), seconds: this.heard.toFixed(1) });
    if (this.original) body.set("original", "1");
    this.heard = 0;
    navigator.sendBeacon(`/recordings/${this.strip.id}/heard`, body);
  }

  /** @private Why there is no sound: the media element does not say, the server does. */
  async explain() {
    const address = this.loaded;
    this.loaded = "";
    let text = _("The sound could not be loaded. Check the connection and press Play again.");
    try {
      const answer = await fetch(address.replace("/recordings/", "/api/v1/recordings/"), { headers: { Range: "bytes=0-0" } });
      if (answer.status === 401) location.reload();
      if (!answer.ok) { const told = await answer.json(); text = [told.detail, told.remedy].filter(Boolean).join(" "); }
    } catch { /* no network: the sentence above is right */ }
    this.fail(text);
    this.changed();
  }
}
