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

/** Let every `<time data-since>` tick; called once a second and after each change. */
export function tick() {
  for (const time of document.querySelectorAll("time[data-since]")) {
    const text = elapsed(time.getAttribute("data-since") ?? "");
    if (time.textContent !== text) time.textContent = text;
  }
}

/** @param {string} path @param {object} body */
export const put = (path, body) =>
  fetch(path, {
    method: "PUT", keepalive: true, body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": meta("csrf") },
  });

/** A change of any other kind. @param {string} method @param {string} path @param {object} [body] */
export const send = (method, path, body) =>
  fetch(path, {
    method, body: body && JSON.stringify(body),
    headers: { ...(body && { "Content-Type": "application/json" }), "X-CSRF-Token": meta("csrf") },
  });
