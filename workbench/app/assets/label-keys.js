// What hands do: which key was pressed and what it means to this user, which way a finger went; and names for acts.
// Leaves out what follows from it, and the list of keys (label-help.js).

import { answersOf, inWords, toolsOf } from "./label-answers.js";

const NAMED = { "?": "?", "？": "?", "=": "=", "＝": "=", Backspace: "Backspace", Escape: "Escape" };

// Digits by place, so that any keyboard layout has them; letters by what they write, else by place.
export function keyOf({ key, code }) {
  if (NAMED[key]) return NAMED[key];
  if (/^Digit\d$/.test(code) || (/^Numpad\d$/.test(code) && /^\d$/.test(key))) return code.at(-1);
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  return /^Key[A-Z]$/.test(code) ? code.at(-1) : /^[!-/:-@[-`{-~]$/.test(key) ? key : "";
}

const RANKING = { "=": "level", Backspace: "back", 0: "equal", 9: "none" };
const PLACES = { rank: /^[1-9]$/, write: /^\d$/ }; // these stand for the answers themselves
const FIXED = ["?", "Escape"];
const TASKS = ["pair", "thumb", "rank", "write"];

// What somebody can do by one key while labelling: a name, the key it came with, words for it, and a sentence.
export function actionsOf(task, bestWorst = false) {
  const ranking = bestWorst ? ["Backspace"] : Object.keys(RANKING);
  const own = task === "rank" ? ranking.map((key) => [key, (say) => say(`help.${RANKING[key]}`)])
    : answersOf(task).flatMap(({ keys, payload }) => keys.map((key) => [key, (say) => inWords(payload, say)]));
  return [...own.map(([key, said]) => ({ name: `${task}.${key}`, key, said, help: said })),
    ...toolsOf(task).map(([key, name]) => ({ name, key, said: (say) => say(name), help: (say) => say(`help.${name}`) })),
    { name: "guideline", key: "G", said: (say) => say("guideline"), help: (say) => say("guideline") }];
}

// The keys of one user: on or off, and by the name of an action where it lies now. What is not there kept its key.
export class Keys {
  constructor(user) {
    this.user = user;
    this.on = localStorage[`label.keys.${user}`] !== "off";
    try { this.moved = JSON.parse(localStorage[`label.map.${user}`]) ?? {}; } catch { this.moved = {}; }
  }

  turn(on) {
    this.on = on;
    localStorage[`label.keys.${this.user}`] = on ? "on" : "off";
  }

  of({ name, key }) {
    return this.moved[name] ?? key;
  }

  // Where the action of a task lies now that came with `key`.
  now(key, task) {
    const action = actionsOf(task).find((each) => each.key === key);
    return action ? this.of(action) : key;
  }

  // Which key this one was when it came, "" for one whose action lies elsewhere now.
  meant(key, task) {
    const actions = actionsOf(task);
    return actions.find((action) => this.of(action) === key)?.key ?? (actions.some((action) => action.key === key) ? "" : key);
  }

  // The action in whose way this key would be, in any task that has both; true for keys that mean the same everywhere.
  taken(key, { name, key: first }) {
    const tasks = TASKS.filter((task) => actionsOf(task).some((action) => action.name === name));
    const others = tasks.flatMap((task) => actionsOf(task)).filter((action) => action.name !== name);
    const places = key !== first && tasks.some((task) => PLACES[task]?.test(key));
    return others.find((action) => this.of(action) === key) ?? (FIXED.includes(key) || places);
  }

  move({ name, key: first }, key) {
    this.moved = { ...this.moved, [name]: key };
    if (key === first) delete this.moved[name];
    this.keep();
  }

  reset() {
    this.moved = {};
    this.keep();
  }

  keep() {
    localStorage[`label.map.${this.user}`] = JSON.stringify(this.moved);
  }
}

// Whether a key press is for a field, an input method or the browser, not for us.
export function isForOthers(event) {
  return event.target.closest?.("input, textarea, select, [contenteditable]") || event.isComposing || event.keyCode === 229
    || event.repeat || event.ctrlKey || event.altKey || event.metaKey;
}

// Calls back with -1 or 1 when one finger moved clearly to the left or right, not on what a finger moves itself.
export function onSwipe(target, signal, moved) {
  let start = null;
  target.addEventListener("touchstart", ({ touches, target: at }) => { start = touches.length === 1 && !at.closest(".handle, textarea, pre, table") ? touches[0] : null; }, { signal, passive: true });
  target.addEventListener("touchend", ({ changedTouches: [end] }) => {
    if (!start) return;
    const [x, y] = [end.clientX - start.clientX, end.clientY - start.clientY];
    start = null;
    if (Math.abs(x) > 50 && Math.abs(x) > 2 * Math.abs(y)) moved(Math.sign(x));
  }, { signal, passive: true });
}

// randomUUID exists only in secure contexts; a plain address in the office network is none.
export function newUid() {
  if (crypto.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
