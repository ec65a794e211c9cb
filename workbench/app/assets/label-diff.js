// Which words of two texts differ: the longest common run of words. Leaves out how differences look.

export const MOST_WORDS = 4000;
// A Chinese, Japanese or Korean sign is a word of its own; so is a punctuation mark. White space goes with the word before it.
const SIGN = "[\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Hangul}]";
const WORD = new RegExp(`^\\s+|(?:${SIGN}|(?:(?!${SIGN})[\\p{L}\\p{M}\\p{N}_'’])+|[^\\s])\\s*`, "gu");

export const wordsOf = (text) => text.match(WORD) ?? [];

// The way from text a to b: [{kind: "same", a, b}, {kind: "gone", a}, {kind: "new", b}, ...]; null when they are too long.
export function differences(a, b) {
  const [left, right] = [wordsOf(a), wordsOf(b)];
  if (Math.max(left.length, right.length) > MOST_WORDS) return null;
  const [x, y] = [left, right].map((words) => words.map((word) => word.trim()));
  const table = common(x, y);
  const steps = [];
  for (let i = 0, j = 0; i < x.length || j < y.length;) {
    const at = i * (y.length + 1) + j;
    if (i < x.length && j < y.length && x[i] === y[j]) steps.push({ kind: "same", a: left[i++], b: right[j++] });
    else if (j === y.length || (i < x.length && table[at + y.length + 1] >= table[at + 1])) steps.push({ kind: "gone", a: left[i++], b: "" });
    else steps.push({ kind: "new", a: "", b: right[j++] });
  }
  return joined(steps);
}

// table[i * (m + 1) + j]: how many words x from i and y from j on have in common.
function common(x, y) {
  const wide = y.length + 1;
  const table = new Uint16Array((x.length + 1) * wide);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      const at = i * wide + j;
      table[at] = x[i] === y[j] ? table[at + wide + 1] + 1 : Math.max(table[at + wide], table[at + 1]);
    }
  }
  return table;
}

function joined(steps) {
  const result = [];
  for (const { kind, a, b } of steps) {
    const last = result.at(-1);
    if (last?.kind === kind) Object.assign(last, { a: last.a + a, b: last.b + b });
    else result.push({ kind, a, b });
  }
  return result;
}
