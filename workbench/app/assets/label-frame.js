// The page round an item: head with progress, choices with their keys, tools, dialogs. Leaves out what they do.

import { h } from "./label-paint.js";

const SIDES = [
  { side: 0, title: "is.first", choices: [["1", "much", 3], ["2", "better", 2], ["3", "slightly", 1]] },
  { side: null, title: "is.neither", choices: [["0", "tie"], ["9", "both_bad"]] },
  { side: 1, title: "is.second", choices: [["4", "slightly", 1], ["5", "better", 2], ["6", "much", 3]] },
];
const TOOLS = [["Z", "undo"], ["X", "skip"], ["F", "flag"], ["S", "scroll"], ["V", "source"]];
export const WHY = ["broken", "harmful", "topic", "other"];

// Every answer a task knows: key, more keys, kind and payload to send, text of the button, text when it was given.
export function answersOf(task) {
  if (task === "thumb") {
    return [
      { keys: ["1", "A"], text: "good", said: "said.good", kind: "thumb", payload: { label: true } },
      { keys: ["2", "D"], text: "bad", said: "said.bad", kind: "thumb", payload: { label: false } },
    ];
  }
  return SIDES.flatMap(({ side, choices }) => choices.map(([key, text, strength = null]) => ({
    keys: [key], text, side, kind: "pair",
    said: side === null ? `said.${text}` : `said.${text}.${side + 1}`,
    payload: { choice: side ?? text, strength },
  })));
}

const cap = (key) => h("kbd", { textContent: key, ariaHidden: "true" });
const shortcut = (keys) => ({ "aria-keyshortcuts": keys.map((key) => (key === "?" ? "Shift+?" : key.toLowerCase())).join(" ") });

export class Frame {
  constructor(root, say, act) {
    this.root = root;
    this.say = say;
    this.act = act;
    this.head = h("header", { className: "head" });
    this.stage = h("div", { className: "stage" });
    this.choices = h("div", { className: "choices" });
    this.tools = h("div", { className: "tools" });
    this.live = h("p", { className: "unseen", ariaLive: "polite" });
    this.last = h("span", { className: "last" });
    this.notice = h("span", { className: "notice", role: "alert" });
    this.saved = h("span", { className: "saved", role: "status" });
    this.bottom = h("div", { className: "bottom" }, this.choices, this.tools);
    root.replaceChildren(this.head, this.stage, this.bottom, this.live);
  }

  button(keys, text, action, className = "") {
    return h("button", { type: "button", className, onclick: action, "data-key": keys[0], ...shortcut(keys) },
      h("span", { className: "caps" }, ...keys.map(cap)), h("span", { textContent: text }));
  }

  drawHead(tasks, task, guideline) {
    const { say, act } = this;
    this.figures = h("p", { className: "figures" });
    this.bar = h("progress", { max: 1, value: 0, ariaLabel: say("progress") });
    const shown = tasks.filter(({ needed, name }) => needed || name === task);
    const tabs = shown.length < 2 ? null : h("div", { className: "tasks", role: "group", ariaLabel: say("tasks") },
      ...shown.map(({ name }) => h("button", { type: "button", textContent: say(`task.${name}`), ariaPressed: String(name === task), "data-task": name, onclick: () => act.task(name) })));
    this.head.replaceChildren(...[tabs, h("div", { className: "far" }, this.bar, this.figures),
      h("div", { className: "panels" },
        guideline ? this.button(["G"], say("guideline"), act.guideline, "quiet") : null,
        this.button(["?"], say("help"), act.help, "quiet help"))].filter(Boolean));
  }

  drawChoices(task, answer) {
    const { say } = this;
    const all = answersOf(task);
    const button = (choice) => this.button(choice.keys, say(choice.text), (event) => answer(choice, event), `choice ${choice.text}`);
    this.root.dataset.task = task;
    if (task === "thumb") {
      this.choices.replaceChildren(h("div", { className: "group", role: "group", ariaLabel: say("is.this") }, ...all.map(button)));
    } else {
      this.choices.replaceChildren(...SIDES.map(({ side, title }) => h("div", { className: "group", role: "group", ariaLabel: say(title), "data-side": String(side) },
        h("p", { textContent: say(title), ariaHidden: "true" }), h("div", {}, ...all.filter((choice) => choice.side === side).map(button)))));
    }
    this.tools.replaceChildren(
      h("div", { className: "acts" }, ...TOOLS.filter(([, name]) => task === "pair" || name !== "scroll")
        .map(([key, name]) => this.button([key], say(name), this.act[name], `quiet ${name}`))),
      this.last, this.notice, this.saved);
  }

  drawProgress({ done, needed, today, median_s: pace }) {
    Object.assign(this.bar, { max: Math.max(1, needed), value: done });
    const parts = [this.say("done", { done, needed }), this.say("today", { today })];
    if (pace) parts.push(this.say("pace", { s: Math.round(pace) || "< 1" }));
    this.figures.replaceChildren(...parts.map((text, at) => h("span", { textContent: text, className: at ? "quiet" : "strong" })));
  }

  show(element, announced) {
    this.stage.replaceChildren(element);
    this.stage.scrollTop = 0;
    this.live.textContent = announced;
  }

  // Something instead of an item: a heading, a sentence, what to do next.
  showInstead(kind, title, text, ...actions) {
    const heading = h("h2", { textContent: title, tabIndex: -1 });
    this.show(h("div", { className: "instead", "data-kind": kind }, heading, h("p", { textContent: text }),
      h("div", { className: "next" }, ...actions.filter(Boolean))), "");
    heading.focus({ preventScroll: true });
  }

  tell(text) {
    this.notice.textContent = text;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => { this.notice.textContent = ""; }, 8000);
  }

  drawSaved(outbox) {
    const late = outbox.age > 10_000;
    const state = !outbox.size ? "saved" : outbox.signedOut ? "signed_out" : late ? "late" : "waiting";
    const text = this.say(state, { n: outbox.size });
    this.saved.className = `saved ${state}`;
    if (this.saved.textContent === text) return;
    this.saved.replaceChildren(state === "signed_out" ? h("a", { href: "/login", textContent: text }) : text);
  }

  // A dialog; resolves to the value of the button that closed it, "" for Escape.
  ask(className, title, ...content) {
    const close = h("button", { type: "button", className: "quiet close", ariaLabel: this.say("close"), textContent: "×", onclick: () => dialog.close() });
    const dialog = h("dialog", { className: `label-dialog ${className}`, ariaLabel: title }, h("header", {}, h("h2", { textContent: title }), close), ...content);
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    document.body.append(dialog);
    dialog.showModal();
    return new Promise((done) => dialog.addEventListener("close", () => { dialog.remove(); done(dialog.returnValue); }));
  }

  askWhy() {
    const { say } = this;
    return this.ask("flag", say("flag.title"), h("p", { textContent: say("flag.text") }),
      h("form", { method: "dialog" }, ...WHY.map((why, at) => h("button", { value: why, "data-key": String(at + 1) }, cap(String(at + 1)), h("span", { textContent: say(`why.${why}`) })))));
  }

  showGuideline(text) {
    return this.ask("guideline", this.say("guideline"), h("div", { className: "plain", textContent: text, tabIndex: 0 }));
  }

  showHelp(task, keysOn, setKeys) {
    const { say } = this;
    const row = (keys, text) => [h("dt", {}, ...keys.map((key) => h("kbd", { textContent: key }))), h("dd", { textContent: text })];
    const rows = answersOf(task).flatMap(({ keys, said }) => row(keys, say(said)));
    const tools = TOOLS.filter(([, name]) => task === "pair" || name !== "scroll").flatMap(([key, name]) => row([key], say(`help.${name}`)));
    const box = h("input", { type: "checkbox", checked: keysOn, onchange: () => setKeys(box.checked) });
    return this.ask("keys", say("help"),
      h("dl", {}, ...rows), h("dl", {}, ...tools, ...row(["G"], say("guideline")), ...row(["?"], say("help")), ...row(["Esc"], say("close"))),
      h("label", {}, box, h("span", { textContent: say("keys_on") })));
  }
}
