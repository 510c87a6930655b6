// @ts-check
/** A password can be looked at while it is typed; it is hidden again before it is sent, so that browsers keep it as one. */

/** @param {HTMLElement} button @param {boolean} shown */
function show(button, shown) {
  const field = button.parentElement?.querySelector("input");
  if (!field) return;
  button.dataset.show ??= button.textContent ?? "";
  field.type = shown ? "text" : "password";
  button.setAttribute("aria-pressed", String(shown));
  button.textContent = (shown ? button.dataset.hide : button.dataset.show) ?? "";
}

for (const button of document.querySelectorAll("[data-show-password]")) /** @type {HTMLElement} */ (button).hidden = false;

addEventListener("click", (event) => {
  const button = /** @type {HTMLElement|null} */ (/** @type {Element} */ (event.target).closest?.("[data-show-password]"));
  if (button) show(button, button.getAttribute("aria-pressed") !== "true");
});
for (const kind of ["submit", "pagehide"]) {
  addEventListener(kind, () => {
    for (const button of document.querySelectorAll("[data-show-password][aria-pressed=true]")) show(/** @type {HTMLElement} */ (button), false);
  }, true);
}
