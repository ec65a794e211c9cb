// What waits, an item with all that was said of it, and the desk at which a lead decides, as elements. No acts here.

import { SIDES, answersOf, inWords as words } from "./label-answers.js";
import { h, paintItem } from "./label-paint.js";

const USUAL = ["label", "overlap"];
const AS_SEEN = { source: false, edits: {} };

// An answer in words; a rating is of one answer.
function inWords(payload, say, label) {
  return payload.score === undefined ? words(payload, label) : say("score", { n: payload.candidate + 1, score: payload.score });
}

// What a text that somebody wrote started from.
function inEdit({ candidate }, purpose, say) {
  if (candidate === null) return say("written");
  return say(purpose === "write" ? "written.from" : "edited", { n: candidate + 1 });
}

// The same payload where answers have other numbers: `to` gives the new one of each.
export function renamed(payload, to) {
  const found = { ...payload };
  if (payload.tiers) found.tiers = payload.tiers.map((tier) => tier.map(to));
  for (const name of ["choice", "best", "worst", "candidate"]) if (typeof payload[name] === "number") found[name] = to(payload[name]);
  return found;
}

// What a payload of candidate indexes says of positions on screen.
const onScreen = (payload, order) => renamed(payload, (index) => order.indexOf(index));

// Who spoke; of an import, which.
function nameOf(name, say) {
  const [kind, n, ...rest] = name.split(":");
  if (kind === "ext") return say("ext", { name: rest.join(":"), n });
  return kind === "import" && n ? say("import", { n }) : name;
}

// --- left

export function paintQueues({ counts, people }, { kind, annotator, axis, axes }, say, open) {
  const kinds = Object.entries(counts).filter(([name, n]) => n || name === kind || ["disagreement", "flag", "decided"].includes(name));
  const list = h("ul", {}, ...kinds.map(([name, n]) => h("li", {}, h("button", { type: "button", "data-kind": name, "aria-current": String(name === kind), onclick: () => open({ kind: name }) },
    h("span", { textContent: say(`kind.${name}`) }), h("b", { textContent: n.toLocaleString() })))));
  const choose = (title, name, value, options) => {
    const select = h("select", { className: name, onchange: () => open({ [name]: select.value || null, kind: null }) }, ...options.map(([text, option]) => h("option", { value: option, textContent: text })));
    select.value = value ?? "";
    return h("label", {}, h("span", { textContent: title }), select);
  };
  const filters = [choose(say("of"), "annotator", annotator, [[say("of.all"), ""], ...people.map((name) => [nameOf(name, say), name])])];
  if (axes?.length > 1) filters.push(choose(say("axis"), "axis", axis, axes.map((name) => [name === "overall" ? say("axis.overall") : name, name])));
  return [list, h("div", { className: "filters" }, ...filters)];
}

// --- middle

export function paintCase(found, place, say, label, move) {
  const step = (by, key, text) => h("button", { type: "button", className: "quiet", "aria-keyshortcuts": key, onclick: () => move(by) },
    h("kbd", { textContent: key, ariaHidden: "true" }), h("span", { textContent: say(text) }));
  const head = h("header", {}, h("h2", { tabIndex: -1, textContent: say("title", { n: found.item }) }), h("span", { className: "quiet", textContent: place }),
    h("div", { className: "steps" }, step(-1, "K", "previous"), step(1, "J", "next")));
  const item = h("div", { className: "label seen", "data-task": found.task }, paintItem(found, label, AS_SEEN));
  return [head, ...found.flags.map((flag) => paintFlag(flag, say, label)), ...paintGold(found, say, label), item,
    h("h3", { textContent: say("said", { n: found.votes.length }) }),
    found.votes.length ? h("ol", { className: "votes" }, ...found.votes.map((vote) => paintVote(vote, found, say, label))) : h("p", { className: "quiet", textContent: say("said.none") })];
}

function paintFlag({ annotator, payload }, say, label) {
  const why = payload.why ? known(label, "why", payload.why) : say("flag.no_reason");
  return h("p", { className: "notice" }, h("b", { textContent: say("flagged", { name: nameOf(annotator, say) }) }), ` ${why}`);
}

function paintGold({ gold, order }, say, label) {
  if (!gold) return [];
  const right = inWords(onScreen(gold.answer, order), say, label);
  return [h("p", { className: "notice gold-is" }, h("b", { textContent: say("gold.right", { answer: right }) }), gold.explanation ? ` ${gold.explanation}` : "")];
}

function known(label, group, word) {
  const key = `${group}.${word.replaceAll(" ", "_")}`;
  return label(key) === `label.${key}` ? word : label(key);
}

function paintVote(vote, found, say, label) {
  const payload = onScreen(vote.payload, found.order);
  const said = vote.kind === "edit" ? inEdit(payload, vote.purpose, say) : inWords(payload, say, label);
  const facts = [];
  if (!USUAL.includes(vote.purpose)) facts.push(say(`purpose.${vote.purpose}`));
  const spent = vote.ms_active ?? vote.ms_shown;
  if (spent !== null) facts.push(say("seconds", { n: (spent / 1000).toFixed(spent < 10_000 ? 1 : 0) }));
  if (vote.shown_order?.length > 1) facts.push(say("saw", { order: vote.shown_order.map((index) => found.order.indexOf(index) + 1).join(" | ") }));
  const { chips = [], text = "" } = vote.reason ?? {};
  return h("li", {}, h("b", { className: "who", textContent: nameOf(vote.annotator, say) }), h("span", { className: "choice", "data-side": String(payload.choice ?? ""), textContent: said }),
    h("span", { className: "facts", textContent: facts.join(" · ") }),
    chips.length || text ? h("p", { className: "reason" }, ...chips.map((chip) => h("span", { className: "chip", textContent: known(label, "chip", chip) })), text) : null,
    vote.kind === "edit" ? h("p", { className: "reason plain", textContent: payload.messages.map(({ content }) => content).join("\n\n") }) : null);
}

// --- right

export function paintDesk(found, say, label, review) {
  const note = h("textarea", { rows: 3, maxLength: 2000, value: found.decision?.reason?.text ?? "", placeholder: say("note.help") });
  note.addEventListener("keydown", ({ key }) => { if (key === "Escape") note.blur(); });
  const box = h("input", { type: "checkbox", checked: Boolean(found.gold), onchange: () => { box.blur(); review.gold(box.checked); } }); // keys decide again
  return [h("h2", { textContent: say("decide") }), ...paintDecision(found, say, label),
    found.withdrawn ? h("p", { className: "quiet", textContent: say("is_withdrawn") }) : null,
    h("div", { className: "choices", "data-task": found.task }, ...(found.task === "rank" ? paintRanking(found, say, label, review) : paintChoices(found, label, review))),
    h("label", { className: "note" }, h("span", { textContent: say("note") }), note),
    h("label", { className: "gold" }, box, h("span", {}, h("b", { textContent: say("gold") }), h("small", { textContent: say("gold.help") }))),
    h("div", { className: "row" }, found.flags.length ? h("button", { type: "button", className: "clear", textContent: say("clear"), onclick: () => review.clear() }) : null,
      found.withdrawn ? null : h("button", { type: "button", className: "withdraw", textContent: say("withdraw"), onclick: () => review.withdraw() }))].filter(Boolean);
}

// Who answered is told once the decision stands.
function paintDecision({ decision, models, order }, say, label) {
  if (!decision) return [];
  const answer = inWords(onScreen(decision.payload, order), say, label);
  const names = models.map((name, at) => h("li", { textContent: say("model", { n: at + 1, name: name ?? "–" }) }));
  return [h("p", { className: "decision" }, h("b", { textContent: answer }), ` ${say("decided_by", { name: decision.annotator })}`),
    h("details", {}, h("summary", { textContent: say("models") }), h("ul", {}, ...names))];
}

function paintChoices({ task }, label, review) {
  const button = ({ keys, text, payload }) => h("button", { type: "button", className: "choice", "data-side": String(payload.choice ?? payload.label), "aria-keyshortcuts": keys.join(" ").toLowerCase(), onclick: () => review.decide(payload) },
    h("kbd", { textContent: keys[0], ariaHidden: "true" }), h("span", { textContent: label(text) }));
  const group = (title, choices) => h("div", { role: "group", ariaLabel: label(title) }, h("p", { textContent: label(title), ariaHidden: "true" }), ...choices.map(button));
  if (task === "thumb") return [group("is.this", answersOf(task))];
  return SIDES.map(({ side, title }) => group(title, answersOf(task).filter((choice) => choice.side === side)));
}

// Typed best first: 2 1=3 is answer 2, then 1 and 3 level.
function paintRanking({ answers }, say, label, review) {
  const field = h("input", { ariaLabel: say("rank"), placeholder: say("rank.example"), autocomplete: "off" });
  const form = h("form", {}, h("span", { textContent: say("rank") }), field, h("button", { className: "choice", textContent: say("rank.decide") }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const tiers = tiersOf(field.value);
    const whole = tiers.flat().sort().join() === answers.map((_, at) => at).join();
    if (whole) review.decide({ tiers });
    else review.tell(say("rank.wrong", { n: answers.length }), true);
  });
  const all = h("button", { type: "button", className: "choice", textContent: say("rank.level"), onclick: () => review.decide({ tiers: [answers.map((_, at) => at)] }) });
  const none = h("button", { type: "button", className: "choice", textContent: label("said.none"), onclick: () => review.decide({ tiers: [] }) });
  return [form, h("div", {}, all, none)];
}

// The tiers, as positions, of an order as it was typed.
function tiersOf(text) {
  const tiers = [];
  for (const [, level, digit] of text.matchAll(/(=?)[\s>,]*(\d)/g)) {
    if (level && tiers.length) tiers.at(-1).push(Number(digit) - 1);
    else tiers.push([Number(digit) - 1]);
  }
  return tiers;
}
