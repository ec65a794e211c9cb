// A field over one answer, in which it is made better. Leaves out drafts and sending.

import { h } from "./label-paint.js";

// `original` is what may not be sent again; calls back with typed(text), save(text) and close().
export function openEditor(card, { original, text, title }, say, { typed, save, close }) {
  const area = h("textarea", { value: text, ariaLabel: title, spellcheck: true, dir: "auto", rows: 8 });
  const done = h("button", { type: "button", className: "main", onclick: () => finish(), "aria-keyshortcuts": "Control+Enter" },
    h("kbd", { textContent: "Ctrl ⏎", ariaHidden: "true" }), h("span", { textContent: say("edit.save") }));
  const leave = h("button", { type: "button", className: "quiet", onclick: () => close(), "aria-keyshortcuts": "Escape" },
    h("kbd", { textContent: "Esc", ariaHidden: "true" }), h("span", { textContent: say("edit.close") }));
  const hint = h("span", { className: "hint", role: "status" });
  const editor = h("div", { className: "editor" }, area, h("div", { className: "row" }, done, leave, hint));
  const changed = () => area.value.trim() !== "" && area.value.trim() !== original.trim();
  const finish = () => (changed() ? save(area.value) : area.focus());
  const look = () => {
    done.disabled = !changed();
    hint.textContent = changed() ? "" : say("edit.unchanged");
  };
  area.addEventListener("input", () => { look(); typed(area.value); });
  area.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // Enter and Escape belong to the input method
    if (event.key === "Escape") { event.preventDefault(); close(); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); finish(); }
  });
  card.classList.add("editing");
  card.append(editor);
  look();
  area.focus({ preventScroll: true });
  card.scrollIntoView({ block: "nearest" });
  return { card, changed, shut: () => { card.classList.remove("editing"); editor.remove(); } };
}
