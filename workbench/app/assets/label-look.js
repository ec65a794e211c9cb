// Ways of looking at an item: as written or formatted, differences marked, together or apart, one answer at a time.

import { MOST_WORDS, wordsOf } from "./label-diff.js";

export class Look {
  constructor(page) {
    Object.assign(this, { page, source: false, diff: false });
  }

  toggleSource() {
    this.source = !this.source;
    this.page.repaint();
    this.say(this.source ? "source.on" : "source.off");
  }

  toggleDiff() {
    this.diff = !this.diff;
    this.page.repaint();
    const { current, frame } = this.page;
    if (!this.diff || !current) return this.say("diff.off");
    const found = frame.stage.querySelector("mark, ins, del");
    if (found) return this.say(found.tagName === "MARK" ? "diff.on" : "diff.edit");
    const { answers } = current.item;
    const long = answers.some((turns) => wordsOf(turns.map(({ content }) => content).join(" ")).length > MOST_WORDS);
    return this.say(long ? "diff.long" : answers.length > 2 ? "diff.no_edit" : "diff.none");
  }

  toggleScroll() {
    this.say(this.page.root.classList.toggle("apart") ? "scroll.off" : "scroll.on");
  }

  // On a narrow screen one answer stands at a time.
  showPosition(position) {
    const { root } = this.page;
    root.dataset.position = position;
    for (const card of root.querySelectorAll(".answer")) card.classList.toggle("aside", card.dataset.position !== String(position));
    for (const tab of root.querySelectorAll(".switch button")) tab.ariaPressed = String(tab.dataset.to === String(position));
  }

  swipe(way) {
    const to = Number(this.page.root.dataset.position) - way;
    if (to >= 0 && to < (this.page.current?.item.answers.length ?? 0)) this.showPosition(to);
  }

  say(key) {
    this.page.frame.tell(this.page.say(key, { n: MOST_WORDS.toLocaleString() }));
  }
}
