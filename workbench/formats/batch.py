"""Readings to items, and items to batch.parquet. Leaves out storing them (`store.items`)."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.formats.reading import Messages, Reading, Vote, comparable
from workbench.schema import Candidate, Item, Json, digest, make_item
from workbench.store.batch_row import SCHEMA, batch_row

RANKED = 9
ROWS, BYTES = 2000, 16 * 2**20


def cut(
    project: int, prompt: Messages, candidates: tuple[Candidate, ...], tasks: tuple[str, ...] | list[str], **rest: Any
) -> list[Item]:
    """Unlabelled answers as items for the tasks: each alone for thumbs, a ring of pairs, groups of nine to rank."""
    answers = tuple({comparable(c.messages): c for c in reversed(candidates)}.values())[::-1]
    if len(answers) < 2:
        return [make_item(project, prompt, answers, **rest)]
    answers = seeded(prompt, answers)
    groups: list[tuple[Candidate, ...]] = []
    if "thumb" in tasks:
        groups += [(answer,) for answer in answers]
    if "pair" in tasks:
        groups += ring(answers)
    if "rank" in tasks:
        groups += [answers[at : at + RANKED] for at in range(0, len(answers), RANKED)]
    return [make_item(project, prompt, group, **rest) for group in dict.fromkeys(groups)]


def seeded(prompt: Messages, answers: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """An order that depends on what is asked and answered, and on nothing else."""
    ordered = sorted(answers, key=lambda c: c.hash)
    random.Random(digest([[m.content for m in prompt], [c.hash for c in ordered]])).shuffle(ordered)  # noqa: S311
    return tuple(ordered)


def ring(answers: tuple[Candidate, ...]) -> list[tuple[Candidate, ...]]:
    """K pairs of neighbours, so that each answer is in two; two answers are one pair."""
    if len(answers) == 2:
        return [answers]
    return [(a, b) for a, b in zip(answers, answers[1:] + answers[:1], strict=True)]


def items(
    reading: Reading, project: int, tasks: list[str], origin: dict[str, Json]
) -> Iterator[tuple[Item, list[Json]]]:
    """Each item of a reading with its judgements, whose candidates are named by the item's own order."""
    place = {id(c): i for i, c in enumerate(reading.candidates)}
    rest = {k: getattr(reading, k) for k in ("form", "root", "tools", "lang", "tags")}
    if reading.votes:
        found = [make_item(project, reading.prompt, reading.candidates, **rest)]
    else:
        found = cut(project, reading.prompt, reading.candidates, tasks, **rest)
    for item in found:
        positions = [place[id(c)] for c in item.candidates]
        item.origin.update(origin, positions=positions, **({"kept": reading.origin} if reading.origin else {}))
        moved = {position: i for i, position in enumerate(positions)}
        yield item, [judgement(vote, moved) for vote in reading.votes]


def judgement(vote: Vote, moved: dict[int, int]) -> Json:
    """A vote as a row of the batch."""
    payload = dict(vote.payload)
    if payload.get("choice") in (0, 1):
        payload["choice"] = moved[payload["choice"]]
    if "candidate" in payload:
        payload["candidate"] = moved[payload["candidate"]]
    if vote.kind == "rank":
        payload["tiers"] = [sorted(moved[i] for i in tier) for tier in payload["tiers"]]
    told = {"kind": vote.kind, "payload": payload, "annotator": vote.annotator, "axis": vote.axis}
    rest = {"reason": vote.reason, "ms_active": vote.ms_active}
    return told | {k: v for k, v in rest.items() if v is not None}


class BatchWriter:
    """Writes batch.parquet under another name until it is whole. Counts items once, however often a file has them."""

    def __init__(self, path: Path) -> None:
        self.path, self.aside = path, path.with_suffix(".part")
        self.writer = pq.ParquetWriter(self.aside, SCHEMA, compression="zstd", use_dictionary=False)
        self.rows: list[dict[str, str | None]] = []
        self.size = self.judgements = 0
        self.keys: set[bytes] = set()

    def add(self, item: Item, judgements: list[Json]) -> None:
        row = batch_row(item, judgements)
        self.keys.add(bytes.fromhex(row["key"][:32]))
        self.judgements += len(judgements)
        self.rows.append(row)
        self.size += len(row["prompt"]) + len(row["candidates"])
        if len(self.rows) >= ROWS or self.size > BYTES:
            self.flush()

    def flush(self) -> None:
        if self.rows:
            self.writer.write_table(pa.Table.from_pylist(self.rows, SCHEMA))
        self.rows, self.size = [], 0

    def close(self) -> None:
        self.flush()
        self.writer.close()
        self.aside.replace(self.path)
