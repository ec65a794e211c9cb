// What is written about the item on screen: a reason, a better text for an answer, and the drafts of both. An answer of
// one's own, where all are bad, is written at the desk (label-write.js).

import { Drafts } from "./label-drafts.js";
import { openEditor } from "./label-edit.js";
import { newUid } from "./label-keys.js";
import { lastText } from "./label-paint.js";
import { ReasonPanel } from "./label-panels.js";
import { Desk } from "./label-write.js";

export class Writing {
  constructor(page, user) {
    this.page = page;
    this.drafts = new Drafts(user);
    this.panel = new ReasonPanel(page.say, { changed: () => this.drafts.later(this.lease), closed: () => this.focusItem() });
    this.desk = new Desk(this);
    this.editor = null; // {position, card, changed(), shut()}
    this.choosing = false; // E was pressed: a digit says which answer
  }

  get item() { return this.page.current?.item; }

  get lease() { return this.item?.lease; }

  get draft() { return this.drafts.of(this.lease); }

  // What an undo brings back of an answer that was being written.
  get written() { return this.page.task === "write" ? { ...this.draft } : null; }

  // Whether a dialog would come in between.
  get busy() { return Boolean(this.editor) || this.desk.focused; }

  show(entry) {
    this.leave();
    this.panel.show(entry && this.drafts.of(entry.item.lease).reason);
  }

  leave() {
    if (this.page.task === "write") this.page.frame.replaceChoices();
    Object.assign(this, { editor: null, choosing: false });
    this.drafts.keepAll();
  }

  focusItem() {
    this.page.frame.focus();
  }

  giveReason() {
    if (this.item && !this.page.lesson && this.page.task !== "write") this.panel.toggle(!this.panel.open);
  }

  // E: the only answer at once, else the one whose number comes next; where one is written, its field.
  choose() {
    const { page } = this;
    if (!this.item || page.waiting || page.lesson) return;
    if (page.task === "write") return this.desk.focus();
    if (this.item.answers.length === 1) return this.edit(0);
    this.choosing = true;
    page.frame.tell(page.say("edit.which", { n: this.item.answers.length }));
  }

  edit(position) {
    const { page, item } = this;
    this.choosing = false;
    page.frame.tell("");
    if (!item || page.waiting || page.lesson || !item.answers[position]) return;
    if (page.task === "write") return this.desk.begin(position);
    this.close();
    page.look.showPosition(position);
    const original = this.editsOf(item)[position] ?? lastText(item.answers[position]);
    const title = page.say("edit.one", { answer: item.answers.length === 1 ? page.say("the_answer") : page.say("answer", { n: position + 1 }) });
    this.editor = { position, ...openEditor(page.frame.stage.querySelector(`.answer[data-position="${position}"]`), { original, text: this.draft.edits[position] ?? original, title }, page.say, {
      typed: (text) => this.typed(position, text, original),
      save: (text) => this.save(position, text),
      close: () => this.putAside(),
    }) };
  }

  typed(position, text, original) {
    if (text === original) delete this.draft.edits[position];
    else this.draft.edits[position] = text;
    this.drafts.later(this.lease);
  }

  save(position, text) {
    const { page, item } = this;
    this.close();
    const old = page.past.findLast((act) => act.kind === "edit" && act.item.lease === item.lease && act.position === position);
    const act = { item, uid: newUid(), kind: "edit", position, text };
    page.post(page.current, { uid: act.uid, kind: "edit", payload: { candidate: position, text }, ...page.watch.read(), reason: null, supersedes: old?.uid ?? null });
    page.remain([...page.past, act]);
    page.frame.last.textContent = page.say("said.edit", { n: position + 1 });
    page.repaint();
    this.focusItem();
  }

  // Texts of an item that were made better and still hold, by position.
  editsOf({ lease }) {
    return Object.fromEntries(this.page.past.filter(({ kind, item }) => kind === "edit" && item.lease === lease).map(({ position, text }) => [position, text]));
  }

  putAside() {
    if (this.editor.changed()) this.page.frame.tell(this.page.say("edit.kept"));
    this.close();
    this.focusItem();
  }

  close() {
    this.editor?.shut();
    this.editor = null;
  }

  // After the item was painted anew.
  reopen() {
    if (this.editor) this.edit(this.editor.position);
  }

  // True, and said, while an edit is open that would be lost.
  unsaved() {
    if (!this.editor?.changed()) return false;
    this.page.frame.tell(this.page.say("edit.open"));
    return true;
  }

  // Keys that mean something else while a reason is given or an answer to edit is chosen. True when this one was for us.
  takes(event, key) {
    if (this.page.task === "write") return Boolean(this.item) && this.desk.takes(event, key);
    if (this.panel.open && key !== "?") return this.panel.takes(event, key);
    if (!this.choosing) return false;
    this.choosing = false;
    this.page.frame.tell("");
    const digit = /^[1-9]$/.test(key);
    if (digit) this.edit(key - 1);
    if (digit) event.preventDefault();
    return digit || key === "Escape";
  }
}
