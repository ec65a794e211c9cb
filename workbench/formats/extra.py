"""The training rows of a snapshot in the shapes of other tools, under extra/. Leaves out the Hub's own configs (`hub`).

Only chat rows of the `train` split: the held-out ones stay held out. A row that a tool cannot take stands in
skipped.jsonl with the reason.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from workbench.formats.snapshot import Row, rows

Turns = list[dict[str, str]]
SHARED = {"user": "human", "assistant": "gpt"}
INFO = {
    "workbench_preference": {
        "file_name": "preference.json",
        "formatting": "sharegpt",
        "ranking": True,
        "columns": {"messages": "conversations", "system": "system", "chosen": "chosen", "rejected": "rejected"},
    },
    "workbench_kto": {
        "file_name": "kto.json",
        "formatting": "sharegpt",
        "columns": {"messages": "conversations", "system": "system", "kto_tag": "kto_tag"},
    },
}


def write_extra(snapshot: Path, out: Path) -> dict[str, int]:
    """Write every file that has rows; rows per file."""
    skipped: list[Row] = []
    counts = {name: _write(out / name, _lines(snapshot, name, skipped)) for name in SHAPES}
    counts = {name: count for name, count in counts.items() if count}
    if info := {k: v for k, v in INFO.items() if f"llamafactory/{v['file_name']}" in counts}:
        (out / "llamafactory" / "dataset_info.json").write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
    if counts:
        _write(out / "skipped.jsonl", map(json.dumps, skipped))
    return counts


def _lines(snapshot: Path, name: str, skipped: list[Row]) -> Iterator[str]:
    source, made = SHAPES[name]
    for row in rows(snapshot / f"{source}.parquet"):
        if row["form"] != "chat" or row["split"] != "train" or row.get("tie"):
            continue
        if reason := _fault(name, row):
            skipped.append({"file": name, "id": row["id"], "reason": reason})
        else:
            yield json.dumps(made(row), ensure_ascii=False)


def _write(path: Path, lines: Iterator[str]) -> int:
    """JSON lines, or a JSON array with a line per element; no file when there is no line."""
    start, between, end = ("", "\n", "\n") if path.suffix == ".jsonl" else ("[\n", ",\n", "\n]\n")
    count = 0
    for count, line in enumerate(lines, 1):
        if count == 1:
            path.parent.mkdir(parents=True, exist_ok=True)
            target = path.open("w", encoding="utf-8", newline="")
        target.write((start if count == 1 else between) + line)
    if count:
        target.write(end)
        target.close()
    return count


def _fault(name: str, row: Row) -> str | None:
    """Why a tool cannot take the row: turns must alternate and end with the user, an answer is one message."""
    roles = [m["role"] for m in row["prompt"]]
    roles = roles[1:] if roles[:1] == ["system"] else roles
    answers = [row[key] for key in ("chosen", "rejected", "completion") if key in row]
    if any(len(answer) != 1 for answer in answers):
        return "answer_of_several_messages"
    alternating = ["user", "assistant"] * len(roles)
    if name.startswith("llamafactory") and (roles != alternating[: len(roles)] or len(roles) % 2 == 0):
        return "turns_do_not_alternate"
    return None


def _shared(messages: Turns) -> Turns:
    return [{"from": SHARED[m["role"]], "value": m["content"]} for m in messages if m["role"] != "system"]


def _system(row: Row) -> str:
    return row["prompt"][0]["content"] if row["prompt"][0]["role"] == "system" else ""


def _llamafactory_pair(row: Row) -> Row:
    better, worse = (_shared(row[key])[0] for key in ("chosen", "rejected"))
    return {"conversations": _shared(row["prompt"]), "system": _system(row), "chosen": better, "rejected": worse}


def _llamafactory_kto(row: Row) -> Row:
    turns = _shared(row["prompt"] + row["completion"])
    return {"conversations": turns, "system": _system(row), "kto_tag": row["label"]}


def _swift_pair(row: Row) -> Row:
    return {"messages": row["prompt"] + row["chosen"], "rejected_response": row["rejected"][0]["content"]}


def _swift_kto(row: Row) -> Row:
    return {"messages": row["prompt"] + row["completion"], "label": row["label"]}


def _openai(row: Row) -> Row:
    asked: dict[str, Any] = {"messages": row["prompt"], "tools": []}
    return {"input": asked, "preferred_output": row["chosen"], "non_preferred_output": row["rejected"]}


SHAPES: dict[str, tuple[str, Callable[[Row], Row]]] = {
    "llamafactory/preference.json": ("pairs", _llamafactory_pair),
    "llamafactory/kto.json": ("thumbs", _llamafactory_kto),
    "ms_swift/preference.jsonl": ("pairs", _swift_pair),
    "ms_swift/kto.jsonl": ("thumbs", _swift_kto),
    "openai_dpo/preference.jsonl": ("pairs", _openai),
}
