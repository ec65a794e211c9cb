// An item as elements. Text goes in as text; only `html`, which the server cleaned, goes in as HTML, in one place.

import { differences } from "./label-diff.js";

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// How it is shown: `source` text or formatted, `edits` by position, `diff` when differences are marked.
export function paintItem(item, say, how) {
  const alone = item.answers.length === 1;
  const marked = how.diff ? marksOf(item, how.edits) : [];
  const answers = h("div", { className: "answers", "data-count": item.answers.length },
    ...item.answers.map((turns, position) => paintAnswer(item, position, marked[position], say, how)));
  return h("div", { className: "item", "data-form": item.form }, paintPrompt(item, say, how.source),
    item.named ? h("p", { className: "named", textContent: say("named") }) : null, alone ? null : paintSwitch(item, say), answers);
}

function paintAnswer(item, position, marks, say, { source, edits }) {
  const title = item.answers.length === 1 ? say("the_answer") : say("answer", { n: position + 1 });
  const edit = h("button", { type: "button", className: "quiet edit-one", "data-edit": position, ariaLabel: say("edit.one", { answer: title }), textContent: say("edit") });
  const handle = item.answers.length < 3 ? null : h("span", { className: "handle", ariaHidden: "true", title: say("rank.drag"), textContent: "⠿" });
  const turns = edits[position] === undefined ? item.answers[position] : withText(item.answers[position], edits[position]);
  const text = h("div", { className: "text" }, ...(marks ? [h("div", { className: "turn", dir: "auto" }, h("div", { className: "plain" }, ...marks))]
    : turns.map((turn) => paintTurn(turn, turns.length > 1, say, source))));
  return h("section", { className: position ? "answer aside" : "answer", "data-position": position, tabIndex: 0, ariaLabel: title, ...language(item) },
    h("header", {}, handle, h("h3", { textContent: title }), h("span", { className: "place" }),
      edits[position] === undefined ? null : h("button", { type: "button", className: "quiet edited", title: say("edited.diff"), ariaPressed: String(Boolean(marks)), textContent: say("edited") }), edit), text);
}

// An answer whose last turn says something else.
const withText = (turns, text) => [...turns.slice(0, -1), { ...turns.at(-1), content: text, html: null }];
export const lastText = (turns) => turns.at(-1).content;

// By position what stands there with differences marked: an edit against its original, else two answers against each other.
function marksOf({ answers }, edits) {
  if (Object.keys(edits).length) {
    return answers.map((turns, position) => edits[position] !== undefined
      && differences(lastText(turns), edits[position])?.flatMap(({ kind, a, b }) => (kind === "same" ? [b] : [h(kind === "gone" ? "del" : "ins", { textContent: a + b })])));
  }
  if (answers.length !== 2) return [];
  const [left, right] = answers.map((turns) => turns.map(({ content }) => content).join("\n\n"));
  const steps = differences(left, right);
  return steps ? ["a", "b"].map((side) => steps.filter((step) => step[side]).map((step) => (step.kind === "same" ? step[side] : h("mark", { textContent: step[side] })))) : [];
}

function paintPrompt(item, say, source) {
  const last = item.prompt.findLastIndex((turn) => turn.role === "user");
  const open = Math.max(0, last < 0 ? item.prompt.length - 1 : last);
  const before = item.prompt.slice(0, open);
  const section = h("section", { className: "prompt", tabIndex: 0, ariaLabel: say("prompt"), ...language(item) },
    h("h2", { textContent: say("prompt"), tabIndex: -1 }));
  if (before.length) {
    const fold = before.every((turn) => turn.role === "system") ? say("system") : say("history", { n: before.length });
    section.append(h("details", {}, h("summary", { textContent: fold }), ...before.map((turn) => paintTurn(turn, true, say, source))));
  }
  const rest = item.prompt.slice(open);
  section.append(...rest.map((turn) => paintTurn(turn, rest.length > 1, say, source)));
  return section;
}

// Narrow screens show one answer at a time.
function paintSwitch(item, say) {
  const many = item.answers.length > 2;
  return h("div", { className: "switch", role: "group", ariaLabel: say("answers"), "data-count": item.answers.length }, ...item.answers.map((_, position) =>
    h("button", { type: "button", "data-to": position, ariaLabel: say("answer", { n: position + 1 }), textContent: many ? position + 1 : say("answer", { n: position + 1 }) })));
}

function paintTurn(turn, named, say, source) {
  const text = h("div", { className: "turn", "data-role": turn.role, dir: "auto" });
  if (named) text.append(h("p", { className: "role", textContent: say(`role.${turn.role}`) }));
  text.append(paintText(turn.content, source ? null : turn.html));
  for (const call of turn.calls ?? []) {
    text.append(h("details", { className: "call" }, h("summary", { textContent: say("call") }),
      h("pre", { tabIndex: 0, textContent: JSON.stringify(call, null, 2) })));
  }
  return text;
}

export function paintText(text, html) {
  const body = h("div", { className: html ? "rich" : "plain" });
  if (html) body.innerHTML = html;
  else body.textContent = text;
  for (const wide of body.querySelectorAll("pre, table, math[display=block]")) wide.tabIndex = 0; // so that keys can scroll it
  return body;
}

const language = (item) => (item.lang ? { lang: item.lang } : {});
