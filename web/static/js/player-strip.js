// @ts-check
/** A strip on the page: shows where the sound is, and where a person points. Only geometry and painting. */
/** @typedef {import("./player-sound.js").Strip} Strip */

import { _ } from "./messages.js";
import { clock } from "./page.js";

const SLIP = 4; // px a mouse may move in a click
const GRIP = 6; // px around the playhead in which a drag moves it

/** `3:12.4` for fields, where a tenth of a second matters. @param {number} seconds */
export function exact(seconds) {
  const tenths = Math.round(seconds * 10);
  return clock(Math.floor(tenths / 10)) + (tenths % 10 ? `.${tenths % 10}` : "");
}

/** Seconds of `3:12`, `1:04:09.5` or `72`; null when it is none of these. @param {string} text */
export function seconds(text) {
  const found = /^\s*(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:[.,]\d+)?)\s*$/.exec(text);
  return found ? Number(found[1] ?? 0) * 3600 + Number(found[2] ?? 0) * 60 + Number(found[3].replace(",", ".")) : null;
}

export class StripView {
  /**
   * @param {HTMLElement} element
   * @param {{seek: (view: StripView, at: number) => void, choose: (view: StripView, from: number, to: number) => void}} told
   */
  constructor(element, told) {
    this.element = element;
    /** @type {Strip} */ this.strip = JSON.parse(element.dataset.strip ?? "{}");
    this.scale = /** @type {HTMLElement} */ (element.querySelector(".scale"));
    this.told = told;
    this.at = 0;
    this.spoken = "";
    this.listen();
  }

  /** Where on the strip that is, in seconds. @param {number} x of the window */
  secondsAt(x) {
    const box = this.scale.getBoundingClientRect();
    const rtl = document.documentElement.dir === "rtl";
    const share = ((rtl ? box.right - x : x - box.left) / box.width) * 100;
    const part = (share - this.strip.x) / this.strip.width;
    return Math.min(Math.max(part, 0), 1) * this.strip.seconds;
  }

  /** @private */
  listen() {
    /** @type {{x: number, at: number, drag: ""|"head"|"part"}|null} */ let held = null;
    this.scale.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const remark = /** @type {Element} */ (event.target).closest(".remark");
      if (remark) { this.told.seek(this, Number(remark.getAttribute("data-at"))); return; }
      const at = this.secondsAt(event.clientX);
      const box = this.scale.getBoundingClientRect();
      const grip = (GRIP / box.width) * (100 / this.strip.width) * this.strip.seconds;
      const onHead = event.pointerType !== "mouse" || Math.abs(at - this.at) < grip;
      held = { x: event.clientX, at, drag: "" };
      this.scale.setPointerCapture(event.pointerId);
      const move = (/** @type {PointerEvent} */ moved) => {
        if (!held) return;
        if (!held.drag && Math.abs(moved.clientX - held.x) > SLIP) held.drag = onHead ? "head" : "part";
        const to = this.secondsAt(moved.clientX);
        if (held.drag === "head") this.told.seek(this, to);
        if (held.drag === "part") this.told.choose(this, Math.min(held.at, to), Math.max(held.at, to));
      };
      const drop = (/** @type {PointerEvent} */ dropped) => {
        if (held && !held.drag && dropped.type === "pointerup") this.told.seek(this, held.at);
        held = null;
        this.scale.removeEventListener("pointermove", move);
        for (const name of ["pointerup", "pointercancel"]) this.scale.removeEventListener(name, /** @type {any} */ (drop));
      };
      this.scale.addEventListener("pointermove", move);
      for (const name of ["pointerup", "pointercancel"]) this.scale.addEventListener(name, /** @type {any} */ (drop));
    });
  }

  /** Show the sound at this second. @param {number} at */
  paint(at) {
    this.at = at;
    const { strip, scale } = this;
    const share = strip.seconds ? at / strip.seconds : 0;
    const played = scale.querySelector("[data-played]");
    played?.setAttribute("width", String(share * Number(played.getAttribute("data-parts"))));
    const head = scale.querySelector("[data-head]");
    for (const end of ["x1", "x2"]) head?.setAttribute(end, `${share * 100}%`);
    const voice = strip.voices.find(([since, until]) => at >= since && at < until)?.[2];
    const where = { at: clock(at), length: clock(strip.seconds) };
    const text = voice ? _("{at} of {length}, {outside} with {voice}", { ...where, outside: strip.outside, voice }) : _("{at} of {length}", where);
    if (text === this.spoken) return; // once a second is often enough for who listens to it
    this.spoken = text;
    scale.setAttribute("aria-valuenow", at.toFixed(1));
    scale.setAttribute("aria-valuetext", text);
  }

  /** Where that is on the common axis, in percent. @param {number} at */
  onAxis(at) { return this.strip.x + (at / this.strip.seconds) * this.strip.width; }

  /** @param {{from: number, to: number}|null} part */
  paintChosen(part) {
    const rect = this.scale.querySelector("[data-chosen]");
    const share = (/** @type {number} */ s) => `${(s / this.strip.seconds) * 100}%`;
    rect?.setAttribute("x", part ? share(part.from) : "0");
    rect?.setAttribute("width", part ? share(part.to - part.from) : "0");
  }
}
