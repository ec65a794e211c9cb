// What was typed and is not sent yet: reasons and edits by user and item, in localStorage. Leaves out the fields, and
// the sign-out that removes them (public/sign.js).

const WAIT = 300;
const ALL = "label.draft/";

export class Drafts {
  constructor(user) {
    this.prefix = `${ALL}${encodeURIComponent(user)}/`;
    this.known = new Map();
    this.timers = new Map();
    this.forgetOthers();
  }

  // Whoever was here before may have left without signing out.
  forgetOthers() {
    try {
      for (const key of Object.keys(localStorage)) if (key.startsWith(ALL) && !key.startsWith(this.prefix)) localStorage.removeItem(key);
    } catch { /* storage is off */ }
  }

  // The draft of an item, to be changed in place: {reason: {chips, text}, edits: {position: text}}; while writing also `start`, and `new` among edits.
  of(lease) {
    if (!this.known.has(lease)) this.known.set(lease, this.stored(lease) ?? { reason: { chips: [], text: "" }, edits: {} });
    return this.known.get(lease);
  }

  // The reason as it is sent, null when there is none.
  reason(lease) {
    const { chips, text } = this.of(lease).reason;
    return chips.length || text.trim() ? { chips: [...chips], text: text.trim() } : null;
  }

  stored(lease) {
    try { return JSON.parse(localStorage[this.prefix + lease]); } catch { return null; }
  }

  // Keep it, once nothing was typed for a moment.
  later(lease) {
    clearTimeout(this.timers.get(lease));
    this.timers.set(lease, setTimeout(() => this.keep(lease), WAIT));
  }

  keep(lease) {
    clearTimeout(this.timers.get(lease));
    this.timers.delete(lease);
    const draft = this.of(lease);
    const empty = !this.reason(lease) && !Object.keys(draft.edits).length;
    try {
      if (empty) localStorage.removeItem(this.prefix + lease);
      else localStorage[this.prefix + lease] = JSON.stringify(draft);
    } catch { /* full or off: memory must do */ }
  }

  keepAll() {
    for (const lease of [...this.timers.keys()]) this.keep(lease);
  }

  // This act is stored: its draft is done with.
  sent({ lease, kind, payload }) {
    if (kind === "undo") return;
    if (kind === "edit") delete this.of(lease).edits[payload.candidate];
    else this.known.set(lease, { reason: { chips: [], text: "" }, edits: {} });
    this.keep(lease);
  }
}
