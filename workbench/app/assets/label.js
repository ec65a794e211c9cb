// The Label page: a buffer of leased items, one key for answer and next item. Leaves out the outbox (label-outbox.js),
// how an item becomes elements (label-paint.js), what stands round it (label-frame.js), keys and fingers (label-keys.js).

import { Frame, WHY, answersOf } from "./label-frame.js";
import { isForOthers, keyOf, newUid, onSwipe } from "./label-keys.js";
import { Outbox } from "./label-outbox.js";
import { h, paintItem } from "./label-paint.js";

const BUFFER = 10;
const REFILL_BELOW = 5;
const BEAT = 30_000;
const DEAD_TIME = 150;
const UNDOABLE = 10;

let unmount = () => {};

export async function mount(element) {
  unmount();
  const gone = new AbortController();
  const root = h("div", { className: "label" }); // beside Gradio's element, whose text styles would change ours
  element.closest("main").append(root);
  unmount = () => { gone.abort(); root.remove(); };
  while (!gone.signal.aborted) {
    try {
      const start = await ask("GET", "/api/label/progress");
      const texts = await ask("GET", `/assets/i18n/${start.lang}.json`);
      return new Labelling(root, texts, start, gone.signal);
    } catch (error) {
      if (error.status === 401) return location.assign("/login");
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

async function ask(method, address, body, more = {}) {
  const headers = body ? { "content-type": "application/json" } : {};
  const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body), ...more });
  if (!answer.ok) throw Object.assign(new Error(address), { status: answer.status });
  return answer.json();
}

const remembered = (key, fallback) => { try { return sessionStorage[key] ?? fallback; } catch { return fallback; } };
const remember = (key, value) => { try { sessionStorage[key] = value; } catch { /* a reload then starts afresh */ } };

class Labelling {
  constructor(root, texts, start, signal) {
    Object.assign(this, { root, start, signal, buffer: [], past: [], answered: new Set(), current: null, reason: null, active: 0, source: false });
    this.say = (key, values = {}) => (texts[`label.${key}`] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
    this.tab = remembered("label.tab", newUid());
    remember("label.tab", this.tab);
    this.outbox = new Outbox(start.user);
    for (const { lease, kind } of this.outbox.bodies) if (kind !== "undo") this.answered.add(lease);
    this.keysOn = localStorage[`label.keys.${start.user}`] !== "off";
    this.frame = new Frame(root, this.say, {
      task: (name) => this.open(name), guideline: () => this.frame.showGuideline(start.project.guideline),
      help: () => this.frame.showHelp(this.task, this.keysOn, (on) => this.setKeys(on)),
      undo: () => this.undo(), skip: (event) => this.answer({ kind: "skip", payload: { why: null }, said: "said.skip" }, event),
      flag: () => this.flag(), scroll: () => this.toggleScroll(), source: () => this.toggleSource(),
    });
    this.listen();
    if (!start.project) return this.frame.showInstead("no_project", this.say("no_project"), this.say("no_project.text"), this.link("/app", "to_home"));
    const waiting = start.project.tasks.find((task) => start.tasks[task].done < start.tasks[task].needed);
    this.open(remembered(`label.task.${start.project.id}`, waiting ?? start.project.tasks[0] ?? "pair"));
  }

  get heldKey() {
    return `label.held.${this.start.project.id}.${this.task}`;
  }

  get pastKey() {
    return `label.past.${this.start.user}.${this.start.project.id}.${this.task}`;
  }

  get mine() {
    return [this.current, ...this.buffer].filter(Boolean);
  }

  // --- which items

  open(task) {
    if (this.task && this.task !== task) this.release(this.mine);
    Object.assign(this, { task, buffer: [], current: null, reason: null, progress: this.start.tasks[task] });
    this.past = JSON.parse(remembered(this.pastKey, "[]"));
    remember(`label.task.${this.start.project.id}`, task);
    this.frame.drawHead(this.start.project.tasks.map((name) => ({ name, ...this.start.tasks[name] })), task, this.start.project.guideline);
    this.frame.drawChoices(task, (choice, event) => this.answer(choice, event));
    this.frame.drawProgress(this.progress);
    this.frame.drawSaved(this.outbox);
    this.show(null);
    this.refill(JSON.parse(remembered(this.heldKey, "[]")));
  }

  // Ask for the items to hold from now on; the server sends all of them, those we named first.
  async refill(named = []) {
    const { task } = this;
    if (this.filling === task) return;
    this.filling = task;
    clearTimeout(this.again);
    const sent = this.outbox.bodies.map(({ lease }) => lease);
    const held = [...new Set([...this.mine.map(({ item }) => item.lease), ...named, ...sent])];
    try {
      const want = BUFFER + this.outbox.size;
      const answer = await ask("POST", "/api/label/lease", { project: this.start.project.id, task, tab: this.tab, want, held });
      if (this.task === task) this.take(answer, new Set(held));
    } catch (error) {
      if (error.status === 401) this.outbox.signedOut = true;
      if (error.status === 403 || error.status === 404) return this.frame.showInstead("closed", this.say("closed"), this.say("closed.text"), this.link("/app", "to_home"));
      this.again = setTimeout(() => this.refill(named), 2000);
    } finally {
      if (this.filling === task) this.filling = null;
    }
  }

  take({ items, reason, wait_s: wait, progress }, asked) {
    const given = new Set(items.map(({ lease }) => lease));
    this.lose((lease) => asked.has(lease) && !given.has(lease));
    const known = new Set(this.mine.map(({ item }) => item.lease));
    for (const item of items) if (!known.has(item.lease) && !this.answered.has(item.lease)) this.buffer.push({ item });
    this.reason = this.mine.length ? null : reason ?? "saving";
    if (!this.outbox.size) this.progress = progress;
    this.start.tasks[this.task] = this.progress;
    this.frame.drawProgress(this.progress);
    if (!this.current) this.next();
    if (this.reason === "wait_s" || this.reason === "saving") {
      this.again = setTimeout(() => this.refill(), 1000 * Math.min(15, Math.max(1, wait ?? 1)));
    }
    this.keep();
  }

  // What went to others, or to another tab, is not answered here; what an undo brought back is ours until told otherwise.
  lose(gone) {
    this.buffer = this.buffer.filter(({ item, again }) => again || !gone(item.lease));
    if (this.current && !this.current.again && gone(this.current.item.lease)) {
      this.current = null;
      this.frame.tell(this.say("lost"));
    }
  }

  keep() {
    remember(this.heldKey, JSON.stringify(this.mine.map(({ item }) => item.lease)));
  }

  release(entries) {
    if (!entries.length) return;
    const leases = entries.map(({ item }) => item.lease);
    ask("POST", "/api/label/release", { tab: this.tab, leases }, { keepalive: true }).catch(() => {});
  }

  async beat() {
    const held = this.mine.map(({ item }) => item.lease);
    if (document.hidden || !held.length) return;
    const { lost } = await ask("POST", "/api/label/heartbeat", { tab: this.tab, held }).catch(() => ({ lost: [] }));
    this.lose((lease) => lost.includes(lease));
    if (!this.current) this.next();
  }

  // --- on screen

  next() {
    this.show(this.buffer.shift() ?? null);
    if (this.buffer.length < REFILL_BELOW && this.reason === null) this.refill();
    this.keep();
  }

  show(entry) {
    this.current = entry;
    this.painted = Infinity;
    this.root.dataset.item = "";
    this.root.dataset.busy = String(!entry);
    if (!entry) return this.reason ? this.showEnd() : this.frame.stage.replaceChildren();
    Object.assign(entry, { uid: newUid(), dom: entry.dom ?? this.paint(entry.item) });
    this.frame.show(entry.dom, this.say("announce", { text: entry.item.prompt.at(-1)?.content.slice(0, 200) ?? "" }));
    this.showPosition(0);
    this.root.querySelector(".prompt h2").focus({ preventScroll: true });
    this.watch();
    requestAnimationFrame(() => setTimeout(() => this.seen(entry)));
  }

  // The frame with this item is on screen: from here on time counts.
  seen(entry) {
    if (this.current !== entry) return;
    this.painted = performance.now();
    this.root.dataset.item = entry.item.lease;
    setTimeout(() => this.prepare());
  }

  paint(item) {
    return paintItem(item, this.say, this.source);
  }

  // The next item is built before it is needed.
  prepare() {
    const [next] = this.buffer;
    if (next && !next.dom) next.dom = this.paint(next.item);
  }

  showEnd() {
    const { say, progress, reason } = this;
    if (this.frame.stage.firstChild?.dataset.kind === reason) return null;
    if (reason === "saving") return this.frame.showInstead(reason, say("saving"), say("saving.text"));
    const other = this.start.project.tasks.find((name) => name !== this.task && this.start.tasks[name].done < this.start.tasks[name].needed);
    const more = other && this.link("#", `go.${other}`, () => this.open(other));
    if (reason === "wait_s") return this.frame.showInstead(reason, say("wait"), say("wait.text"), more);
    const actions = [
      more,
      this.start.lead && this.link(reason === "no_items" ? "/app/data" : "/app/train", reason === "no_items" ? "to_data" : "to_train"),
      this.link("/app", "to_home"),
    ];
    if (reason === "no_items") return this.frame.showInstead(reason, say("no_items"), say("no_items.text"), ...actions);
    const counts = ["mine", "today", "skipped", "flagged"].filter((key) => progress[key]).map((key) => say(`end.${key}`, { n: progress[key] }));
    return this.frame.showInstead(reason, say("end"), counts.join(" · ") || say("end.none"), ...actions);
  }

  link(href, text, action) {
    return h("a", { href, textContent: this.say(text), onclick: action && ((event) => { event.preventDefault(); action(); }) });
  }

  // Milliseconds are counted as active while this window has the focus.
  watch() {
    this.active = 0;
    this.since = document.hasFocus() && !document.hidden ? performance.now() : null;
  }

  attend() {
    if (this.since !== null) this.active += performance.now() - this.since;
    this.since = document.hasFocus() && !document.hidden ? performance.now() : null;
  }

  // --- acts

  // False while what is on screen has not been there long enough to be read.
  ready(event) {
    if (!this.current) return false;
    if ((event?.timeStamp ?? performance.now()) >= this.painted + DEAD_TIME) return true;
    this.root.classList.remove("early");
    requestAnimationFrame(() => this.root.classList.add("early"));
    return false;
  }

  answer({ kind, payload, said }, event) {
    if (!this.ready(event)) return;
    const { current: entry } = this;
    this.attend();
    const ms = { ms_shown: Math.max(0, Math.round(performance.now() - this.painted)), ms_active: Math.round(this.active) };
    ms.ms_active = Math.min(ms.ms_active, ms.ms_shown);
    this.post(entry, { uid: entry.uid, kind, payload, ...ms, supersedes: entry.supersedes ?? null });
    this.answered.add(entry.item.lease);
    this.remain([...this.past, { item: entry.item, uid: entry.uid, kind }]);
    this.count(kind, 1);
    this.frame.last.textContent = this.say(said);
    this.next();
  }

  undo() {
    const before = this.past.at(-1);
    if (!before) return this.frame.tell(this.say("nothing_to_undo"));
    this.remain(this.past.slice(0, -1));
    this.post(before, { uid: newUid(), kind: "undo", payload: { of: before.uid } });
    this.answered.delete(before.item.lease);
    if (this.current) this.buffer.unshift(this.current);
    this.count(before.kind, -1);
    this.frame.last.textContent = this.say("said.undo");
    this.show({ item: before.item, supersedes: before.uid, again: true });
    return this.keep();
  }

  // What can still be taken back, also after a reload.
  remain(past) {
    this.past = past.slice(-UNDOABLE);
    remember(this.pastKey, JSON.stringify(this.past));
  }

  async flag() {
    if (!this.ready()) return;
    const entry = this.current;
    const why = await this.frame.askWhy();
    if (WHY.includes(why) && this.current === entry) this.answer({ kind: "flag", payload: { why }, said: "said.flag" });
  }

  post({ item }, act) {
    this.outbox.add({ tab: this.tab, lease: item.lease, view: item.view, ...act });
  }

  // Our own figures run ahead of the server's; the next refill brings the true ones.
  count(kind, by) {
    const { progress } = this;
    if (kind === "skip" || kind === "flag") progress[kind === "skip" ? "skipped" : "flagged"] += by;
    else for (const key of ["mine", "done", "today"]) progress[key] += by;
    this.frame.drawProgress(progress);
  }

  refused({ body, code }) {
    const known = ["taken", "already_labelled", "not_undoable", "withdrawn"].includes(code);
    this.frame.tell(this.say(known ? `refused.${code}` : "refused.other"));
    if (this.past.some(({ uid }) => uid === body.uid)) this.count(body.kind, -1);
    this.remain(this.past.filter(({ uid }) => uid !== body.uid));
  }

  toggleSource() {
    this.source = !this.source;
    for (const entry of this.mine) delete entry.dom;
    if (!this.current) return;
    this.frame.show(this.current.dom = this.paint(this.current.item), "");
    this.frame.tell(this.say(this.source ? "source.on" : "source.off"));
  }

  toggleScroll() {
    this.root.classList.toggle("apart");
    this.frame.tell(this.say(this.root.classList.contains("apart") ? "scroll.off" : "scroll.on"));
  }

  // On a narrow screen one answer stands at a time.
  showPosition(position) {
    this.root.dataset.position = position;
    for (const tab of this.root.querySelectorAll(".switch button")) tab.ariaPressed = String(tab.dataset.to === String(position));
  }

  setKeys(on) {
    this.keysOn = on;
    localStorage[`label.keys.${this.start.user}`] = on ? "on" : "off";
  }

  // --- events

  listen() {
    const { signal, outbox } = this;
    const on = (target, name, action) => target.addEventListener(name, action, { signal });
    on(document, "keydown", (event) => this.key(event));
    on(window, "blur", () => this.attend());
    on(window, "focus", () => this.attend());
    on(window, "online", () => outbox.retry());
    on(document, "visibilitychange", () => { this.attend(); this.beat(); });
    on(window, "pagehide", () => this.release(this.buffer));
    on(window, "pageshow", (event) => { if (event.persisted) this.refill(); });
    on(window, "beforeunload", (event) => { if (outbox.age > 1000) event.preventDefault(); });
    on(outbox, "change", () => { if (!outbox.size) this.frame.drawSaved(outbox); });
    on(outbox, "refused", ({ detail }) => this.refused(detail));
    onSwipe(this.frame.stage, signal, (way) => this.showPosition(way < 0 ? 1 : 0)); // it shows the other answer, and never answers
    on(this.root, "click", ({ target }) => { const tab = target.closest(".switch button"); if (tab) this.showPosition(tab.dataset.to); });
    const beats = setInterval(() => this.beat(), BEAT);
    const looks = setInterval(() => { if (outbox.age > 400 || !outbox.size) this.frame.drawSaved(outbox); }, 500);
    signal.addEventListener("abort", () => { clearInterval(beats); clearInterval(looks); clearTimeout(this.again); });
  }

  key(event) {
    if (isForOthers(event)) return;
    const key = keyOf(event);
    const dialog = document.querySelector(".label-dialog[open]");
    if (dialog) {
      const button = dialog.querySelector(`[data-key="${key}"]`);
      if (button) button.click();
      else if ((key === "G" && dialog.matches(".guideline")) || (key === "?" && dialog.matches(".keys"))) dialog.close();
      return;
    }
    const act = this.keysOn || key === "?" ? this.actOf(key) : null;
    if (!act) return;
    event.preventDefault();
    act(event);
  }

  actOf(key) {
    const choice = this.task && answersOf(this.task).find(({ keys }) => keys.includes(key));
    if (choice) return (event) => this.answer(choice, event);
    const { act } = this.frame;
    if (key === "G" && !this.start.project?.guideline) return null;
    if (key === "S" && this.task !== "pair") return null;
    return { Z: act.undo, X: act.skip, F: act.flag, S: act.scroll, V: act.source, G: act.guideline, "?": act.help }[key];
  }
}
