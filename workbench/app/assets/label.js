// The Label page: one key for answer and next item. Leaves out which items there are (label-supply.js), what must arrive
// (label-outbox.js), how it looks (label-frame.js, label-paint.js), rankings (label-rank.js) and what is being
// written (label-writing.js).

import { inWords, WHY } from "./label-answers.js";
import { ask, remember, remembered, textsOf } from "./label-ask.js";
import { askWhy } from "./label-dialogs.js";
import { endOf, link } from "./label-ends.js";
import { Frame } from "./label-frame.js";
import { listen } from "./label-hands.js";
import { openHelp } from "./label-help.js";
import { Keys, newUid } from "./label-keys.js";
import { Look } from "./label-look.js";
import { Outbox } from "./label-outbox.js";
import { h, paintItem } from "./label-paint.js";
import { paintLesson } from "./label-panels.js";
import { markPlaces, Order, paintOrder } from "./label-rank.js";
import { Rules } from "./label-rules.js";
import { Supply } from "./label-supply.js";
import { floorOf, Watch } from "./label-time.js";
import { Writing } from "./label-writing.js";

const DEAD_TIME = 150;
const UNDOABLE = 10;
const AFTER_PAINT = 50; // ms: long texts take several to be stored
const REFUSED = ["taken", "written", "already_labelled", "not_undoable", "withdrawn", "adjudicated"];

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
      const [say] = await textsOf(start.lang, "label");
      return new Labelling(root, say, start, gone.signal);
    } catch (error) {
      if (error.status === 401) return location.assign("/login");
      await new Promise((done) => setTimeout(done, 2000));
    }
  }
}

class Labelling {
  constructor(root, say, start, signal) {
    Object.assign(this, { root, say, start, signal, past: [], watch: new Watch() });
    this.tab = remembered("label.tab", newUid());
    remember("label.tab", this.tab);
    this.outbox = new Outbox(start.user);
    this.supply = new Supply(start.project?.id, this.tab, this.outbox);
    this.keys = new Keys(start.user);
    this.look = new Look(this);
    this.rules = start.project && new Rules(this, start.project);
    this.writing = new Writing(this, start.user);
    this.frame = new Frame(root, this.say, {
      open: (axis, task) => this.open(axis, task), guideline: () => this.rules.open(),
      help: () => openHelp(this),
      undo: () => this.undo(), skip: (event) => this.answer("skip", { why: null }, event), flag: () => this.flag(),
      edit: () => this.writing.choose(), write: () => this.writing.choose(), reason: () => this.writing.giveReason(), diff: () => this.look.toggleDiff(),
      scroll: () => this.look.toggleScroll(), source: () => this.look.toggleSource(),
    }, this.writing.panel.element, (key) => this.keys.now(key, this.task));
    listen(this, signal);
    if (!start.project) return this.closed("no_project");
    this.begin();
  }

  get current() { return this.supply.current; }

  get axis() { return this.supply.axis; }

  get task() { return this.supply.task; }

  get pastKey() { return `label.past.${this.start.user}.${this.supply.line}`; }

  // --- which line of items

  // Axis and task that still need labels, all but the one on screen.
  get elsewhere() {
    const { project, progress } = this.start;
    return project.axes.flatMap((axis) => Object.keys(progress[axis]).map((task) => [axis, task])).filter(([axis, task]) =>
      (axis !== this.axis || task !== this.task) && progress[axis][task].done < progress[axis][task].needed);
  }

  begin() {
    const { project, progress } = this.start;
    const [axis, task] = remembered(`label.line.${project.id}`, []);
    this.open(...(progress[axis]?.[task] ? [axis, task] : this.elsewhere[0] ?? [project.axes[0], project.tasks[0]]));
  }

  open(axis, task) {
    const { project, progress } = this.start;
    if (!progress[axis][task]) [task] = project.tasks; // not every axis has every task
    this.writing.leave();
    this.supply.open(axis, task);
    Object.assign(this, { progress: progress[axis][task], past: remembered(this.pastKey, []), drawn: null });
    this.watch.fast = 0;
    remember(`label.line.${project.id}`, [axis, task]);
    this.frame.last.textContent = "";
    this.drawHead();
    this.frame.drawTools(task);
    this.frame.drawSaved(this.outbox);
    this.show(null);
    this.rules.openNew();
  }

  drawHead() {
    const { project, progress } = this.start;
    const asked = (axis) => Object.keys(progress[axis]).filter((task) => task === "write" || progress[axis][task].needed || task === this.task);
    this.frame.drawHead(Object.fromEntries(project.axes.map((axis) => [axis, asked(axis)])), this.axis, this.task, this.rules.has(this.axis));
    this.drawProgress();
  }

  drawProgress() {
    const { project, progress: { overall: { write } } } = this.start;
    this.frame.drawProgress(this.progress, project.quota);
    if (write) this.frame.drawWaiting(write.done < write.needed ? "•" : "");
  }

  came(progress) {
    this.behind = this.outbox.size > 0; // what still waits is not in these figures
    const { overall: { write } } = this.start.progress;
    if (!this.behind) this.start.progress[this.axis][this.task] = this.progress = progress;
    if (!this.behind && write) write.needed = write.done + progress.to_write;
    this.drawProgress();
    if (!this.current) this.next();
  }

  closed(reason) {
    this.supply.current = null;
    const home = link("/app", this.say("to_home"));
    this.frame.showInstead({ kind: reason, title: this.say(`end.${reason}`), text: this.say(`end.${reason}.text`), actions: [home] });
  }

  // --- on screen

  next() {
    this.show(this.supply.shift());
  }

  show(entry) {
    this.watch.stop();
    Object.assign(this, { lesson: null, waiting: null });
    this.writing.show(entry);
    this.root.dataset.item = "";
    this.root.dataset.busy = String(!entry);
    if (!entry) return this.supply.reason ? this.showEnd() : this.frame.stage.replaceChildren();
    Object.assign(entry, { uid: newUid(), dom: entry.dom ?? this.paint(entry) });
    if (this.task === "rank") entry.order ??= new Order(entry.item.answers.length, this.start.project.best_worst);
    this.drawChoices(entry);
    this.frame.show(entry.dom, this.say("announce", { text: entry.item.prompt.at(-1)?.content.slice(0, 200) ?? "" }));
    if (entry.order) markPlaces(this.frame.stage, entry.order, this.say);
    this.look.showPosition(0);
    requestAnimationFrame(() => setTimeout(() => this.seen(entry)));
  }

  // The frame with this item is on screen: from here on time counts.
  seen(entry) {
    if (this.current !== entry || this.watch.painted < Infinity) return;
    this.watch.start();
    this.root.dataset.item = entry.item.lease;
    this.frame.open();
    setTimeout(() => this.prepare(entry));
  }

  // The next item is built and laid out before it is needed.
  prepare(entry) {
    entry.floor ??= floorOf(entry.item);
    const [next] = this.supply.buffer;
    if (next) this.frame.layAhead(next.dom ??= this.paint(next));
    this.supply.fill();
  }

  paint({ item }) {
    return paintItem(item, this.say, { source: this.look.source, diff: this.look.diff, edits: this.writing.editsOf(item) });
  }

  // The item on screen as it is to look now; what is being written stays.
  repaint() {
    for (const entry of this.supply.mine) delete entry.dom;
    if (!this.current) return;
    const { position } = this.root.dataset;
    this.frame.stage.replaceChildren(this.current.dom = this.paint(this.current));
    if (this.current.order) markPlaces(this.frame.stage, this.current.order, this.say);
    this.look.showPosition(position);
    this.writing.reopen();
    this.prepare(this.current);
  }

  drawChoices(entry) {
    const { task, frame } = this;
    this.root.dataset.drag = task === "rank" && !entry.order.bestWorst ? "on" : "off";
    if (task === "write") return frame.replaceChoices(this.writing.desk.paint());
    if (task === "rank") return frame.replaceChoices(...paintOrder(entry.order, this.say, this.ranking, frame.button));
    if (this.drawn !== task) frame.drawChoices(task, ({ kind, payload }, event) => this.answer(kind, payload, event));
    return (this.drawn = task);
  }

  showEnd() {
    const { reason } = this.supply;
    const { elsewhere } = this; // it may grow while an answer that all is bad is on its way
    if (this.frame.stage.firstChild?.dataset.kind === reason && this.offered === String(elsewhere)) return;
    this.offered = String(elsewhere);
    const { project, lead } = this.start;
    this.frame.showInstead(endOf(reason, { say: this.say, progress: this.progress, project, lead, elsewhere,
      open: (axis, task) => this.open(axis, task), again: () => this.supply.refill() }));
  }

  // --- acts

  // False while what is on screen has not been there long enough to be read.
  ready(event) {
    if (!this.current || this.waiting || this.lesson) return false;
    return (event?.timeStamp ?? performance.now()) >= this.watch.painted + DEAD_TIME || this.pulse();
  }

  pulse() {
    this.root.classList.remove("early");
    requestAnimationFrame(() => this.root.classList.add("early"));
    return false;
  }

  answer(kind, payload, event) {
    if (!this.ready(event) || this.writing.unsaved()) return;
    const { current: entry } = this;
    const ms = this.watch.read();
    const reason = this.writing.drafts.reason(entry.item.lease);
    this.post(entry, { uid: entry.uid, kind, payload, ...ms, reason, supersedes: entry.supersedes ?? null });
    this.supply.answered.add(entry.item.lease);
    this.count(kind, 1, entry.item.teach);
    this.frame.last.textContent = kind === "skip" || kind === "flag" ? this.say(`said.${kind}`) : inWords(payload, this.say);
    if (entry.item.teach && kind !== "skip" && kind !== "flag") return this.awaitLesson(entry);
    this.remain([...this.past, { item: entry.item, uid: entry.uid, kind, reason, draft: this.writing.written }]);
    this.next();
    if (kind !== "skip" && kind !== "flag" && this.watch.tooFast(ms.ms_active, entry.floor)) this.frame.tell(this.say("fast"));
  }

  // What the keys of a ranking do.
  ranking = {
    place: (position, event) => this.arrange((order) => order.place(position), event),
    level: (event) => this.arrange((order) => order.tiers.length > 0 && order.rest.length > 0 && ((order.level = !order.level), true), event),
    back: (event) => this.arrange((order) => order.takeBack(), event),
    equal: (event) => this.arrange((order) => order.levelRest(), event),
    none: (event) => (this.current?.order.tiers.length ? this.pulse() : this.answer("rank", { tiers: [] }, event)),
    submit: (event) => this.answer(this.current.order.bestWorst ? "best_worst" : "rank", this.current.order.payload, event),
  };

  // Change the order on screen; by keys it is sent as soon as nothing is open.
  arrange(change, event) {
    if (!this.ready(event)) return;
    const { order } = this.current;
    if (!change(order)) { this.pulse(); return; }
    if (order.whole && !order.byHand) return this.ranking.submit(event);
    this.drawChoices(this.current);
    markPlaces(this.frame.stage, order, this.say);
    this.frame.live.textContent = this.say("rank.now", { order: inWords({ tiers: order.tiers }, this.say) });
    if (order.whole) this.root.querySelector(".submit")?.focus({ preventScroll: true });
  }

  undo() {
    const before = this.past.at(-1);
    if (this.waiting || this.lesson) return;
    if (!before) return this.frame.tell(this.say("nothing_to_undo"));
    this.remain(this.past.slice(0, -1));
    this.post(before, { uid: newUid(), kind: "undo", payload: { of: before.uid }, reason: null });
    this.frame.last.textContent = this.say(before.kind === "edit" ? "said.undo_edit" : "said.undo");
    if (before.kind === "edit" && this.current?.item.lease === before.item.lease) return this.repaint();
    this.count(before.kind, -1);
    if (before.reason) this.writing.drafts.of(before.item.lease).reason = before.reason;
    if (before.draft) Object.assign(this.writing.drafts.of(before.item.lease), before.draft);
    this.supply.putFirst({ item: before.item, supersedes: before.kind === "edit" ? null : before.uid, again: true });
    this.show(this.current);
  }

  // What can still be taken back, also after a reload.
  remain(past) {
    this.past = past.slice(-UNDOABLE);
    const { pastKey, past: kept } = this;
    setTimeout(() => remember(pastKey, kept), AFTER_PAINT);
  }

  async flag() {
    if (!this.ready()) return;
    const entry = this.current;
    const why = await askWhy(this.say);
    if (WHY.includes(why) && this.current === entry) this.answer("flag", { why });
  }

  post({ item }, act) {
    this.outbox.add({ tab: this.tab, lease: item.lease, view: item.view, guideline: this.start.project.version || null, ...act });
  }

  // Our own figures run ahead of the server's; the next refill brings the true ones.
  count(kind, by, teach) {
    const { progress } = this;
    if (kind === "edit") return;
    if (kind === "skip" || kind === "flag") progress[kind === "skip" ? "skipped" : "flagged"] += by;
    else for (const key of teach ? ["mine", "today", "all_today"] : ["mine", "done", "today", "all_today"]) progress[key] += by;
    if (teach && progress.calibration) progress.calibration.done += by;
    this.drawProgress();
  }

  // --- answers of the server

  awaitLesson(entry) {
    this.waiting = entry.uid;
    this.drawn = null;
    this.root.dataset.busy = "true";
    this.frame.replaceChoices(h("p", { className: "lesson", textContent: this.say("lesson.wait") }));
  }

  stored({ body, said }) {
    if (this.behind && !this.outbox.size) this.supply.refill();
    this.writing.drafts.sent(body);
    if (body.uid !== this.waiting) return;
    this.waiting = null;
    if (!said.taught) return this.next();
    this.lesson = said.taught;
    const panel = paintLesson(said.taught, this.say, (event) => this.goOn(event));
    this.frame.replaceChoices(panel);
    panel.querySelector("button").focus({ preventScroll: true });
    this.watch.painted = performance.now();
  }

  goOn(event) {
    if (event.timeStamp < this.watch.painted + DEAD_TIME) return this.pulse();
    return this.next();
  }

  refused({ body, code }) {
    if (code === "closed") return this.closed(code);
    const why = code === "taken" && body.kind === "write" ? "written" : code; // the text stays in its draft
    this.frame.tell(this.say(`refused.${REFUSED.includes(why) ? why : "other"}`));
    if (this.past.some(({ uid }) => uid === body.uid)) this.count(body.kind, -1);
    this.remain(this.past.filter(({ uid }) => uid !== body.uid));
    if (body.uid === this.waiting) this.next();
    else if (body.kind === "edit" && body.lease === this.current?.item.lease) this.repaint();
  }
}
