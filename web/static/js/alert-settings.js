// @ts-check
/** My settings: hear the sound and see the notification before the phone rings, and learn why not. */
import { chime, mayNotify, notify } from "./ring-alert.js";

const box = document.getElementById("alerts");
const said = box?.querySelector("[role=status]");
/** @param {string} name */
const word = (name) => box?.dataset[name] ?? "";

/** @param {string} text */
const say = (text) => { if (said) said.textContent = text; };

async function testSound() {
  say(await chime() ? word("heard") : word("silent"));
}

async function testNotification() {
  if (typeof Notification === "undefined" || !window.isSecureContext) return say(word("insecure"));
  if (!mayNotify() && await Notification.requestPermission() !== "granted") return say(word("refused"));
  notify(word("title"), word("body"), "switchhook test");
  say(word("shown"));
}

box?.querySelector('[data-act="test-sound"]')?.addEventListener("click", () => { void testSound(); });
box?.querySelector('[data-act="test-notification"]')?.addEventListener("click", () => { void testNotification(); });
