"""D04: prompt, completion and a boolean label (KTO); or completions and labels step by step (kept unlabelled)."""

from workbench.formats.reading import Reading, thumb
from workbench.formats.row import Row
from workbench.formats.strict import Reject
from workbench.schema import Candidate, Message


def detect(row: Row) -> bool:
    return row.has("prompt", "completion", "label") or row.has("prompt", "completions", "labels")


def read(row: Row) -> list[Reading]:
    prompt = row.prompt("prompt")
    form = "text" if isinstance(row.take("prompt", str, list), str) else "chat"
    if "completions" in row:
        steps = row.array("completions")
        if not all(isinstance(step, str) for step in steps):
            raise Reject("wrong_type", "completions", steps)
        whole = Candidate(row.said("\n".join(steps), "completions"))
        return [Reading(prompt=prompt, candidates=(whole,), form=form, origin=row.some("completions", "labels"))]
    completion = row.answer("completion")
    if completion[: len(prompt)] == prompt:
        completion = completion[len(prompt) :]
    elif form == "text" and (asked := prompt[0].content) and completion[0].content.startswith(asked):
        completion = (Message("assistant", completion[0].content.removeprefix(asked)),)
    return [thumb(prompt, row.said([vars_of(m) for m in completion], "completion"), row.flag("label"), form=form)]


def vars_of(message: Message) -> dict:
    return {"role": message.role, "content": message.content, **(message.extra or {})}
