// The Decide tab of the Review page: what waits, one item after the other, the lead's word on it.
// Leaves out how an item and what was said of it become elements (review-paint.js).

import { answersOf, inWords } from "./label-answers.js";
import { ask, textsOf } from "./label-ask.js";
import { isForOthers, keyOf } from "./label-keys.js";
import { h } from "./label-paint.js";
import { paintCase, paintDesk, paintQueues, renamed } from "./review-paint.js";

let unmount = () => {};

export async function mount(element) {
  unmount();
  const gone = new AbortController();
  const root = h("div", { className: "review" });
  element.append(root);
  unmount = () => { gone.abort(); root.remove(); };
  const shell = await ask("GET", "/api/shell").catch(toLogin);
  const [say, label] = await textsOf(shell.lang, "review", "label").catch(toLogin);
  if (shell.project) return new Review(root, say, label, shell.project, gone.signal).open({});
  return root.append(h("p", { className: "quiet", textContent: say("no_project") }));
}

function toLogin(error) {
  if (error.status === 401) location.assign("/login");
  throw error;
}

class Review {
  constructor(root, say, label, project, signal) {
    Object.assign(this, { root, say, label, project, signal, axis: "overall", annotator: null, kind: null, items: [], at: 0, read: new Map() });
    this.queues = h("nav", { className: "queues", ariaLabel: say("queues") });
    this.middle = h("section", { className: "middle", ariaLabel: say("item") });
    this.desk = h("section", { className: "desk", ariaLabel: say("decide") });
    this.said = h("p", { className: "told", role: "status" });
    root.replaceChildren(this.queues, this.middle, this.desk);
    document.addEventListener("keydown", (event) => this.key(event), { signal });
  }

  async do(act, values) {
    try {
      return await ask("POST", `/api/do/${act}`, values).catch(toLogin);
    } catch (error) {
      this.tell(error.message, true);
      throw Object.assign(error, { told: true });
    }
  }

  tell(text, bad = false) {
    this.said.textContent = text;
    this.said.classList.toggle("bad", bad);
    clearTimeout(this.telling);
    this.telling = setTimeout(() => { this.said.textContent = ""; }, 8000);
  }

  get current() {
    return this.items[this.at];
  }

  // --- which item

  async open(chosen) {
    Object.assign(this, chosen);
    this.read.clear();
    const { project, axis, kind, annotator } = this;
    const found = await this.do("review_queue", { project, axis, kind, annotator });
    Object.assign(this, { kind: found.kind, items: found.items, all: found.counts[found.kind], axes: found.axes, at: 0 });
    this.drawQueues(found);
    await this.show(0);
  }

  drawQueues(found) {
    this.queues.replaceChildren(...paintQueues(found, this, this.say, (chosen) => this.open(chosen)));
  }

  async recount() {
    const { project, axis, kind, annotator } = this;
    this.drawQueues(await this.do("review_queue", { project, axis, kind, annotator }));
  }

  async move(by) {
    if (this.items.length === 0) return null;
    if (this.at + by >= this.items.length) return this.open({});
    return this.show(Math.max(0, this.at + by));
  }

  // Each item is asked for once, the next one before it is needed.
  fetch(item) {
    if (!this.read.has(item)) {
      const found = this.do("review_item", { item, axis: this.axis });
      this.read.set(item, found);
      found.catch(() => this.read.delete(item));
    }
    return this.read.get(item);
  }

  async show(at) {
    this.at = at;
    this.root.dataset.item = "";
    if (!this.current) return this.showNone();
    const wanted = this.current;
    const found = await this.fetch(wanted);
    if (this.current !== wanted) return null;
    this.case = found;
    const place = this.say("place", { n: at + 1, all: this.all });
    this.middle.replaceChildren(...paintCase(found, place, this.say, this.label, (by) => this.move(by)));
    this.desk.replaceChildren(...paintDesk(found, this.say, this.label, this), this.said);
    this.root.dataset.item = wanted;
    this.middle.querySelector("h2").focus({ preventScroll: true });
    if (this.middle.getBoundingClientRect().top < 0) this.middle.scrollIntoView();
    if (at + 1 < this.items.length) this.fetch(this.items[at + 1]);
    return null;
  }

  showNone() {
    this.case = null;
    this.desk.replaceChildren(this.said);
    const title = h("h2", { textContent: this.say("none"), tabIndex: -1 });
    this.middle.replaceChildren(h("div", { className: "none" }, title, h("p", { className: "quiet", textContent: this.say(`none.${this.kind}`) })));
    this.root.dataset.item = "none";
    return null;
  }

  // --- acts

  // One at a time; what was read before is out of date afterwards.
  async act(work, said, stay = false) {
    if (this.busy || !this.case) return;
    this.busy = true;
    try {
      await work(this.case.item);
      this.read.delete(this.case.item);
      this.tell(said);
      await (stay ? this.show(this.at) : this.move(1));
      await this.recount();
    } catch (error) {
      if (!error.told) throw error;
    } finally {
      this.busy = false;
    }
  }

  decide(payload) {
    const { axis, case: found } = this;
    const note = this.desk.querySelector("textarea").value;
    const gold = this.desk.querySelector(".gold input").checked;
    return this.act(async (item) => {
      await this.do("review_decide", { item, axis, payload: renamed(payload, (at) => found.order[at]), note });
      if (gold || found.gold) await this.do("review_gold", { item, axis, explanation: note || (found.gold?.explanation ?? ""), on: gold });
    }, this.say("decided_as", { answer: inWords(payload, this.label) }));
  }

  // It takes its answer from a decision: without one it waits for that.
  gold(on) {
    if (!this.case[on ? "decision" : "gold"]) return null;
    const explanation = this.desk.querySelector("textarea").value;
    return this.act((item) => this.do("review_gold", { item, axis: this.axis, explanation, on }), this.say(on ? "is_gold" : "is_not_gold"), true);
  }

  clear() {
    return this.act((item) => this.do("review_clear", { item }), this.say("cleared"), this.kind !== "flag");
  }

  withdraw() {
    const { say } = this;
    const why = h("input", { maxLength: 500, ariaLabel: say("withdraw.why"), placeholder: say("withdraw.why") });
    const buttons = h("div", { className: "row" }, h("button", { value: "yes", className: "danger", textContent: say("withdraw.yes") }), h("button", { value: "", formNoValidate: true, textContent: say("withdraw.no") }));
    const dialog = h("dialog", { className: "review-dialog", ariaLabel: say("withdraw") },
      h("h2", { textContent: say("withdraw") }), h("p", { textContent: say("withdraw.text") }), h("form", { method: "dialog" }, why, buttons));
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "yes") this.act((item) => this.do("review_withdraw", { item, why: why.value || null }), say("withdrawn"));
    });
    this.root.append(dialog);
    dialog.showModal();
  }

  key(event) {
    if (isForOthers(event) || !this.case || !this.root.offsetParent || document.querySelector("dialog[open]")) return;
    const key = keyOf(event);
    const choice = answersOf(this.case.task).find(({ keys }) => keys.includes(key));
    if (choice) this.decide(choice.payload);
    else if (key === "J") this.move(1);
    else if (key === "K") this.move(-1);
    else return;
    event.preventDefault();
  }
}
