// @ts-check
/** Asking for a page of ours and taking a part of it. */

const PATIENCE = 5_000; // ms until a server that does not answer is taken for gone
const PAUSE = 180; // ms of no typing until it is asked again

/** The page behind an address, parsed; null when it is not ours or we are signed out. @param {string} url @param {RequestInit} [how] */
export async function page(url, how) {
  try {
    const answer = await fetch(url, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(PATIENCE), ...how });
    if (new URL(answer.url).pathname.startsWith("/sign-in")) return null;
    return { answer, html: new DOMParser().parseFromString(await answer.text(), "text/html") };
  } catch { return null; }
}

/** Call it once the typing pauses; what was asked before and answers later is dropped.
 * @param {(fresh: () => boolean) => Promise<void>} ask */
export function paused(ask) {
  /** @type {ReturnType<typeof setTimeout>|undefined} */ let timer;
  let turn = 0;
  return () => {
    clearTimeout(timer);
    const mine = ++turn;
    timer = setTimeout(() => ask(() => mine === turn), PAUSE);
  };
}
