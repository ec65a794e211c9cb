// What can be answered: choices of a task with their keys, reasons, tools, and an answer in words. Leaves out the screen.

export const SIDES = [
  { side: 0, title: "is.first", choices: [["1", "much", 3], ["2", "better", 2], ["3", "slightly", 1]] },
  { side: null, title: "is.neither", choices: [["0", "tie"], ["9", "both_bad"]] },
  { side: 1, title: "is.second", choices: [["4", "slightly", 1], ["5", "better", 2], ["6", "much", 3]] },
];
export const WHY = ["broken", "harmful", "topic", "other"];
export const REASONS = ["accurate", "complete", "clear", "follows the instructions", "safe", "better style", "too long", "wrong", "other"];
const STRENGTH = { 3: "much", 2: "better", 1: "slightly" };
const TOOLS = [["Z", "undo"], ["X", "skip"], ["F", "flag"], ["E", "edit"], ["R", "reason"], ["D", "diff"], ["S", "scroll"], ["V", "source"]];

const WRITING = [["Z", "undo"], ["X", "skip"], ["F", "flag"], ["E", "write"], ["V", "source"]];

// Key and name of each tool: D says bad of a thumb, and only two answers scroll together.
export function toolsOf(task) {
  if (task === "write") return WRITING;
  return TOOLS.filter(([, name]) => task === "pair" || (name !== "scroll" && (name !== "diff" || task === "rank")));
}

// Every answer of one key: its keys, the text of its button, kind and payload to send. Others take several keys.
export function answersOf(task) {
  if (task === "rank" || task === "write") return [];
  if (task === "thumb") {
    return [
      { keys: ["1", "A"], text: "good", kind: "thumb", payload: { label: true } },
      { keys: ["2", "D"], text: "bad", kind: "thumb", payload: { label: false } },
    ];
  }
  return SIDES.flatMap(({ side, choices }) => choices.map(([key, text, strength = null]) =>
    ({ keys: [key], text, side, kind: "pair", payload: { choice: side ?? text, strength } })));
}

// A label in words, by its payload of positions.
export function inWords({ choice, strength, label, tiers, best, worst, text }, say) {
  if (text !== undefined) return say("said.write");
  if (tiers) return tiers.length ? say("said.rank", { order: tiers.map((tier) => tier.map((at) => at + 1).join(" = ")).join(" > ") }) : say("said.none");
  if (best !== undefined) return say("said.best_worst", { best: best + 1, worst: worst + 1 });
  if (label !== undefined) return say(label ? "said.good" : "said.bad");
  return say(choice === 0 || choice === 1 ? `said.${STRENGTH[strength] ?? "better"}.${choice + 1}` : `said.${choice}`);
}
