// A card or number on its way into the order, by mouse, pen or finger. Leaves out what the order makes of it.

import { h } from "./label-paint.js";

const STARTS = ".handle, .answer > header, [data-drag]"; // a finger needs the handle: on the rest of a card it scrolls
const FAR = 6;

// Calls back with dropped(position, {onto}) or dropped(position, {at}).
export function onDrag(root, signal, dropped) {
  let drag = null;
  const stop = () => {
    drag?.ghost?.remove();
    mark(root, null);
    drag = null;
  };
  root.addEventListener("pointerdown", (event) => {
    const from = event.button === 0 && !event.target.closest(".edit-one") && event.target.closest(STARTS);
    if (!from || root.dataset.drag !== "on" || (event.pointerType === "touch" && from.matches("header"))) return;
    drag = { position: Number(from.dataset.drag ?? from.closest(".answer").dataset.position), x: event.clientX, y: event.clientY, pointer: event.pointerId };
  }, { signal });
  document.addEventListener("pointermove", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    if (!drag.ghost && Math.hypot(event.clientX - drag.x, event.clientY - drag.y) < FAR) return;
    drag.ghost ??= root.appendChild(h("div", { className: "ghost token", ariaHidden: "true", textContent: drag.position + 1 }));
    drag.ghost.style.translate = `${event.clientX}px ${event.clientY}px`;
    getSelection().removeAllRanges();
    mark(root, drag.target = targetAt(event.clientX, event.clientY, drag.position));
  }, { signal });
  document.addEventListener("pointerup", (event) => {
    if (!drag || event.pointerId !== drag.pointer) return;
    const { position, target, ghost } = drag;
    stop();
    if (!ghost) return;
    const swallow = (click) => click.stopPropagation(); // letting go is no click
    addEventListener("click", swallow, true);
    setTimeout(() => {
      removeEventListener("click", swallow, true);
      if (target) dropped(position, target.to);
    });
  }, { signal });
  for (const end of ["pointercancel", "blur"]) window.addEventListener(end, stop, { signal });
}

// What lies under the pointer: another answer to be level with, or a place in the line of tiers.
function targetAt(x, y, position) {
  const under = document.elementFromPoint(x, y);
  const other = under?.closest(".tiers .token, .answer");
  const onto = Number(other?.dataset.drag ?? other?.dataset.position);
  if (other && onto !== position) return { element: other, to: { onto } };
  const line = under?.closest(".tiers");
  if (!line) return null;
  const tiers = [...line.querySelectorAll("li:not(.ask)")];
  const at = tiers.filter((tier) => {
    const { top, bottom, left, right } = tier.getBoundingClientRect();
    return bottom < y || (top <= y && (left + right) / 2 < x);
  }).length;
  return { element: tiers[at] ?? line, to: { at } };
}

function mark(root, target) {
  root.querySelector(".dropping")?.classList.remove("dropping");
  target?.element.classList.add("dropping");
}
