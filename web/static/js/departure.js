// @ts-check
/** An answer that leads to another page comes a moment after it was asked for. Whoever has gone elsewhere meanwhile is not
 * called back. */

let begun = -Infinity;
addEventListener("beforeunload", () => { begun = performance.now(); });

/** Whether somebody has begun to leave this page since then. @param {number} asked what `performance.now()` said */
export const hasLeftSince = (asked) => begun > asked;
