// @ts-check
/**
 * The live stream and everything known from it. Runs in a SharedWorker, one for all tabs of this browser, or in the
 * page itself where there is none. Listeners get messages; a new listener first gets the whole state.
 *
 * @typedef {{id: string, section: string, since: string, busy: string[], html: string}} Call
 * @typedef {{call_id: string, extension: string, state: string, word: string, name: string|null, number: string,
 *   withheld: boolean, internal: boolean, inbound: boolean, did: string|null, queue: string|null, from: string|null,
 *   also: string[], since: string, recording: {paused_since: string|null}|null,
 *   who: import("./card-client.js").Who|null}} Card
 * @typedef {{type: string, [field: string]: any}} Message
 */

const SILENCE = 25_000; // ms; two beats of the server missed and a half
const RETRY_LEAST = 150; // ms; with up to RETRY_SPREAD of jitter this stays below a second
const RETRY_SPREAD = 750;
const RETRY_REFUSED = 2_000; // ms; an answer that is no stream: the server is there and says no
const RETRY_FULL = 20_000; // ms; this account follows the calls in as many places as it may: wait until one is closed

export class Feed {
  /** @param {(message: Message) => void} tell */
  constructor(tell) {
    this.tell = tell;
    /** @type {Map<string, Call>} */ this.calls = new Map();
    /** @type {Map<string, Card>} */ this.cards = new Map();
    /** @type {{text: string, since: string}|null} */ this.notice = null;
    this.connected = false;
    this.heard = 0;
    this.ready = false;
    /** @type {ReturnType<typeof setTimeout>|undefined} */ this.silence = undefined;
    this.connect();
  }

  /** Everything, for a page that has just come. @returns {Message} */
  state() {
    return {
      type: "state", ready: this.ready, connected: this.connected, heard: this.heard, notice: this.notice,
      calls: [...this.calls.values()], cards: [...this.cards.values()],
    };
  }

  connect() {
    const source = new EventSource("/api/v1/live?view=page");
    this.source = source;
    /** @param {string} name @param {(data: any) => void} act */
    const on = (name, act) => source.addEventListener(name, (event) => {
      if (this.source !== source) return;
      this.alive();
      act(JSON.parse(/** @type {MessageEvent} */ (event).data));
    });
    on("snapshot", (data) => {
      this.calls = new Map(data.calls.map((/** @type {Call} */ call) => [call.id, call]));
      this.cards = new Map(data.cards.map((/** @type {Card} */ card) => [key(card), card]));
      this.notice = data.notice;
      this.connected = this.ready = true;
      this.tell(this.state());
    });
    on("call", (call) => { this.calls.set(call.id, call); this.tell({ type: "call", call }); });
    on("gone", ({ id }) => { this.calls.delete(id); this.tell({ type: "gone", id }); });
    on("card", (card) => {
      if (card.state === "ended") this.cards.delete(key(card)); else this.cards.set(key(card), card);
      this.tell({ type: "card", card });
    });
    on("card_closed", (closed) => { this.cards.delete(key(closed)); this.tell({ type: "card_closed", ...closed }); });
    on("link", (data) => { this.notice = data.notice; this.tell({ type: "link", notice: this.notice }); });
    on("missed", () => this.tell({ type: "missed" }));
    on("beat", () => {});
    on("bye", ({ reason }) => {
      if (reason === "signed_out") { this.stop(); this.tell({ type: "signed_out" }); }
      else this.again(reason === "too_many" ? RETRY_FULL : RETRY_LEAST);
    });
    source.onerror = () => { if (this.source === source) this.lost(); };
    this.alive();
  }

  alive() {
    this.heard = Date.now();
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.again(), SILENCE);
  }

  /** The stream broke. A refused one may mean that the session has ended: ask before trying on. */
  async lost() {
    const refused = this.source?.readyState === EventSource.CLOSED;
    this.again(refused ? RETRY_REFUSED : RETRY_LEAST);
    if (!refused) return;
    try {
      const answer = await fetch("/api/v1/calls?limit=1", { redirect: "manual" });
      if (answer.status === 401) { this.stop(); this.tell({ type: "signed_out" }); }
    } catch { /* no network: the retry goes on */ }
  }

  /** @param {number} least ms */
  again(least = RETRY_LEAST) {
    this.stop();
    if (this.connected) { this.connected = false; this.tell({ type: "lost", heard: this.heard }); }
    this.retry = setTimeout(() => this.connect(), least + Math.random() * RETRY_SPREAD);
  }

  stop() {
    clearTimeout(this.silence);
    clearTimeout(this.retry);
    this.source?.close();
    this.source = undefined;
  }
}

/** @param {{call_id: string, extension: string}} card */
export const key = (card) => `${card.call_id} ${card.extension}`;
