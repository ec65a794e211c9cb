"""What a home keeps of earlier runs: token ids of a snapshot, reference log-probs of a model. Safe to delete.

Files are written aside, synced and renamed; a damaged one is named in the log, removed and made again. Leaves out how
the numbers are computed (`data`, `reference`).
"""

import hashlib
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workbench.jobs.folder import sha256, write_json
from workbench.training.data import RULES, Dropped, Encoded, Ids, Stops

TOKENIZER = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "*.tiktoken",
)
CHUNK = 8192  # reference log-probs in one file: what a killed run loses of a long pass
TOKENS = pa.schema(
    [
        ("prompt", pa.dictionary(pa.int32(), pa.large_list(pa.int32()))),
        ("answers", pa.large_list(pa.large_list(pa.int32()))),
        ("shifted", pa.bool_()),
        ("dropped", pa.string()),
    ]
)
LOGPS = pa.schema([("row", pa.binary(16)), ("logp", pa.float32()), ("tokens", pa.int32())])


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to; on success the file gets its own name at once, and is on the disk before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield part
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def hashes(paths: Sequence[Path], memo: Path) -> list[str]:
    """SHA-256 of each file. `memo` keeps those of known path, size and time of change, so weights are read once."""
    try:
        known = dict(json.loads(memo.read_text()))
    except (OSError, ValueError, TypeError):
        known = {}
    seen = {str(p.resolve()): [p.stat().st_size, p.stat().st_mtime_ns] for p in paths}
    fresh = {name: [*stamp, sha256(Path(name))] for name, stamp in seen.items() if known.get(name, [])[:2] != stamp}
    if fresh:
        memo.parent.mkdir(parents=True, exist_ok=True)
        write_json(memo, known | fresh)
    return [(known | fresh)[name][2] for name in seen]


def named(*facts: Any) -> str:
    """A name for what is made of these facts."""
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class TokenCache:
    """`<home>/cache/tokens/<key>/rows.arrow`: what `encode` made of the rows of some files of a snapshot."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.arrow"

    @classmethod
    def of(cls, root: Path, files: Sequence[Path], tokenizer: Any, stop: Stops, empty: str) -> "TokenCache":
        """Named by everything that token ids depend on; how long a row may be is not among it."""
        source = Path(tokenizer.name_or_path)
        words = sorted({p for pattern in TOKENIZER for p in source.glob(pattern) if p.is_file()})
        told = hashes([*files, *words], root / "hashes.json")
        facts = (RULES, [p.name for p in files], told, tokenizer.chat_template, sorted(stop.ids), stop.append, empty)
        return cls(root / named(*facts))

    def read(self, rows: int) -> list[Encoded | Dropped] | None:
        """All rows, their ids mapped from the file; None when there is none, or none that is whole."""
        if not self.path.exists():
            return None
        try:
            table = pa.ipc.open_file(pa.memory_map(str(self.path))).read_all()
            table.validate(full=True)
            stored = table.combine_chunks()
            if len(stored) != rows or table.schema.metadata[b"sum"] != _sum(stored):
                raise ValueError("its content is not what was written")
            return list(_decoded(stored))
        except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
            print(f"token cache {self.path} is damaged and made anew: {error}", flush=True)
            self.path.unlink(missing_ok=True)
            return None

    def write(self, made: Sequence[Encoded | Dropped]) -> None:
        prompts: dict[bytes, int] = {}
        distinct: list[Ids] = []
        which: list[int | None] = []
        for one in made:
            if isinstance(one, Dropped):
                which.append(None)
                continue
            number = prompts.setdefault(one.prompt.tobytes(), len(prompts))
            distinct += [one.prompt] if number == len(distinct) else []
            which.append(number)
        answers = [() if isinstance(one, Dropped) else one.answers for one in made]
        columns = [
            pa.DictionaryArray.from_arrays(pa.array(which, pa.int32()), _lists(distinct)),
            pa.LargeListArray.from_arrays(_offsets(answers), _lists([ids for row in answers for ids in row])),
            pa.array([isinstance(one, Encoded) and one.shifted for one in made]),
            pa.array([one.args[0] if isinstance(one, Dropped) else None for one in made], pa.string()),
        ]
        table = pa.Table.from_arrays(columns, schema=TOKENS)
        table = table.replace_schema_metadata({"sum": _sum(table)})
        with replacing(self.path) as part, pa.ipc.new_file(str(part), table.schema) as out:
            out.write_table(table)


def _offsets(lists: Sequence[Sequence[Any]]) -> pa.Array:
    return pa.array(np.concatenate([[0], np.cumsum([len(x) for x in lists], dtype=np.int64)]).astype(np.int64))


def _lists(parts: Sequence[Ids]) -> pa.Array:
    flat = np.concatenate(parts) if parts else np.zeros(0)
    return pa.LargeListArray.from_arrays(_offsets(parts), pa.array(flat.astype(np.int32)))


def _columns(table: pa.Table) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Numbers of prompts, the distinct prompts, and the answers of all rows."""
    prompt, answers = (table[name].combine_chunks() for name in ("prompt", "answers"))
    return prompt.indices, prompt.dictionary, answers


def _sum(table: pa.Table) -> bytes:
    """A check sum of every id and of where it belongs."""
    which, prompts, answers = _columns(table)
    flat = (which.fill_null(-1), prompts.offsets, prompts.values, answers.offsets, answers.values.offsets)
    total = zlib.crc32("".join(reason or "" for reason in table["dropped"].to_pylist()).encode())
    for part in (*flat, answers.values.values):
        total = zlib.crc32(part.to_numpy(), total)
    return str(total).encode()


def _decoded(table: pa.Table) -> Iterator[Encoded | Dropped]:
    which, prompts, answers = _columns(table)
    asked, said = _cut(prompts), _cut(answers.values)
    spans = pairwise(answers.offsets.to_pylist())
    facts = zip(which.to_pylist(), spans, table["shifted"].to_pylist(), table["dropped"].to_pylist(), strict=True)
    for number, (a, b), shifted, reason in facts:
        yield Dropped(reason) if number is None else Encoded(asked[number], tuple(said[a:b]), shifted)


def _cut(lists: pa.Array) -> list[Ids]:
    flat = lists.values.to_numpy()
    return [flat[a:b] for a, b in pairwise(lists.offsets.to_pylist())]


class LogpCache:
    """`<home>/cache/reference/<identity>/*.parquet`: log-probs of rows under one model, a file for each writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> dict[bytes, float]:
        """The log-prob of every row that is known."""
        known: dict[bytes, float] = {}
        for path in sorted(self.folder.glob("part-*.parquet")):
            try:
                table = pq.read_table(path, schema=LOGPS, page_checksum_verification=True)
                known |= zip(table["row"].to_pylist(), table["logp"].to_pylist(), strict=True)
            except (OSError, ValueError, pa.ArrowException) as error:
                print(f"reference cache {path} is damaged, its rows are computed again: {error}", flush=True)
                path.unlink(missing_ok=True)
        return known

    def add(self, rows: Sequence[bytes], logps: Sequence[float], tokens: Sequence[int]) -> None:
        table = pa.table([rows, logps, tokens], schema=LOGPS)
        with replacing(self.folder / f"part-{uuid.uuid4().hex}.parquet") as part:
            pq.write_table(table, part, write_page_checksum=True)
