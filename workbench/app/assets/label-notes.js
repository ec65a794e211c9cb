// What a lead wrote to whoever labels here: stands above the item until it is read, and never takes the focus.

import { ask } from "./label-ask.js";
import { h } from "./label-paint.js";

const RETRY = 5000;

export class Notes {
  constructor(page) {
    this.page = page;
    this.read = new Set();
    this.element = h("section", { className: "notes", ariaLive: "polite", ariaLabel: page.say("message.title"), tabIndex: -1 });
    page.frame.head.after(this.element);
    this.show(page.start.project?.messages ?? []);
  }

  // All that the server knows to be unread; what stands already is left as it is.
  show(messages) {
    const unread = messages.filter(({ id }) => !this.read.has(id));
    for (const card of [...this.element.children]) if (!unread.some(({ id }) => String(id) === card.dataset.message)) card.remove();
    for (const message of unread) if (!this.element.querySelector(`[data-message="${message.id}"]`)) this.element.append(this.card(message));
  }

  card({ id, by, text, at }) {
    const { say, start } = this.page;
    const read = h("button", { type: "button", textContent: say("message.read"), onclick: () => this.done(id) });
    return h("article", { "data-message": String(id) },
      h("div", {}, h("p", { className: "from", textContent: say("message.from", { name: by, time: moment(at, start.lang) }) }), h("p", { className: "text", dir: "auto", textContent: text })), read);
  }

  done(id) {
    this.read.add(id);
    this.element.querySelector(`[data-message="${id}"]`)?.remove();
    this.page.frame.focus();
    this.acknowledge(id);
  }

  acknowledge(message) {
    ask("POST", "/api/label/message", { project: this.page.start.project.id, message })
      .catch(({ status }) => status === 404 || setTimeout(() => this.acknowledge(message), RETRY));
  }
}

// The time of today, else with the day.
function moment(iso, lang) {
  const at = new Date(iso);
  const today = at.toDateString() === new Date().toDateString();
  return at.toLocaleString(lang, { hour: "2-digit", minute: "2-digit", ...(today ? {} : { day: "numeric", month: "short" }) });
}
