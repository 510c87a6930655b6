// @ts-check
/** Where a page gets its live messages from: the shared worker, else a stream of its own. */
import { AlertClaims } from "./alert-claims.js";
import { Feed } from "./feed.js";
import { meta } from "./page.js";

/** @typedef {import("./alert-claims.js").Able} Able @typedef {import("./alert-claims.js").Granted} Granted */
const CLAIMED = "switchhook alert"; // the latest ring somebody claimed
/** @type {MessagePort|null} */ let port = null;
/** @type {Map<string, (granted: Granted) => void>} */ const claimed = new Map();
/** @type {AlertClaims|null} without the shared worker every tab decides for itself */ let own = null;

/** Ask to be the tab that makes the sound, or shows the notification, of this call. @param {string} name @param {Able} able
 * @param {(granted: Granted) => void} grant */
export function claimAlert(name, able, grant) {
  if (!port) {
    if (localStorage.getItem(CLAIMED) === name) return; // by another tab, or by the page before
    localStorage.setItem(CLAIMED, name);
    (own ??= new AlertClaims()).claim(name, able, grant);
    return;
  }
  claimed.set(name, grant);
  port.postMessage({ claim: name, able });
}

/** @param {(message: import("./feed.js").Message) => void} hear */
export function listen(hear) {
  if (typeof SharedWorker === "undefined") return direct(hear);
  try {
    // Named after the session: after signing in as somebody else nobody listens to the old stream.
    const worker = new SharedWorker(meta("worker"), { type: "module", name: meta("session") });
    worker.onerror = () => { port = null; direct(hear); };
    worker.port.onmessage = (event) => { if (event.data.type === "alert") grantAlert(event.data); else hear(event.data); };
    worker.port.start();
    port = worker.port;
    addEventListener("pagehide", () => worker.port.postMessage("leave"));
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  } catch {
    direct(hear);
  }
}

/** @param {{name: string, granted: Granted}} answer */
function grantAlert({ name, granted }) {
  claimed.get(name)?.(granted);
  claimed.delete(name);
}

/** @param {(message: import("./feed.js").Message) => void} hear */
function direct(hear) {
  const feed = new Feed(hear);
  addEventListener("pagehide", () => feed.stop());
}
