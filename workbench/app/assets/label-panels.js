// Two panels above the choices: why somebody decides so, and what was right of a calibration item.

import { REASONS, inWords } from "./label-answers.js";
import { h } from "./label-paint.js";

const slug = (reason) => reason.replaceAll(" ", "_");

// Chips and a line of text about the item on screen. `changed()` is called whenever the draft changes.
export class ReasonPanel {
  constructor(say, { changed, closed }) {
    Object.assign(this, { say, changed, closed, draft: null, open: false });
    this.field = h("input", { type: "text", maxLength: 2000, ariaLabel: say("reason.text"), placeholder: say("reason.text"), autocomplete: "off", dir: "auto" });
    this.field.addEventListener("input", () => { this.draft.text = this.field.value; changed(); });
    this.element = h("section", { className: "reasons", ariaLabel: say("reason"), tabIndex: -1, hidden: true });
    this.element.addEventListener("keydown", (event) => this.typed(event));
  }

  show(draft) {
    this.draft = draft;
    this.field.value = draft?.text ?? "";
    this.toggle(false);
  }

  toggle(open) {
    const had = this.element.contains(document.activeElement);
    this.open = open && this.draft !== null;
    this.draw();
    if (this.open) this.element.focus({ preventScroll: true });
    else if (had) this.closed();
  }

  draw() {
    const { say, draft, open } = this;
    const text = draft && [...draft.chips.map((chip) => say(`chip.${slug(chip)}`)), draft.text.trim() && `“${draft.text.trim()}”`].filter(Boolean).join(" · ");
    this.element.hidden = !open && !text;
    this.element.dataset.open = String(open);
    if (!open) {
      return this.element.replaceChildren(h("button", { type: "button", className: "quiet summary", onclick: () => this.toggle(true), textContent: say("reason.kept", { text }) }));
    }
    return this.element.replaceChildren(h("div", { className: "chips", role: "group", ariaLabel: say("reason") }, ...REASONS.map((reason, at) => this.chip(reason, at))),
      h("div", { className: "row" }, this.field, h("button", { type: "button", className: "quiet", onclick: () => this.toggle(false), "aria-keyshortcuts": "Escape" },
        h("kbd", { textContent: "Esc", ariaHidden: "true" }), h("span", { textContent: say("reason.done") }))));
  }

  chip(reason, at) {
    const on = this.draft.chips.includes(reason);
    return h("button", { type: "button", className: "chip", ariaPressed: String(on), "aria-keyshortcuts": String(at + 1), "data-chip": reason, onclick: () => this.flip(reason) },
      h("kbd", { textContent: at + 1, ariaHidden: "true" }), h("span", { textContent: this.say(`chip.${slug(reason)}`) }));
  }

  flip(reason) {
    const { draft } = this;
    const focused = document.activeElement?.dataset.chip;
    draft.chips = REASONS.filter((chip) => (chip === reason) !== draft.chips.includes(chip)); // in their order
    this.changed();
    this.draw();
    (this.element.querySelector(`[data-chip="${focused}"]`) ?? this.element).focus({ preventScroll: true });
  }

  // Keys while the panel is open and no field has the focus: digits are chips, a letter begins the text.
  takes(event, key) {
    if (/^[1-9]$/.test(key)) this.flip(REASONS[key - 1]);
    else if (key === "Escape") this.toggle(false);
    else if (/^[A-Z]$/.test(key)) this.field.focus(); // and the letter goes where the focus is now
    return key !== "";
  }

  typed(event) {
    if (event.target !== this.field || event.isComposing || event.keyCode === 229 || (event.key !== "Escape" && event.key !== "Enter")) return;
    event.preventDefault();
    this.toggle(false);
  }
}

// Right or not, what the lead decided and why; `next` goes on.
export function paintLesson({ right, answer, explanation }, say, next) {
  const on = h("button", { type: "button", className: "main", onclick: next, "aria-keyshortcuts": "Enter" },
    h("kbd", { textContent: "⏎", ariaHidden: "true" }), h("span", { textContent: say("lesson.next") }));
  const heading = h("h3", { textContent: say(right ? "lesson.right" : "lesson.wrong"), tabIndex: -1 });
  return h("section", { className: "lesson", "data-right": String(right), role: "status" }, h("div", {}, heading,
    h("p", {}, h("strong", { textContent: say("lesson.answer", { answer: inWords(answer, say) }) }), explanation ? ` ${explanation}` : "")), on);
}
