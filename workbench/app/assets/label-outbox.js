// What the annotator did and the server has not acknowledged yet. Kept in localStorage per user, one entry per key, so
// tabs never overwrite each other; posting one twice is harmless, its uid is the same. Leaves out what is shown of it.

const SOON = 30; // the next item is on screen by then
const FIRST = 300;
const LAST = 5000; // somebody is looking at "waiting"
const REFUSED = new Set([409, 410, 413, 422]);
const ALONE = 20_000; // characters; with keepalive a browser sends no more than 64 KiB, and refuses the rest

export class Outbox extends EventTarget {
  // Events: `change`, `stored` with {body, said}, and `refused` with {body, status, code} for what never will be stored.

  constructor(user) {
    super();
    this.prefix = `label.outbox.${user}.`;
    this.entries = new Map();
    this.signedOut = false;
    this.delay = FIRST;
    this.count = 0;
    this.recover();
  }

  get size() {
    return this.entries.size;
  }

  // Milliseconds that the oldest entry has waited.
  get age() {
    const [oldest] = this.entries.values();
    return oldest ? Date.now() - oldest.since : 0;
  }

  get bodies() {
    return [...this.entries.values()].map(({ body }) => body);
  }

  recover() {
    const found = [];
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(this.prefix)) found.push(key);
      for (const key of found.sort()) this.entries.set(key, { body: JSON.parse(localStorage[key]), since: Date.now() });
    } catch { /* storage is off: what is in memory must do */ }
    if (this.size) this.send();
  }

  add(body) {
    const key = `${this.prefix}${String(Date.now()).padStart(15, "0")}.${String(this.count++).padStart(6, "0")}`;
    this.entries.set(key, { body, since: Date.now() });
    try { localStorage[key] = JSON.stringify(body); } catch { /* full or off: memory must do */ }
    this.tell("change");
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.send(), SOON);
  }

  // Posts the entries one by one in their order: an undo must not overtake its label.
  async send() {
    clearTimeout(this.timer);
    if (this.sending) return;
    this.sending = true;
    let done = true;
    while (done && this.size) {
      const [key, { body }] = this.entries.entries().next().value;
      done = await this.post(key, body);
    }
    this.sending = false;
    if (this.size) this.timer = setTimeout(() => this.send(), this.delay);
    this.delay = done ? FIRST : Math.min(LAST, this.delay * 2);
  }

  // True when this entry needs nothing more. Saved is only: 200, JSON, and our uid in it.
  async post(key, body) {
    const text = JSON.stringify(body);
    try {
      const answer = await fetch("/api/label/submit", {
        method: "POST", keepalive: text.length < ALONE, signal: AbortSignal.timeout(20_000),
        headers: { "content-type": "application/json" }, body: text,
      });
      this.signedOut = answer.status === 401;
      if (answer.status !== 200 && !REFUSED.has(answer.status)) return this.keep();
      const said = await answer.json();
      if (answer.status === 200 && said.ack !== body.uid) return this.keep();
      this.drop(key);
      if (answer.status === 200) this.tell("stored", { body, said });
      else this.tell("refused", { body, status: answer.status, code: said.code });
      return true;
    } catch {
      return this.keep();
    }
  }

  keep() {
    this.tell("change");
    return false;
  }

  drop(key) {
    this.entries.delete(key);
    try { localStorage.removeItem(key); } catch { /* storage is off */ }
    this.tell("change");
  }

  retry() {
    this.delay = FIRST;
    this.send();
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
