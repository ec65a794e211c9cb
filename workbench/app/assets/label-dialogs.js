// What opens over the page: why an item is flagged, the guidelines, the keys. Leaves out what follows from them.

import { WHY, answersOf, inWords, toolsOf } from "./label-answers.js";
import { h, paintText } from "./label-paint.js";

export const cap = (key) => h("kbd", { textContent: key === "Backspace" ? "⌫" : key, ariaHidden: "true" });

// A dialog; resolves to the value of the button that closed it, "" for Escape. One with `must` has no other way out.
function open(say, className, title, content, must = false) {
  const close = must ? null : h("button", { type: "button", className: "quiet close", ariaLabel: say("close"), textContent: "×", onclick: () => dialog.close() });
  const dialog = h("dialog", { className: `label-dialog ${className}`, ariaLabel: title }, h("header", {}, h("h2", { textContent: title, tabIndex: -1 }), close), ...content);
  if (must) dialog.addEventListener("cancel", (event) => event.preventDefault());
  else dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => dialog.addEventListener("close", () => { dialog.remove(); done(dialog.returnValue); }));
}

export function askWhy(say) {
  return open(say, "flag", say("flag.title"), [h("p", { textContent: say("flag.text") }),
    h("form", { method: "dialog" }, ...WHY.map((why, at) => h("button", { value: why, "data-key": String(at + 1) }, cap(String(at + 1)), h("span", { textContent: say(`why.${why}`) }))))]);
}

// The guidelines of these axes; a version that is new to somebody must be acknowledged.
export function showGuidelines(say, { guidelines, version }, axes, must) {
  const parts = axes.flatMap((axis) => [axes.length > 1 ? h("h3", { textContent: axisName(axis, say) }) : null, paintText(guidelines[axis].text, guidelines[axis].html)]);
  const read = must && h("form", { method: "dialog" }, h("button", { className: "main", value: "read", textContent: say("guideline.read") }));
  return open(say, must ? "guideline must" : "guideline", say("guideline"), [h("p", { className: "version", textContent: say(must && version > 1 ? "guideline.new" : "guideline.version", { version }) }),
    h("div", { className: "rules", tabIndex: 0, role: "region", ariaLabel: say("guideline") }, ...parts.filter(Boolean)), read].filter(Boolean), must);
}

export const axisName = (axis, say) => (axis === "overall" ? say("axis.overall") : axis[0].toUpperCase() + axis.slice(1).replaceAll(/[_-]/g, " "));

const WRITE = [[["1–9"], "write.from"], [["0"], "write.nothing"], [["Ctrl", "⏎"], "write.save"], [["Esc"], "write.leave"]];
const RANK = [[["1–9"], "rank"], [["="], "level"], [["⌫"], "back"], [["0"], "equal"], [["9"], "none"]];

export function showHelp(say, task, bestWorst, keysOn, setKeys) {
  const row = (keys, text) => [h("dt", {}, ...keys.map((key) => h("kbd", { textContent: key }))), h("dd", { textContent: text })];
  const many = { rank: bestWorst ? [[["1–9"], "best_worst"], [["⌫"], "back"]] : RANK, write: WRITE }[task];
  const rows = many ? many.flatMap(([keys, text]) => row(keys, say(`help.${text}`)))
    : answersOf(task).flatMap(({ keys, payload }) => row(keys, inWords(payload, say)));
  const tools = toolsOf(task).flatMap(([key, name]) => row([key], say(`help.${name}`)));
  const box = h("input", { type: "checkbox", checked: keysOn, onchange: () => setKeys(box.checked) });
  return open(say, "keys", say("help"), [
    h("dl", {}, ...rows), h("dl", {}, ...tools, ...row(["G"], say("guideline")), ...row(["?"], say("help")), ...row(["Esc"], say("close"))),
    h("label", {}, box, h("span", { textContent: say("keys_on") }))]);
}
