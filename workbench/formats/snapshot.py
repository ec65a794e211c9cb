"""A snapshot folder read row by row, and the figures that a card tells of it. Leaves out making one (`store`)."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

BATCH = 1000
WORDS = {"the", "is", "a", "of", "to", "what", "how"}
Row = dict[str, Any]


def rows(path: Path) -> Iterator[Row]:
    """The rows of one file; none when it is not there."""
    if path.exists():
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()


def text(messages: list[dict[str, str]]) -> str:
    """The exact string of a `form=text` row."""
    return "".join(m["content"] for m in messages)


def figures(snapshot: Path) -> dict[str, int]:
    """Pairs, ties and votes; among pairs with several votes, how many are for the side taken; good and bad thumbs."""
    found: Counter[str] = Counter(pairs=0, ties=0, votes=0, twice=0, agree=0, of=0, good=0, bad=0)
    for row in rows(snapshot / "pairs.parquet"):
        votes = row["n_votes"] or 0
        found.update(pairs=1, ties=row["tie"], votes=votes)
        if votes >= 2 and not row["tie"]:
            found.update(twice=1, agree=row["n_agree"], of=votes)
    for row in rows(snapshot / "thumbs.parquet"):
        found.update(good=row["label"], bad=not row["label"])
    return dict(found)


def languages(snapshot: Path) -> list[str]:
    """Languages that at least one prompt in twenty is in, as far as letters and the commonest words tell."""
    found: Counter[str] = Counter()
    total = 0
    for row in rows(snapshot / "prompts.parquet"):
        total += 1
        start = text(row["prompt"])[:2000]
        if any("\u4e00" <= c <= "\u9fff" for c in start):
            found["zh"] += 1
        elif WORDS & set(start.lower().split()):
            found["en"] += 1
    return sorted(name for name, count in found.items() if count * 20 >= total)
