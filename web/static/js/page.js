// @ts-check
/** What every part of a page needs: values handed over by the server, ticking times, requests with the CSRF token. */

/** @param {string} name */
export const meta = (name) =>
  document.querySelector(`meta[name="switchhook-${name}"]`)?.getAttribute("content") ?? "";

/** `3:12`, or `1:04:09`: seconds that have passed in full, by the server's own rule (`whole_seconds`). @param {number} seconds */
export function clock(seconds) {
  const all = Math.max(0, Math.floor(Math.round(seconds * 100) / 100));
  const [hours, minutes, rest] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** `3:12` from a moment on. @param {string} since */
export const elapsed = (since) => clock((Date.now() - Date.parse(since)) / 1000);

/** Let every `<time data-since>` tick; called once a second and after each change. Without a connection they stand still:
 * nobody knows whether the call goes on. */
export function tick() {
  if (document.documentElement.dataset.live === "no") return;
  for (const time of document.querySelectorAll("time[data-since]")) {
    const text = elapsed(time.getAttribute("data-since") ?? "");
    if (time.textContent !== text) time.textContent = text;
  }
}

const PATIENCE = 5_000; // ms until a server that does not answer is taken for gone

/** A change by the API, with the CSRF token. Rejects when there is no answer in time.
 * @param {string} method @param {string} path @param {object} [body] @param {number} [patience] ms */
export const request = (method, path, body, patience = PATIENCE) =>
  fetch(path, {
    method, keepalive: method === "PUT", body: body && JSON.stringify(body), signal: AbortSignal.timeout(patience),
    headers: { ...(body && { "Content-Type": "application/json" }), "X-CSRF-Token": meta("csrf") },
  });

/** @param {string} path @param {object} body */
export const put = (path, body) => request("PUT", path, body);

const LONG_PATIENCE = 60_000; // ms; cutting a part of a long recording takes its time

/** A change of any other kind. @param {string} method @param {string} path @param {object} [body] */
export const send = (method, path, body) => request(method, path, body, LONG_PATIENCE);
