// What hands do: which key was meant, which way a finger went; and names for acts. Leaves out what follows from it.

const NAMED = { "?": "?", "？": "?", "=": "=", "＝": "=", Backspace: "Backspace", Escape: "Escape" };

// Digits by place, so that any keyboard layout has them; letters by what they write, else by place.
export function keyOf({ key, code }) {
  if (NAMED[key]) return NAMED[key];
  if (/^Digit\d$/.test(code) || (/^Numpad\d$/.test(code) && /^\d$/.test(key))) return code.at(-1);
  if (/^[a-z]$/i.test(key)) return key.toUpperCase();
  return /^Key[A-Z]$/.test(code) ? code.at(-1) : "";
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
