// The list of keys, and changing them: choose a key, press the new one. Leaves out what keys do (label-hands.js).

import { cap, open } from "./label-dialogs.js";
import { actionsOf, keyOf } from "./label-keys.js";
import { h } from "./label-paint.js";

// What keys do that stay where they are.
const WRITE = [[["1–9"], "write.from"], [["0"], "write.nothing"], [["Ctrl", "⏎"], "write.save"], [["Esc"], "write.leave"]];
const fixedOf = (task, bestWorst) => ({ rank: [[["1–9"], bestWorst ? "best_worst" : "rank"]], write: WRITE })[task] ?? [];

export async function openHelp(page) {
  const list = new KeyList(page);
  await open(page.say, "keys", page.say("help"), [list.element]);
  if (list.changed) redraw(page);
}

// The buttons with their caps as they are now.
function redraw(page) {
  if (!page.start.project) return;
  page.drawHead();
  page.frame.drawTools(page.task);
  page.drawn = null;
  if (page.current && !page.lesson && !page.waiting) page.drawChoices(page.current);
  if (document.activeElement === document.body) page.frame.head.querySelector(".help").focus();
}

class KeyList {
  constructor({ say, keys, task, start }) {
    Object.assign(this, { say, keys, task, bestWorst: start.project?.best_worst, changed: false });
    this.said = h("p", { className: "said", role: "status", textContent: say("keys.how") });
    this.element = h("div", { className: "list" });
    this.draw();
  }

  draw() {
    const { say, keys, task, bestWorst } = this;
    const row = (caps, text) => [h("dt", {}, ...caps), h("dd", { textContent: text })];
    const fixed = fixedOf(task, bestWorst).flatMap(([caps, text]) => row(caps.map(cap), say(`help.${text}`)));
    const actions = Map.groupBy(actionsOf(task, bestWorst), (action) => action.help(say));
    const [answers, tools] = [true, false].map((wanted) => [...actions].filter(([, [{ name }]]) => name.startsWith(`${task}.`) === wanted)
      .flatMap(([text, same]) => row(same.map((action) => this.button(action)), text)));
    const box = h("input", { type: "checkbox", checked: keys.on, onchange: () => keys.turn(box.checked) });
    const reset = h("button", { type: "button", className: "reset", textContent: say("keys.reset"), disabled: !Object.keys(keys.moved).length, onclick: () => this.reset() });
    this.element.replaceChildren(this.said, h("dl", {}, ...fixed, ...answers),
      h("dl", {}, ...tools, ...row([cap("?")], say("help")), ...row([cap("Esc")], say("close"))),
      h("div", { className: "foot" }, h("label", {}, box, h("span", { textContent: say("keys_on") })), reset));
  }

  button(action) {
    const { say, keys } = this;
    const button = h("button", { type: "button", className: "key", "data-action": action.name, "data-moved": String(action.name in keys.moved),
      ariaLabel: say("keys.change", { key: keys.of(action), what: action.said(say) }), onclick: () => this.listen(button) }, cap(keys.of(action)));
    button.addEventListener("keydown", (event) => this.pressed(event, button, action));
    button.addEventListener("blur", () => this.leave(button));
    return button;
  }

  listen(button) {
    button.ariaPressed = "true";
    this.said.textContent = this.say("keys.press");
  }

  leave(button) {
    if (button.ariaPressed !== "true") return;
    button.ariaPressed = null;
    this.said.textContent = this.say("keys.how");
  }

  // The next key after a button was chosen is the new one of its action.
  pressed(event, button, action) {
    if (button.ariaPressed !== "true" || event.key === "Tab") return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat || event.isComposing || event.ctrlKey || event.altKey || event.metaKey || ["Shift", "Enter", " "].includes(event.key)) return;
    const { say, keys } = this;
    const key = keyOf(event);
    if (key === "Escape") return this.settled(action, say("keys.how"));
    const other = key === "" || keys.taken(key, action);
    if (other) { this.said.textContent = other === true ? say("keys.cannot") : say("keys.taken", { key, what: other.said(say) }); return; }
    keys.move(action, key);
    this.changed = true;
    this.settled(action, say("keys.now", { key, what: action.said(say) }));
  }

  reset() {
    this.keys.reset();
    this.changed = true;
    this.draw();
    this.said.textContent = this.say("keys.are_reset");
    this.element.querySelector(".key").focus();
  }

  settled({ name }, text) {
    this.draw();
    this.said.textContent = text;
    this.element.querySelector(`[data-action="${name}"]`).focus();
  }
}
