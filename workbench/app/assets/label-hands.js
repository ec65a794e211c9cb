// What comes from outside: keys, fingers, the window, the server's answers, and which part of the page each goes to.

import { answersOf } from "./label-answers.js";
import { onDrag } from "./label-drag.js";
import { isForOthers, keyOf, onSwipe } from "./label-keys.js";
import { Notes } from "./label-notes.js";

const BEAT = 30_000;

export function listen(page, signal) {
  const { outbox, supply, frame, root, watch, writing } = page;
  const notes = new Notes(page);
  const on = (target, name, action) => target.addEventListener(name, action, { signal });
  on(document, "keydown", (event) => key(page, event));
  on(window, "blur", () => watch.attend());
  on(window, "focus", () => watch.attend());
  on(window, "online", () => outbox.retry());
  on(document, "visibilitychange", () => { watch.attend(); supply.beat(); });
  on(window, "pagehide", () => { writing.drafts.keepAll(); outbox.send(); supply.release(supply.buffer); });
  on(window, "pageshow", (event) => { if (event.persisted) supply.refill(); });
  on(window, "beforeunload", (event) => { if (outbox.age > 1000) event.preventDefault(); });
  on(outbox, "change", () => { if (!outbox.size) frame.drawSaved(outbox); });
  on(outbox, "stored", ({ detail }) => page.stored(detail));
  on(outbox, "refused", ({ detail }) => page.refused(detail));
  on(supply, "came", ({ detail }) => page.came(detail));
  on(supply, "lost", () => { frame.tell(page.say("lost")); page.next(); });
  on(supply, "closed", () => page.closed("closed"));
  on(supply, "version", ({ detail }) => page.rules.renew(detail));
  on(supply, "messages", ({ detail }) => notes.show(detail));
  on(root, "click", ({ target }) => click(page, target));
  onSwipe(frame.stages, signal, (way) => page.look.swipe(way)); // it shows another answer, and never answers
  onDrag(root, signal, (position, to) => page.arrange((order) => order.move(position, to)));
  const beats = setInterval(() => supply.beat(), BEAT);
  const looks = setInterval(() => { if (outbox.age > 400 || !outbox.size) frame.drawSaved(outbox); }, 500);
  signal.addEventListener("abort", () => { clearInterval(beats); clearInterval(looks); clearTimeout(supply.timer); });
}

function click(page, target) {
  const button = target.closest(".switch button, .edit-one, .edited");
  if (button?.matches(".edited")) page.look.toggleDiff();
  else if (button?.matches(".edit-one")) page.writing.edit(Number(button.dataset.edit));
  else if (button) page.look.showPosition(button.dataset.to);
}

function key(page, event) {
  if (isForOthers(event)) return;
  const name = keyOf(event);
  const dialog = document.querySelector(".label-dialog[open]");
  if (dialog) return inDialog(dialog, name, page.keys.meant(name, page.task));
  if (!page.keys.on && name !== "?") return;
  if (page.writing.takes(event, name)) return;
  const act = actOf(page, name);
  if (!act) return;
  event.preventDefault();
  act(event);
}

function inDialog(dialog, pressed, name) {
  const button = dialog.querySelector(`[data-key="${CSS.escape(pressed)}"]`);
  if (button) button.click();
  else if ((name === "G" && dialog.matches(".guideline:not(.must)")) || (name === "?" && dialog.matches(".keys"))) dialog.close();
}

function actOf(page, pressed) {
  const { act } = page.frame;
  const name = page.keys.meant(pressed, page.task);
  if (name === "?" || (name === "G" && page.rules?.has(page.axis))) return { "?": act.help, G: act.guideline }[name];
  const choice = choiceOf(page, name, pressed);
  if (choice) return page.lesson ? (event) => page.goOn(event) : choice;
  if (name === "S" && page.task !== "pair") return null;
  return { Z: act.undo, X: act.skip, F: act.flag, E: act.edit, R: act.reason, D: act.diff, S: act.scroll, V: act.source }[name];
}

// What a key answers, in a ranking what it places.
function choiceOf(page, name, pressed) {
  if (page.task !== "rank") {
    const choice = page.task && answersOf(page.task).find(({ keys }) => keys.includes(name));
    return choice && ((event) => page.answer(choice.kind, choice.payload, event));
  }
  const { order } = page.current ?? {};
  if (!order) return null;
  const { place, level, back, equal, none } = page.ranking;
  if (/^[1-9]$/.test(pressed) && pressed <= order.count) return (event) => place(pressed - 1, event);
  return name === "Backspace" ? back : order.bestWorst ? null : { "=": level, 0: equal, 9: order.count < 9 ? none : null }[name];
}
