// How long an item was on screen and looked at, and how long reading it takes at least. Leaves out what is done with it.

const CJK = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/gu;
const WORDS_PER_SECOND = 12;
const TOO_FAST = 3; // labels in a row

const looking = () => document.hasFocus() && !document.hidden;

export class Watch {
  painted = Infinity;
  fast = 0;

  // From here on time counts; active are the milliseconds in which this window has the focus.
  start() {
    Object.assign(this, { painted: performance.now(), active: 0, since: looking() ? performance.now() : null });
  }

  // Something else was read in between.
  again() {
    if (this.painted < Infinity) this.start();
  }

  stop() {
    this.painted = Infinity;
  }

  attend() {
    if (this.since) this.active += performance.now() - this.since;
    this.since = looking() ? performance.now() : null;
  }

  read() {
    this.attend();
    const shown = Math.max(0, Math.round(performance.now() - this.painted));
    return { ms_shown: shown, ms_active: Math.min(Math.round(this.active), shown) };
  }

  // Has somebody answered several times in a row what nobody can have read by then?
  tooFast(active, floor = 0) {
    this.fast = active < floor ? this.fast + 1 : 0;
    return this.fast > 0 && this.fast % TOO_FAST === 0;
  }
}

// Milliseconds in which nobody can have read all of it.
export function floorOf({ prompt, answers }) {
  const text = [...prompt, ...answers.flat()].map(({ content }) => content).join(" ");
  const signs = text.match(CJK)?.length ?? 0;
  const words = text.replace(CJK, " ").match(/\S+/g)?.length ?? 0;
  return (1000 * (words + signs / 1.6)) / WORDS_PER_SECOND;
}
