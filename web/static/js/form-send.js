// @ts-check
/**
 * Sends a form without leaving the page. The server answers with where to go on instead of a redirect (`web/forms/form_posts.py`),
 * so a page is asked for once and an answer that was lost on its way can be asked for again.
 *
 * @typedef {{outcome: "saved", to: string} | {outcome: "page"|"refused"|"conflict", html: Document, status: number} |
 *   {outcome: "signed-out"} | {outcome: "unreachable", why: string}} Answer
 */
import { _ } from "./messages.js";
import { meta } from "./page.js";

const PATIENCE = 5_000; // ms until a server that does not answer is taken for gone
const FILE_PATIENCE = 180_000; // ms; a file on a slow line

/** @param {string} action @param {[string, FormDataEntryValue][]} entries @param {string} id @param {boolean} [files] @returns {Promise<Answer>} */
export async function sendForm(action, entries, id, files = false) {
  const answer = await post(action, entries, id, files);
  if (answer.outcome !== "refused" || answer.status !== 403) return answer;
  // Signed in anew in another tab: the same person goes on with that session.
  const now = await session();
  if (now === "unreachable") return { outcome: "unreachable", why: UNREACHABLE };
  if (now === null || now.account !== meta("account")) return { outcome: "signed-out" };
  if (unmaskToken(now.csrf) === unmaskToken(meta("csrf"))) return answer; // really not allowed
  document.querySelector('meta[name="switchhook-csrf"]')?.setAttribute("content", now.csrf);
  for (const field of document.querySelectorAll("input[name=csrf]")) /** @type {HTMLInputElement} */ (field).value = now.csrf;
  return post(action, entries, id, files);
}

/** The token under its mask, which is another in each answer (`web/auth/csrf_mask.py`). @param {string} shown */
function unmaskToken(shown) {
  const bytes = (shown.match(/../g) ?? []).map((pair) => parseInt(pair, 16));
  const half = bytes.length / 2;
  return bytes.slice(half).map((byte, at) => byte ^ bytes[at]).join(" ");
}

export const UNREACHABLE = _("Switchhook cannot be reached.");

/** @param {string} action @param {[string, FormDataEntryValue][]} entries @param {string} id @param {boolean} files @returns {Promise<Answer>} */
async function post(action, entries, id, files) {
  const body = files ? new FormData() : new URLSearchParams();
  for (const [name, value] of entries) if (name !== "csrf") body.append(name, /** @type {string} */ (value));
  body.append("csrf", meta("csrf"));
  try {
    const answer = await fetch(action, {
      method: "POST", body, signal: AbortSignal.timeout(files ? FILE_PATIENCE : PATIENCE),
      headers: { Accept: "text/html", "X-Form-Id": id },
    });
    const to = answer.headers.get("X-Form-Location");
    if (to !== null) return new URL(to, location.href).pathname === "/sign-in" ? { outcome: "signed-out" } : { outcome: "saved", to };
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (answer.status >= 500 || answer.status === 429) return { outcome: "unreachable", why: html.querySelector("h1")?.textContent?.trim() || UNREACHABLE };
    if (answer.status === 409) return { outcome: "conflict", html, status: 409 };
    return { outcome: answer.ok && !html.querySelector("main .problem") ? "page" : "refused", html, status: answer.status };
  } catch { return { outcome: "unreachable", why: UNREACHABLE }; }
}

/** Who is signed in in this browser by now. @returns {Promise<{account: string, csrf: string}|null|"unreachable">} */
export async function session() {
  try {
    const answer = await fetch("/api/v1/session", { headers: { Accept: "application/json" }, signal: AbortSignal.timeout(PATIENCE) });
    if (answer.status === 401) return null;
    return answer.ok ? await answer.json() : "unreachable";
  } catch { return "unreachable"; }
}

let leaving = false;

/** Signing out on purpose: nobody has to be told that they were signed out. */
export function leave() { leaving = true; }

/** The sign-in page, which leads back here and says why. */
export function toSignIn() {
  if (leaving) return;
  location.href = `/sign-in?${new URLSearchParams({ why: "ended", next: location.pathname + location.search })}`;
}
