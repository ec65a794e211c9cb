// A ranking in the making: tiers of positions, best first, and the bar that shows it. Leaves out dragging (label-drag.js).

import { h } from "./label-paint.js";

export class Order {
  constructor(count, bestWorst) {
    Object.assign(this, { count, bestWorst, tiers: [], before: [], level: false, byHand: false });
  }

  get rest() {
    const placed = this.tiers.flat();
    return [...Array(this.count).keys()].filter((position) => !placed.includes(position));
  }

  // Nothing is open. Every number of a ranking is pressed, so that none is left for the next item; a hand may leave
  // the last answer where it lies.
  get whole() {
    return this.bestWorst ? this.tiers.length === 2 : this.rest.length <= (this.byHand ? 1 : 0);
  }

  get payload() {
    if (this.bestWorst) return { best: this.tiers[0][0], worst: this.tiers[1][0] };
    return { tiers: [...this.tiers, this.rest].filter((tier) => tier.length).map((tier) => tier.toSorted((a, b) => a - b)) };
  }

  // False when this answer has its place already.
  place(position) {
    if (!this.rest.includes(position)) return false;
    const { level } = this;
    return this.change((tiers) => (level && tiers.length ? [...tiers.slice(0, -1), [...tiers.at(-1), position]] : [...tiers, [position]]));
  }

  levelRest() {
    const { rest } = this;
    return this.change((tiers) => [...tiers, rest]);
  }

  // By hand: level with the answer `onto`, else as a tier of its own before tier `at`.
  move(position, { onto, at }) {
    this.byHand = true;
    return this.change((tiers) => {
      if (onto !== undefined && !tiers.flat().includes(onto)) tiers.push([onto]);
      const without = tiers.map((tier) => tier.filter((other) => other !== position));
      if (onto === undefined) without.splice(at, 0, [position]);
      else without.find((tier) => tier.includes(onto)).push(position);
      return without;
    });
  }

  change(make) {
    const tiers = make(this.tiers.map((tier) => [...tier])).filter((tier) => tier.length);
    this.before.push(this.tiers);
    Object.assign(this, { tiers, level: false });
    return true;
  }

  takeBack() {
    if (this.level || !this.before.length) return Boolean(this.level) && !(this.level = false);
    this.tiers = this.before.pop();
    return true;
  }

  // "1st", "2nd =", "best": where an answer stands, "" when it has no place yet.
  placeOf(position, say) {
    const tier = this.tiers.findIndex((places) => places.includes(position));
    if (tier < 0) return "";
    if (this.bestWorst) return say(tier ? "rank.worst" : "rank.best");
    return this.tierName(tier, say) + (this.tiers[tier].length > 1 ? " =" : "");
  }

  tierName(tier, say) {
    return say(`rank.${tier + 1}`);
  }
}

// The bar: what is placed so far, a button for every answer, and what else one may say. `act` has what the keys do.
export function paintOrder(order, say, act, button) {
  const { tiers, rest, bestWorst } = order;
  const numbers = [...Array(order.count).keys()].map((position) => {
    const place = order.placeOf(position, say);
    const key = String(position + 1);
    return h("button", { type: "button", className: "choice number", "data-key": key, "aria-keyshortcuts": key, "data-drag": position, ariaDisabled: String(Boolean(place)),
      ariaLabel: place ? say("rank.placed", { n: key, place }) : say("rank.place", { n: key }), onclick: () => act.place(position) },
    h("kbd", { textContent: key, ariaHidden: "true" }), h("span", { className: "place", textContent: place }));
  });
  const more = bestWorst ? [] : [
    button(["="], say("rank.level"), act.level, `quiet${order.level ? " on" : ""}`, !tiers.length || !rest.length),
    button(["0"], say(tiers.length ? "rank.rest" : "rank.all"), act.equal, "quiet", false),
    order.count < 9 ? button(["9"], say("rank.none"), act.none, "quiet", tiers.length > 0) : null,
  ];
  const submit = order.byHand ? h("button", { type: "button", className: "main submit", disabled: !order.whole, onclick: act.submit, textContent: say("rank.submit") }) : null;
  return [paintTiers(order, say),
    h("div", { className: "row" }, h("div", { className: "numbers", role: "group", ariaLabel: say("rank.numbers") }, ...numbers),
      h("div", { className: "more" }, ...more, button(["Backspace"], say("rank.back"), act.back, "quiet", !order.before.length), submit))];
}

function paintTiers(order, say) {
  const { tiers, bestWorst } = order;
  const ask = bestWorst ? say(tiers.length ? "rank.ask_worst" : "rank.ask_best") : tiers.length ? "" : say("rank.ask");
  return h("ol", { className: "tiers", ariaLabel: say("rank.order") }, ...tiers.map((tier, at) => h("li", {},
    h("span", { className: "rank", textContent: bestWorst ? order.placeOf(tier[0], say) : order.tierName(at, say) }),
    ...tier.flatMap((position, index) => [index ? "=" : null, h("span", { className: "token", "data-drag": position, textContent: position + 1 })]))),
  order.level ? h("li", { className: "ask", textContent: say("rank.level_next") }) : ask ? h("li", { className: "ask", textContent: ask }) : null);
}

// What the cards show of it.
export function markPlaces(root, order, say) {
  for (const card of root.querySelectorAll(".answer, .switch button")) {
    const place = order.placeOf(Number(card.dataset.position ?? card.dataset.to), say);
    card.dataset.place = place;
    const badge = card.querySelector(".place");
    if (badge) badge.textContent = place;
  }
}
