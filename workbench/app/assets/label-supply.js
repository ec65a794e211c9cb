// Which items this tab holds: leased ahead, renewed, given back. Leaves out what is done with the one on screen.

import { ask, remember, remembered } from "./label-ask.js";
import { LOOKS_AGAIN } from "./label-ends.js";

const BUFFER = 10;
const REFILL_BELOW = 5;
const CLOSED = new Set([403, 404, 422]); // not for us, not there, no such axis or task any more

export class Supply extends EventTarget {
  // Events: `came` with the progress of the line, `lost` for the item on screen, `closed` when the project is,
  // `version` with a guideline's number, `messages` with those unread. An entry is {item, ...}; one that an undo brought back says `again`.

  constructor(project, tab, outbox) {
    super();
    Object.assign(this, { project, tab, outbox, buffer: [], current: null, reason: null, answered: new Set() });
    for (const { lease, kind } of outbox.bodies) if (kind !== "undo" && kind !== "edit") this.answered.add(lease);
  }

  get line() {
    return `${this.project}.${this.axis}.${this.task}`;
  }

  get mine() {
    return [this.current, ...this.buffer].filter(Boolean);
  }

  open(axis, task) {
    if (this.task) this.release(this.mine);
    Object.assign(this, { axis, task, buffer: [], current: null, reason: null });
    this.refill(remembered(`label.held.${this.line}`, []));
  }

  // Ask for the items to hold from now on; the server sends all of them, those we named first.
  async refill(named = []) {
    const { line, project, axis, task, tab } = this;
    if (this.filling === line) return;
    this.filling = line;
    clearTimeout(this.timer);
    const sent = this.outbox.bodies.map(({ lease }) => lease);
    const held = [...new Set([...this.mine.map(({ item }) => item.lease), ...named, ...sent])];
    try {
      const answer = await ask("POST", "/api/label/lease", { project, axis, task, tab, want: BUFFER + this.outbox.size, held });
      if (this.line === line) this.take(answer, new Set(held));
    } catch (error) {
      if (error.status === 401) this.outbox.signedOut = true;
      if (CLOSED.has(error.status)) this.tell("closed");
      else if (this.line === line) this.timer = setTimeout(() => this.refill(named), 2000);
    } finally {
      if (this.filling === line) this.filling = null;
    }
  }

  take({ items, reason, wait_s: wait, progress, messages }, asked) {
    const given = new Set(items.map(({ lease }) => lease));
    this.lose((lease) => asked.has(lease) && !given.has(lease));
    const known = new Set(this.mine.map(({ item }) => item.lease));
    for (const item of items) if (!known.has(item.lease) && !this.answered.has(item.lease)) this.buffer.push({ item });
    this.reason = this.mine.length ? null : reason ?? "saving";
    this.tell("came", progress);
    this.tell("messages", messages);
    if (LOOKS_AGAIN[this.reason]) this.timer = setTimeout(() => this.refill(), 1000 * Math.max(1, Math.min(wait ?? Infinity, LOOKS_AGAIN[this.reason])));
    this.keep();
  }

  // The next item is the one on screen from now on, null when there is none.
  shift() {
    this.current = this.buffer.shift() ?? null;
    if (!this.current) this.fill();
    this.keep();
    return this.current;
  }

  fill() {
    if (this.buffer.length < REFILL_BELOW && this.reason === null) this.refill();
  }

  // This one comes first, before the one on screen; what comes after it is to be asked anew.
  putFirst(entry) {
    this.reason = null;
    if (this.current) this.buffer.unshift(this.current);
    this.answered.delete(entry.item.lease);
    this.current = entry;
    this.keep();
  }

  // What went to others, or to another tab, is not answered here; what an undo brought back is ours until told otherwise.
  lose(gone) {
    this.buffer = this.buffer.filter(({ item, again }) => again || !gone(item.lease));
    if (!this.current || this.current.again || !gone(this.current.item.lease)) return;
    this.current = null;
    this.tell("lost");
  }

  keep() {
    remember(`label.held.${this.line}`, this.mine.map(({ item }) => item.lease));
  }

  release(entries) {
    if (!entries.length) return;
    const leases = entries.map(({ item }) => item.lease);
    ask("POST", "/api/label/release", { tab: this.tab, leases }, { keepalive: true }).catch(() => {});
  }

  async beat() {
    const held = this.mine.map(({ item }) => item.lease);
    if (document.hidden || !this.project) return;
    const { lost, version, messages } = await ask("POST", "/api/label/heartbeat", { project: this.project, tab: this.tab, held }).catch(() => ({ lost: [] }));
    this.lose((lease) => lost.includes(lease));
    if (version) this.tell("version", version);
    if (messages) this.tell("messages", messages);
  }

  tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
