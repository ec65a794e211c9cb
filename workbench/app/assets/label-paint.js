// An item as elements. Text goes in as text; only `html`, which the server cleaned, goes in as HTML, in one place.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export function paintItem(item, say, source) {
  const prompt = paintPrompt(item, say, source);
  const alone = item.answers.length === 1;
  const answers = h("div", { className: "answers" });
  item.answers.forEach((turns, position) => {
    const title = alone ? say("the_answer") : say("answer", { n: position + 1 });
    const text = h("div", { className: "text" }, ...turns.map((turn) => paintTurn(turn, turns.length > 1, say, source)));
    answers.append(h("section", { className: "answer", "data-position": position, tabIndex: 0, ariaLabel: title, ...language(item) },
      h("h3", { textContent: title }), text));
  });
  return h("div", { className: "item", "data-form": item.form }, prompt, alone ? null : paintSwitch(item, say), answers);
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
  return h("div", { className: "switch", role: "group", ariaLabel: say("answers") }, ...item.answers.map((_, position) =>
    h("button", { type: "button", "data-to": position, textContent: say("answer", { n: position + 1 }) })));
}

function paintTurn(turn, named, say, source) {
  const text = h("div", { className: "turn", "data-role": turn.role, dir: "auto" });
  if (named) text.append(h("p", { className: "role", textContent: say(`role.${turn.role}`) }));
  const body = h("div", { className: turn.html && !source ? "rich" : "plain" });
  if (turn.html && !source) body.innerHTML = turn.html;
  else body.textContent = turn.content;
  for (const wide of body.querySelectorAll("pre, table, math[display=block]")) wide.tabIndex = 0; // so that keys can scroll it
  text.append(body);
  for (const call of turn.calls ?? []) {
    text.append(h("details", { className: "call" }, h("summary", { textContent: say("call") }),
      h("pre", { tabIndex: 0, textContent: JSON.stringify(call, null, 2) })));
  }
  return text;
}

const language = (item) => (item.lang ? { lang: item.lang } : {});
