// @ts-check
/**
 * What was typed and is not saved yet, in this browser's storage (autosave). A draft belongs to one account: nobody else who
 * signs in on this computer sees it or sends it. Nothing here touches the page or the network.
 *
 * @typedef {{name: string, index: number, value: string, label?: string}} Value
 * @typedef {{method: string, path: string, body: object}} ApiCall
 * @typedef {{at: number, kind: "note"|"form", label: string, page: string, state: "typed"|"waiting"|"refused", id: string,
 *   text?: string, call?: ApiCall, action?: string, values?: Value[], base?: Record<string, string>, body?: [string, string][]}} Draft
 *   `call` or `action` with `body` is what is sent once that is possible; `text` is a note, or why a form was refused.
 */
import { meta } from "./page.js";

const PREFIX = "switchhook draft ";
const BEFORE = /^switchhook (note|contact|review) /; // keys of earlier versions: they do not say whose they are
const KEPT_DAYS = 28; // as long as a call waits to be reviewed, the longest of all forms

const account = meta("account");
const place = (/** @type {string} */ name) => `${PREFIX}${account} ${name}`;

/** Told after each change, in this tab and in the others. @type {Set<() => void>} */
const watchers = new Set();

/** @param {() => void} act */
export const watch = (act) => { watchers.add(act); };
addEventListener("storage", (event) => { if (event.key?.startsWith(PREFIX)) for (const act of watchers) act(); });

/** @param {string} text @returns {Draft|null} */
function parsed(text) {
  try { const found = JSON.parse(text); return typeof found?.at === "number" ? found : null; } catch { return null; }
}

/** @param {string} name @returns {Draft|null} */
export const read = (name) => (account ? parsed(localStorage.getItem(place(name)) ?? "null") : null);

/** Keep it; false where the browser keeps nothing (storage is full or switched off).
 * @param {string} name @param {Omit<Draft, "at"|"id"> & {id?: string}} draft */
export function write(name, draft) {
  if (!account) return false;
  try {
    const id = draft.id ?? read(name)?.id ?? newId();
    localStorage.setItem(place(name), JSON.stringify({ ...draft, id, at: Date.now() }));
  } catch { return false; }
  for (const act of watchers) act();
  return true;
}

/** @param {string} name */
export function drop(name) {
  if (localStorage.getItem(place(name)) === null) return;
  localStorage.removeItem(place(name));
  for (const act of watchers) act();
}

/** All of this account, oldest first. @returns {[string, Draft][]} */
export function all() {
  const own = place("");
  return Object.keys(localStorage).filter((key) => account && key.startsWith(own))
    .map((key) => /** @type {[string, Draft|null]} */ ([key.slice(own.length), parsed(localStorage.getItem(key) ?? "null")]))
    .filter(/** @returns {pair is [string, Draft]} */ (pair) => pair[1] !== null)
    .sort((a, b) => a[1].at - b[1].at);
}

/** Nothing of this account stays behind; for signing out. */
export function dropAll() {
  for (const [name] of all()) drop(name);
}

/** Forget what nobody comes back to, whosever it is, and what does not say whose it is. */
export function tidy() {
  const oldest = Date.now() - KEPT_DAYS * 86_400_000;
  for (const key of Object.keys(localStorage)) {
    if (BEFORE.test(key)) localStorage.removeItem(key);
    else if (key.startsWith(PREFIX) && !((parsed(localStorage.getItem(key) ?? "null")?.at ?? 0) > oldest)) localStorage.removeItem(key);
  }
}

/** Sent along, so that what arrives twice is done once (idempotency key). `randomUUID` is missing where there is no TLS. */
export function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
