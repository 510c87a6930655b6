// @ts-check
/** Begins everything on a page: the stream, the cards, the ticking, the keyboard. */
import * as cards from "./cards.js";
import "./doors.js";
import "./filters.js";
import "./keys.js";
import * as callPage from "./call-page.js";
import "./list-position.js";
import * as livePage from "./live-page.js";
import * as liveRows from "./live-rows.js";
import { _ } from "./messages.js";
import "./missed-count.js";
import { tidy } from "./drafts.js";
import "./field-echo.js";
import "./form-drafts.js";
import { toSignIn } from "./form-send.js";
import { keep } from "./notes.js";
import { elapsed, tick } from "./page.js";
import "./search.js";
import { listen } from "./source.js";
import "./toast.js";
import "./feedback-count.js";
import "./unsaved.js";

const line = document.getElementById("notice");
/** @type {{text: string, since: string|null}|null} */ let notice = null;
/** @type {number|null} when the stream was last heard of; null while it lives */ let lost = null;

/** @type {Record<string, (message: any) => void>} */
const HEAR = {
  state: (message) => {
    notice = message.notice;
    lost = message.connected || !message.ready ? null : message.heard;
    if (message.ready) { livePage.all(message.calls); liveRows.all(message.calls); callPage.all(message.calls); cards.reconcile(message.cards); }
    document.documentElement.dataset.live = message.connected ? "yes" : "no";
    if (message.connected) document.dispatchEvent(new CustomEvent("switchhook:connected"));
  },
  call: ({ call }) => { livePage.upsert(call); liveRows.changed(call.id); callPage.changed(call.id); tellCall(call.id, false); },
  gone: ({ id }) => { livePage.gone(id); liveRows.ended(id); callPage.ended(id); tellCall(id, true); },
  card: ({ card }) => cards.show(card),
  card_closed: (closed) => cards.close(closed),
  link: (message) => { notice = message.notice; },
  missed: () => document.dispatchEvent(new CustomEvent("switchhook:missed")),
  lost: ({ heard }) => { lost = heard; document.documentElement.dataset.live = "no"; },
  signed_out: toSignIn,
};

/** For the scripts of single pages. @param {string} id @param {boolean} ended */
function tellCall(id, ended) { document.dispatchEvent(new CustomEvent("switchhook:call", { detail: { id, ended } })); }

listen((message) => { HEAR[message.type]?.(message); say(); });

const PATIENCE = 2_000; // ms; a connection that is back within that is nobody's concern

/** The one quiet line. */
function say() {
  if (!line) return;
  let text = "";
  if (lost !== null && Date.now() - lost > PATIENCE) text = _("Not connected to Switchhook. Shown as it was {time} ago", { time: elapsed(new Date(lost).toISOString()) });
  else if (notice) text = notice.since ? notice.text.replace("{time}", elapsed(notice.since)) : notice.text;
  line.hidden = !text;
  if (line.textContent !== text) line.textContent = text;
}

setInterval(() => { tick(); say(); }, 1000);
tick();
tidy();

const own = document.querySelector("[data-note]");
if (own instanceof HTMLElement) {
  const area = own.querySelector("textarea");
  const sign = own.querySelector(".saved");
  if (area && sign) keep(area, own.dataset.note ?? "", sign);
}

