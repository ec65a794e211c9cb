"""The child that lets a reward model score answers: python -m workbench.training.scoring --job FOLDER

FOLDER/config.json names the model's folder, `items` (a Parquet file beside it) and `out`, where the scores go at once
and whole. Leaves out which items are asked and what becomes of the scores (`store.scores`).
"""

import argparse
import json
import sys
import traceback
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from workbench.errors import EngineError, WorkbenchError
from workbench.jobs.folder import Reporter, read_json, sync
from workbench.training.data import Dropped, Line, Messages, Row, Stops, encode, fit, stops, with_template
from workbench.training.model import length_limit, load_plain, tokenizer_of
from workbench.training.policy import Policy
from workbench.training.selftest import choose_layout

AT_ONCE = 256
SCHEMA = pa.schema(
    [("item", pa.int64()), ("scores", pa.list_(pa.float32())), ("control", pa.bool_()), ("unseen", pa.bool_())]
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=Path, required=True)
    folder = parser.parse_args().job
    report = Reporter(folder)
    report.status()
    try:
        ended = score(folder, report)
    except WorkbenchError as error:
        report.status("failed", message=error.message)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        report.status("failed", message=f"{type(error).__name__}: {error}")
    else:
        report.status("done" if ended else "stopped")


@torch.no_grad()
def score(folder: Path, report: Reporter) -> bool:
    """Score all items; False when somebody asked to stop. What cannot be read whole by the model has no score."""
    config = read_json(folder / "config.json")
    items, out = pq.ParquetFile(folder / config["items"]), Path(config["out"])
    judge = scorer(Path(config["model"]["path"]), config["model"]["base_path"])
    part, read, known = out.with_suffix(".part"), 0, 0
    report.status("running", steps=items.metadata.num_rows)
    with items, pq.ParquetWriter(part, SCHEMA) as file:
        for batch in items.iter_batches(AT_ONCE):
            if report.stop_requested():
                part.unlink()
                return False
            scored = sorted(told(judge, batch.to_pylist(), config["model"]["name"]), key=lambda row: row["item"])
            file.write_table(pa.Table.from_pylist(scored, SCHEMA))
            read, known = read + batch.num_rows, known + len(scored)
            report.metric({"step": read}, step=read, scored=known)
    sync(part)
    part.replace(out)
    sync(out.parent)
    return True


def scorer(folder: Path, base: str | None) -> Policy:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = device.type == "cuda" and torch.cuda.is_bf16_supported()
    precision = torch.bfloat16 if half else torch.float32
    place = Path(base) if base else None
    tokenizer = tokenizer_of(folder, place)
    with_template(tokenizer)
    model = load_plain(folder, "reward", precision, place, scores=True).to(device)
    policy = Policy(model, tokenizer, "reward", precision)
    policy.why_padded = choose_layout(policy)
    return policy


def told(judge: Policy, rows: list[dict[str, Any]], name: str) -> Iterator[dict[str, Any]]:
    """The rows whose answers could all be read, with a score for each."""
    stop, limit = stops(judge.tokenizer), length_limit(judge)
    asked = [(row, text) for row in rows if (text := text_of(row))]
    encoded = encode(judge.tokenizer, [text for _, text in asked], stop, empty="keep")
    found = [(row, lines_of(judge, text, made, limit, stop)) for (row, text), made in zip(asked, encoded, strict=True)]
    found = [(row, lines) for row, lines in found if lines]
    for part in judge.deal([lines for _, lines in found]):
        here = [found[i] for i in part]
        scores = judge([line for _, lines in here for line in lines]).float()
        if not torch.isfinite(scores).all():
            raise EngineError(f"reward model {name} gives a score that is not a number: train it anew")
        bounds = accumulate((len(lines) for _, lines in here), initial=0)
        for (row, _), (begin, end) in zip(here, pairwise(bounds), strict=True):
            kept = {key: row[key] for key in ("item", "control", "unseen")}
            yield kept | {"scores": scores[begin:end].tolist()}


def text_of(row: dict[str, Any]) -> Row | None:
    """Prompt and candidates of an item; None where tools are called, which a model cannot be told of."""
    prompt, *answers = json.loads(row["prompt"]), *(c["messages"] for c in json.loads(row["candidates"]))
    spoken = [m for messages in (prompt, *answers) for m in messages]
    if any(m["role"] == "tool" or "tool_calls" in (m.get("extra") or {}) for m in spoken):
        return None
    return Row(str(row["item"]), row["form"], plain(prompt), tuple(map(plain, answers)))


def plain(messages: list[dict[str, Any]]) -> Messages:
    return [{"role": m["role"], "content": m["content"]} for m in messages]


def lines_of(judge: Policy, row: Row, encoded: Any, limit: int, stop: Stops) -> list[Line]:
    """The answers as the model reads them; none when the prompt alone is too long or is not one."""
    try:
        read = fit(encoded, row, limit, "keep_start", judge.tokenizer, stop)
        return [Line.of(read.prompt, answer) for answer in read.answers]
    except Dropped:
        return []


if __name__ == "__main__":
    main()
