// @ts-check
/**
 * Which of several tabs makes the sound and which shows the notification of one ringing call. Every tab says at once what
 * it could do; a moment later one is chosen for each.
 *
 * @typedef {{focused: boolean, sound: boolean, notify: boolean}} Able
 * @typedef {{sound: boolean, notify: boolean}} Granted
 */

const COLLECT = 300; // ms; all tabs hear of a ring at once, and find out within 200 ms whether they can play
const FORGET = 180_000; // ms; longer than a phone rings: the next page of the same ring does not chime once more

export class AlertClaims {
  constructor() {
    /** @type {Map<string, {able: Able, grant: (granted: Granted) => void}[]>} */ this.waiting = new Map();
    /** @type {Set<string>} decided already */ this.decided = new Set();
  }

  /** @param {string} name of the call @param {Able} able @param {(granted: Granted) => void} grant */
  claim(name, able, grant) {
    if (this.decided.has(name)) return;
    const waiting = this.waiting.get(name);
    if (waiting) { waiting.push({ able, grant }); return; }
    this.waiting.set(name, [{ able, grant }]);
    setTimeout(() => this.decide(name), COLLECT);
  }

  /** @param {string} name */
  decide(name) {
    const claims = this.waiting.get(name) ?? [];
    this.waiting.delete(name);
    this.decided.add(name);
    setTimeout(() => this.decided.delete(name), FORGET);
    const bySight = [...claims].sort((one, other) => Number(other.able.focused) - Number(one.able.focused));
    const sounding = bySight.find(({ able }) => able.sound);
    const looking = claims.some(({ able }) => able.focused);
    const showing = looking ? undefined : claims.find(({ able }) => able.notify);
    for (const claim of claims) claim.grant({ sound: claim === sounding, notify: claim === showing });
  }
}
