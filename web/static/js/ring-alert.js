// @ts-check
/**
 * A sound and a notification when my phone rings, each on its own. What is wanted is kept with the account. Of all tabs of
 * this browser one makes the sound and one shows the notification, and none does while one of them has the focus.
 */
import { meta } from "./page.js";
import { claimAlert } from "./source.js";

const STARTS = 200; // ms until a browser that may play has begun to

const wants = (/** @type {string} */ what) => meta("alerts").split(" ").includes(what);

/** @type {Map<string, Notification>} */ const notifications = new Map();
/** @type {Set<string>} calls that ring now, and of which we have heard */ const ringing = new Set();
/** @type {AudioContext|null} */ let audio = null;

/** My phone began to ring. @param {string} name @param {string} since @param {{title: string, body: string}} said */
export async function announceRing(name, since, said) {
  if (ringing.has(name)) return;
  ringing.add(name);
  const able = { focused: document.hasFocus(), sound: wants("sound") && await isAudible(), notify: wants("notify") && mayNotify() };
  claimAlert(`${name} ${since}`, able, (granted) => {
    if (!ringing.has(name)) return; // answered meanwhile
    if (granted.sound) void chime();
    if (granted.notify) notifications.set(name, notify(said.title, said.body, name));
  });
}

/** It rings no more. @param {string} name */
export function endRing(name) {
  ringing.delete(name);
  notifications.get(name)?.close();
  notifications.delete(name);
}

export const mayNotify = () => typeof Notification !== "undefined" && Notification.permission === "granted";

/** @param {string} title @param {string} body @param {string} tag */
export function notify(title, body, tag) {
  const shown = new Notification(title, { body, tag });
  shown.onclick = () => { window.focus(); shown.close(); };
  return shown;
}

/** Browsers play nothing before the first click or key; what waits for one must not sound minutes later. */
async function isAudible() {
  try {
    audio ??= new AudioContext();
    await Promise.race([audio.resume(), new Promise((later) => setTimeout(later, STARTS))]);
    return audio.state === "running";
  } catch { return false; }
}

/** Two soft tones, made here: nothing to download. @returns {Promise<boolean>} whether it could be heard */
export async function chime() {
  if (!await isAudible() || !audio) return false;
  for (const [at, pitch] of [[0, 660], [0.18, 880]]) playTone(audio, audio.currentTime + at, pitch);
  return true;
}

/** @param {AudioContext} sound @param {number} at @param {number} pitch */
function playTone(sound, at, pitch) {
  const tone = sound.createOscillator(), level = sound.createGain();
  tone.frequency.value = pitch;
  level.gain.value = 0.06;
  tone.connect(level).connect(sound.destination);
  tone.start(at);
  tone.stop(at + 0.15);
}
