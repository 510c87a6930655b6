// @ts-check
/** Where a page gets its live messages from: the shared worker, else a stream of its own. */
import { Feed } from "./feed.js";
import { meta } from "./page.js";

/** @param {(message: import("./feed.js").Message) => void} hear */
export function listen(hear) {
  if (typeof SharedWorker === "undefined") return direct(hear);
  try {
    // Named after the session: after signing in as somebody else nobody listens to the old stream.
    const worker = new SharedWorker(meta("worker"), { type: "module", name: meta("session") });
    worker.onerror = () => direct(hear);
    worker.port.onmessage = (event) => hear(event.data);
    worker.port.start();
    addEventListener("pagehide", () => worker.port.postMessage("leave"));
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  } catch {
    direct(hear);
  }
}

/** @param {(message: import("./feed.js").Message) => void} hear */
function direct(hear) {
  const feed = new Feed(hear);
  addEventListener("pagehide", () => feed.stop());
}
