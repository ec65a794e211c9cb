// What opens over the page: why an item is flagged, the guidelines. Leaves out what follows, and keys (label-help.js).

import { WHY } from "./label-answers.js";
import { h, paintText } from "./label-paint.js";

export const cap = (key) => h("kbd", { textContent: key === "Backspace" ? "⌫" : key, ariaHidden: "true" });

// A dialog; resolves to the value of the button that closed it, "" for Escape. One with `must` has no other way out.
export function open(say, className, title, content, must = false) {
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
  const parts = axes.flatMap((axis) => [axes.length > 1 || axis !== "overall" ? h("h3", { textContent: axisName(axis, say) }) : null, paintText(guidelines[axis].text, guidelines[axis].html)]);
  const read = must && h("form", { method: "dialog" }, h("button", { className: "main", value: "read", textContent: say("guideline.read") }));
  return open(say, must ? "guideline must" : "guideline", say("guideline"), [h("p", { className: "version", textContent: say(must && version > 1 ? "guideline.new" : "guideline.version", { version }) }),
    h("div", { className: "rules", tabIndex: 0, role: "region", ariaLabel: say("guideline") }, ...parts.filter(Boolean)), read].filter(Boolean), must);
}

export const axisName = (axis, say) => (axis === "overall" ? say("axis.overall") : axis[0].toUpperCase() + axis.slice(1).replaceAll(/[_-]/g, " "));
