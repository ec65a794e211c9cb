"""A snapshot as a folder that the Hub, `load_dataset` and trainers read: Parquet per config and split, card, manifest.

The same snapshot gives the same bytes. Leaves out the upload (`push`) and the words of the card (`cards`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import UsageError
from workbench.formats.cards import dataset_card, license_id
from workbench.formats.extra import write_extra
from workbench.formats.snapshot import Row, figures, languages, rows, text
from workbench.jobs.folder import aside, read_json, sha256, write_json

FORMAT = "workbench-dataset/1"
ROW_GROUP = 50_000
HELD_BYTES = 64 * 2**20
SHARD_BYTES = 500 * 10**6
MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
HEAD = [("id", pa.string()), ("group_id", pa.string())]
VOTES = [
    *((name, pa.float64()) for name in ("strength", "p_share", "p_posterior")),
    *((name, pa.int16()) for name in ("n_votes", "n_agree")),
    ("source", pa.string()),
]
# What each config takes from a snapshot file: columns that hold messages, and columns that are copied.
CONFIGS: dict[str, tuple[str, tuple[str, ...], list[tuple[str, pa.DataType]]]] = {
    "preference": ("pairs", ("prompt", "chosen", "rejected"), VOTES),
    "implicit": ("pairs", ("chosen", "rejected"), []),
    "unpaired": ("thumbs", ("prompt", "completion"), [("label", pa.bool_())]),
    "demonstrations": ("demonstrations", ("prompt", "completion"), []),
    "rankings": ("rankings", ("prompt", "candidates"), [("tiers", pa.list_(pa.list_(pa.int8())))]),
}
NAMES = tuple(name + form for name in CONFIGS for form in ("", "_text"))


def export_dataset(snapshot: Path, out: Path, *, title: str, license: str | None) -> dict[str, int]:
    """Write the folder aside, then put it in the place of `out`; rows per config that has any."""
    license = license_id(license)
    if out.exists() and not _exported(out):
        raise UsageError(f"{out} exists and is not an export: name a new folder")
    with aside(out) as part:
        frozen = read_json(snapshot / "manifest.json")
        counts = {config: splits for name in CONFIGS for config, splits in _config(snapshot, part, name)}
        if not counts:
            raise UsageError(f"snapshot {frozen['hash'][:12]} has no labelled rows: there is nothing to export yet")
        extra = write_extra(snapshot, part / "extra")
        card = dataset_card(title, license, counts, extra, frozen, figures(snapshot), languages(snapshot))
        (part / "README.md").write_text(card, encoding="utf-8")
        write_json(part / "manifest.json", _manifest(part, title, license, counts, frozen))
    return {config: sum(splits.values()) for config, splits in counts.items()}


def _exported(folder: Path) -> bool:
    """Whether its manifest says it is an export; a snapshot, a checkpoint and others' folders have manifests too."""
    try:
        return read_json(folder / "manifest.json", {}).get("format") == FORMAT
    except (OSError, ValueError, AttributeError):
        return False


def _config(snapshot: Path, out: Path, name: str) -> Iterator[tuple[str, dict[str, int]]]:
    """Write one config in both forms; yields the names that have rows, with rows per split."""
    writers: dict[tuple[str, str], Shards] = {}
    for row in rows(snapshot / f"{CONFIGS[name][0]}.parquet"):
        if row.get("tie"):
            continue
        config = name if row["form"] == "chat" else f"{name}_text"
        key = (config, row["split"])
        if key not in writers:
            writers[key] = Shards(out / config, row["split"], _schema(name, row["form"]))
        writers[key].add(_row(name, row))
    found: dict[str, dict[str, int]] = {}
    for (config, split), shards in sorted(writers.items(), key=lambda kv: (kv[0][0], kv[0][1] != "train")):
        found.setdefault(config, {})[split] = shards.close()
    yield from found.items()


def _schema(name: str, form: str) -> pa.Schema:
    _, texts, copied = CONFIGS[name]
    kind = MESSAGES if form == "chat" else pa.string()
    return pa.schema([*HEAD, *((key, pa.list_(kind) if key == "candidates" else kind) for key in texts), *copied])


def _row(name: str, row: Row) -> Row:
    """Chat stays messages; text stays the exact strings."""
    _, texts, copied = CONFIGS[name]
    said: Callable[[Any], Any] = (lambda value: value) if row["form"] == "chat" else text
    values = {key: [said(c) for c in row[key]] if key == "candidates" else said(row[key]) for key in texts}
    if name == "implicit":
        values = {key: said(row["prompt"]) + value for key, value in values.items()}
    return {key: row[key] for key, _ in [*HEAD, *copied]} | values


class Shards:
    """One split of one config: Parquet files of at most 500 MB, named when their number is known."""

    def __init__(self, folder: Path, split: str, schema: pa.Schema) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.split, self.schema = folder, split, schema
        self.files: list[Path] = []
        self.rows: list[Row] = []
        self.writer: pq.ParquetWriter | None = None
        self.count = self.held = 0

    def add(self, row: Row) -> None:
        self.rows.append(row)
        self.count += 1
        self.held += len(str(row))
        if len(self.rows) == ROW_GROUP or self.held > HELD_BYTES:
            self._write()

    def _write(self) -> None:
        if self.writer is None:
            self.files.append(self.folder / f"{self.split}-{len(self.files):05d}.part")
            self.writer = pq.ParquetWriter(self.files[-1], self.schema, compression="zstd", compression_level=3)
        self.writer.write_table(pa.Table.from_pylist(self.rows, self.schema))
        self.rows, self.held = [], 0
        if self.files[-1].stat().st_size > SHARD_BYTES:
            self._end()

    def _end(self) -> None:
        if self.writer:
            self.writer.close()
        self.writer = None

    def close(self) -> int:
        """Finish the files; how many rows they hold."""
        if self.rows:
            self._write()
        self._end()
        for number, path in enumerate(self.files):
            path.rename(self.folder / f"{self.split}-{number:05d}-of-{len(self.files):05d}.parquet")
        return self.count


def _manifest(folder: Path, title: str, license: str | None, counts: dict[str, Any], frozen: Row) -> Row:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    told = {key: frozen[key] for key in ("policy", "left_out", "seq", "package", "frozen") if key in frozen}
    return {
        "format": FORMAT,
        "title": title,
        "license": license,
        "snapshot": frozen["hash"],
        "rows": counts,
        "from": told,
        "files": {
            str(p.relative_to(folder)): {
                "bytes": p.stat().st_size,
                "sha256": sha256(p),
            }
            for p in files
        },
    }
