// @ts-check
/** Back from a row's page leads to that row again: `j` and `k` go on from where one was. Kept for this tab. */

const key = () => `switchhook row ${location.pathname}${location.search}`;
const links = () => /** @type {HTMLAnchorElement[]} */ ([...document.querySelectorAll("[data-list] [data-nav] a[href]")]);

addEventListener("pagehide", () => {
  const link = links().find((one) => one === document.activeElement);
  try {
    if (link) sessionStorage.setItem(key(), link.getAttribute("href") ?? "");
    else sessionStorage.removeItem(key());
  } catch { /* a browser that keeps nothing: the list begins at its top */ }
});

/** Whether this page was come back to. */
function cameBack() {
  const [entry] = performance.getEntriesByType("navigation");
  return entry instanceof PerformanceNavigationTiming && entry.type === "back_forward";
}

if (cameBack()) {
  const href = sessionStorage.getItem(key());
  const link = href && document.activeElement === document.body ? links().find((one) => one.getAttribute("href") === href) : null;
  link?.focus({ preventScroll: true });
}
