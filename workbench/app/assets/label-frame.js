// The page round an item: head with progress, choices with their keys, tools. Leaves out what they do, and dialogs.

import { SIDES, answersOf, toolsOf } from "./label-answers.js";
import { axisName, cap } from "./label-dialogs.js";
import { h } from "./label-paint.js";

const shortcut = (keys) => keys.map((key) => (key === "?" ? "Shift+?" : key.length > 1 ? key : key.toLowerCase())).join(" ");

export class Frame {
  constructor(root, say, act, reason, now) {
    Object.assign(this, { root, say, act, now });
    this.head = h("header", { className: "head" });
    this.stage = h("div", { className: "stage" });
    this.ahead = h("div", { className: "stage ahead" });
    this.stages = h("div", { className: "stages" }, this.stage, this.ahead);
    this.choices = h("div", { className: "choices" });
    this.tools = h("div", { className: "tools" });
    this.live = h("p", { className: "unseen", ariaLive: "polite" });
    this.last = h("span", { className: "last" });
    this.notice = h("p", { className: "notice", role: "alert" });
    this.saved = h("span", { className: "saved", role: "status" });
    this.bottom = h("div", { className: "bottom" }, this.notice, reason, this.choices, this.tools);
    root.replaceChildren(this.head, this.stages, this.bottom, this.live);
    this.button = this.button.bind(this);
  }

  button(keys, text, action, className = "", disabled = false) {
    return h("button", { type: "button", className, onclick: action, disabled, "data-key": keys[0], "aria-keyshortcuts": shortcut(keys.map(this.now)) },
      h("span", { className: "caps" }, ...keys.map((key) => cap(this.now(key)))), h("span", { textContent: text }));
  }

  // `places`: {axis: tasks that are asked for}.
  drawHead(places, axis, task, guideline) {
    const { say, act } = this;
    this.figures = h("p", { className: "figures" });
    this.bar = h("progress", { max: 1, value: 0, ariaLabel: say("progress") });
    const axes = Object.keys(places).map((name) => [name, axisName(name, say), () => act.open(name, task)]);
    const tasks = places[axis].map((name) => [name, say(`task.${name}`), () => act.open(axis, name)]);
    this.head.replaceChildren(...[tabs("axis", say("axes"), axes, axis), tabs("task", say("tasks"), tasks, task), h("div", { className: "far" }, this.bar, this.figures),
      h("div", { className: "panels" },
        guideline ? this.button(["G"], say("guideline"), act.guideline, "quiet") : null,
        this.button(["?"], say("help"), act.help, "quiet help"))].filter(Boolean));
  }

  drawTools(task) {
    const { say } = this;
    this.root.dataset.task = task;
    this.tools.replaceChildren(h("div", { className: "acts" }, ...toolsOf(task).map(([key, name]) => this.button([key], say(name), this.act[name], `quiet ${name}`))),
      this.last, this.saved);
  }

  // The choices that every item of a pair or thumb task has; a ranking draws its own.
  drawChoices(task, answer) {
    const { say } = this;
    const all = answersOf(task);
    const button = (choice) => this.button(choice.keys, say(choice.text), (event) => answer(choice, event), `choice ${choice.text}`);
    if (task === "thumb") {
      this.choices.replaceChildren(h("div", { className: "group", role: "group", ariaLabel: say("is.this") }, ...all.map(button)));
    } else {
      this.choices.replaceChildren(...SIDES.map(({ side, title }) => h("div", { className: "group", role: "group", ariaLabel: say(title), "data-side": String(side) },
        h("p", { textContent: say(title), ariaHidden: "true" }), h("div", {}, ...all.filter((choice) => choice.side === side).map(button)))));
    }
  }

  // Other choices in place of these; what had the focus has it again.
  replaceChoices(...content) {
    const focused = this.choices.contains(document.activeElement) && document.activeElement.dataset.key;
    this.choices.replaceChildren(...content);
    if (focused) this.choices.querySelector(`[data-key="${focused}"]:not(:disabled)`)?.focus({ preventScroll: true });
  }

  // How many items wait for somebody who writes.
  drawWaiting(n) {
    const tab = this.head.querySelector('[data-task="write"]');
    if (!tab) return;
    tab.querySelector("b").textContent = n || "";
    tab.ariaLabel = this.say(n ? "task.write.n" : "task.write", { n });
  }

  drawProgress({ done, needed, today, all_today: all, median_s: pace, calibration }, quota) {
    const { say } = this;
    Object.assign(this.bar, calibration ? { max: calibration.of, value: calibration.done } : { max: Math.max(1, needed), value: done });
    const parts = [calibration ? say("calibration", calibration) : say("done", { done, needed }), quota ? say("today.quota", { today: all ?? today, quota }) : say("today", { today })];
    if (pace) parts.push(say("pace", { s: Math.round(pace) || "< 1" }));
    this.figures.replaceChildren(...parts.map((text, at) => h("span", { textContent: text, className: at ? "quiet" : "strong" })));
  }

  // What was laid out ahead comes to the front as it lies; anything else takes the place of what is shown.
  show(element, announced) {
    if (this.ahead.contains(element)) {
      [this.stage, this.ahead] = [this.ahead, this.stage];
      this.stage.classList.remove("ahead");
      this.ahead.classList.add("ahead");
    } else {
      this.stage.replaceChildren(element);
      this.stage.scrollTop = 0;
    }
    this.live.textContent = announced;
  }

  // What is shown can be read and reached, what it replaced no more. After the paint: it restyles all of it.
  open() {
    this.stage.inert = false;
    this.ahead.replaceChildren();
    this.focus();
  }

  focus() {
    this.stage.querySelector("h2")?.focus({ preventScroll: true });
  }

  // Behind what is shown, and reached by nobody.
  layAhead(element) {
    this.ahead.inert = true;
    this.ahead.replaceChildren(element);
    this.ahead.scrollTop = 0;
  }

  // Something instead of an item: a heading, a sentence, what to do next.
  showInstead({ kind, title, text, done, actions }) {
    this.show(h("div", { className: "instead", "data-kind": kind }, h("h2", { textContent: title, tabIndex: -1 }), done ? h("p", { className: "done", textContent: done }) : null, h("p", { textContent: text }),
      h("div", { className: "next" }, ...actions)), "");
    this.open();
  }

  tell(text) {
    this.notice.textContent = text;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => { this.notice.textContent = ""; }, 8000);
  }

  drawSaved(outbox) {
    const late = outbox.age > 10_000;
    const state = !outbox.size ? "all_saved" : outbox.signedOut ? "signed_out" : late ? "late" : "waiting";
    const text = this.say(state, { n: outbox.size });
    this.saved.className = `saved ${state}`;
    if (this.saved.textContent === text) return;
    this.saved.replaceChildren(state === "signed_out" ? h("a", { href: "/login", textContent: text }) : text);
  }
}

function tabs(name, title, all, pressed) {
  if (all.length < 2) return null;
  return h("div", { className: "tasks", role: "group", ariaLabel: title }, ...all.map(([value, text, open]) =>
    h("button", { type: "button", ariaPressed: String(value === pressed), [`data-${name}`]: value, onclick: open }, text, value === "write" ? h("b") : null)));
}
