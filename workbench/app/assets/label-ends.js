// What stands on the page instead of an item: why there is none, what was done, what is next.

import { axisName } from "./label-dialogs.js";
import { h } from "./label-paint.js";

export const LOOKS_AGAIN = { wait_s: 15, restarted: 10, saving: 1, others: 30, none_bad: 30, paused: 30, untaught: 30 }; // seconds at most until the page asks again
const EVERYWHERE = new Set(["paused", "quota", "deadline"]); // of the whole project: no other axis or task goes on
const COUNTED = new Set(["all_done", "none_bad", "others", "quota", "deadline"]);

// {kind, title, text, actions} for a reason the queue gave. `elsewhere`: [axis, task] that still need labels.
export function endOf(reason, { say, progress, project, lead, elsewhere, open, again }) {
  const kind = `end.${reason}`;
  const more = (EVERYWHERE.has(reason) ? [] : elsewhere.slice(0, 2)).map(([axis, task]) => link("#", goTo(project, axis, task, say), () => open(axis, task)));
  const look = LOOKS_AGAIN[reason] > 1 ? link("#", say("look_again"), again) : null;
  const done = COUNTED.has(reason) ? figures(progress, say) : "";
  const text = say(`${kind}.text`, { quota: project.quota, deadline: project.deadline });
  if (reason === "saving") return { kind: reason, title: say(kind), text, done, actions: [] };
  const next = lead && { no_items: ["/app/data", "to_data"], all_done: ["/app/train", "to_train"], paused: ["/app/review", "to_review"], untaught: ["/app/review", "to_review"] }[reason];
  return { kind: reason, title: say(kind), text, done,
    actions: [...more, look, next && link(next[0], say(next[1])), link("/app", say("to_home"))].filter(Boolean) };
}

export function link(href, text, action) {
  return h("a", { href, textContent: text, onclick: action && ((event) => { event.preventDefault(); action(); }) });
}

function goTo({ axes }, axis, task, say) {
  return axes.length > 1 ? say("go.axis", { axis: axisName(axis, say), task: say(`task.${task}`) }) : say(`go.${task}`);
}

function figures(progress, say) {
  const counts = ["mine", "today", "skipped", "flagged"].filter((key) => progress[key]).map((key) => say(`end.${key}`, { n: progress[key] }));
  if (progress.median_s) counts.push(say("end.pace", { s: Math.round(progress.median_s) || "< 1" }));
  return counts.join(" · ");
}
