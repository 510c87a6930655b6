// @ts-check
/** One live stream for all tabs of this browser: HTTP/1.1 allows six connections, and seven tabs are not rare. */
import { AlertClaims } from "./alert-claims.js";
import { Feed } from "./feed.js";

/** @type {Set<MessagePort>} */
const ports = new Set();
const claims = new AlertClaims();
const feed = new Feed((message) => { for (const port of ports) port.postMessage(message); });

/** @type {unknown} */ const worker = self; // a SharedWorker's; the compiler takes it for a window

/** @type {{ onconnect: (event: MessageEvent) => void }} */ (worker).onconnect = (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.onmessage = (told) => {
    if (told.data === "leave") ports.delete(port);
    if (told.data === "state") port.postMessage(feed.state());
    const { claim: name, able } = told.data;
    if (name) claims.claim(name, able, (granted) => port.postMessage({ type: "alert", name, granted }));
  };
  port.postMessage(feed.state());
};
