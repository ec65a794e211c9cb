// The task of writing an answer where all are bad: what it starts from, one field, and its draft. Leaves out sending.

import { cap } from "./label-dialogs.js";
import { h, lastText } from "./label-paint.js";

const NEW = "new"; // in a draft: the text that starts from no answer

export class Desk {
  constructor(writing) {
    Object.assign(this, { writing, start: null, area: null });
  }

  get answers() { return this.writing.item.answers; }

  get original() { return this.start === null ? "" : lastText(this.answers[this.start]); }

  get focused() { return Boolean(this.area) && document.activeElement === this.area; }

  // All of it for the item on screen, as its draft is. Each start keeps a text of its own, so that changing it loses none.
  paint() {
    const { draft, page: { say } } = this.writing;
    this.start = draft.start ?? null;
    this.area = h("textarea", { value: draft.edits[this.start ?? NEW] ?? this.original, ariaLabel: say("write.field"), placeholder: say("write.empty"), spellcheck: true, dir: "auto", rows: 5 });
    this.done = h("button", { type: "button", className: "main", onclick: (event) => this.save(event), "aria-keyshortcuts": "Control+Enter Meta+Enter" },
      cap("Ctrl ⏎"), h("span", { textContent: say("write.save") }));
    this.hint = h("span", { className: "hint", role: "status" });
    this.area.addEventListener("input", () => { this.typed(); this.look(); });
    this.area.addEventListener("keydown", (event) => this.key(event));
    this.look();
    return h("section", { className: "desk", ariaLabel: say("task.write") }, this.paintStarts(say), this.area, h("div", { className: "row" }, this.done, this.hint));
  }

  paintStarts(say) {
    const chip = (start, key, text) => h("button", { type: "button", className: "chip", ariaPressed: String(this.start === start), "aria-keyshortcuts": key, "data-key": key, onclick: () => this.begin(start) },
      cap(key), h("span", { textContent: text }));
    return h("div", { className: "chips", role: "group", ariaLabel: say("write.from") }, h("span", { className: "from", textContent: say("write.from"), ariaHidden: "true" }),
      chip(null, "0", say("write.nothing")), ...this.answers.map((_, at) => chip(at, String(at + 1), say("answer", { n: at + 1 }))));
  }

  begin(start) {
    const { draft, page } = this.writing;
    if (start !== null && !this.answers[start]) return;
    draft.start = start;
    if (start !== null) page.look.showPosition(start);
    page.frame.replaceChoices(this.paint());
    page.frame.choices.querySelector("[aria-pressed=true]").scrollIntoView({ block: "nearest", inline: "nearest" });
    this.focus();
  }

  focus() {
    this.area?.focus({ preventScroll: true });
    this.area?.scrollIntoView({ block: "nearest" });
  }

  // A text that none of the answers has.
  get fresh() {
    const text = this.area.value.trim();
    return text !== "" && this.answers.every((turns) => lastText(turns).trim() !== text);
  }

  look() {
    this.done.disabled = !this.fresh;
    this.hint.textContent = this.fresh || !this.area.value.trim() ? "" : this.writing.page.say("edit.unchanged");
  }

  typed() {
    const { draft, drafts, lease } = this.writing;
    draft.start = this.start;
    if (this.area.value === this.original) delete draft.edits[this.start ?? NEW];
    else draft.edits[this.start ?? NEW] = this.area.value;
    drafts.later(lease);
  }

  key(event) {
    if (event.isComposing || event.keyCode === 229) return; // Enter and Escape belong to the input method
    if (event.key === "Escape") { event.preventDefault(); this.writing.focusItem(); }
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); this.save(event); }
  }

  save(event) {
    if (this.fresh) this.writing.page.answer("write", { candidate: this.start, text: this.area.value }, event);
    else this.focus();
  }

  // Keys while the field has not the focus. True when this one was for us.
  takes(event, key) {
    if (!/^\d$/.test(key) || key > this.answers.length) return false;
    event.preventDefault();
    this.begin(key === "0" ? null : key - 1);
    return true;
  }
}
