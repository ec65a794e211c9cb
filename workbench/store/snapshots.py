"""Snapshots: what the labels say at one moment, as Parquet files that never change and a manifest that proves it.

Leaves out how sure a label is (`soft_labels`), the rows of one item (`frozen_rows`) and other formats (`formats`).
"""

import hashlib
import json
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from workbench.errors import NotFound, StorageUnavailable, StoreDamaged, UsageError
from workbench.jobs.folder import read_json, sha256, sync, write_json
from workbench.schema import Event, Item, Json, canonical, split_of
from workbench.store import items, judgements, projects, rows, soft_labels
from workbench.store.db import Store, uid
from workbench.store.failpoint import failpoint
from workbench.store.frozen_rows import SCHEMAS, Frozen, Row
from workbench.store.verdicts import ADJUDICATION, Vote

FORMAT = "workbench-snapshot/1"
NAME = 12
POLICY: dict[str, Json] = {
    "axis": "overall",
    "purposes": ["label", "overlap", "tiebreak", "import", "compare", "write"],
    "both_bad_to_thumbs": True,
    "pairs_to_thumbs": False,
    "rankings": "all",
    "edits": True,
    "without": [],
    "min_agreement": 0.0,
    "min_strength": 0.0,
    "split_seed": 0,
}
RANKINGS = ("all", "adjacent", "best_vs_rest")
ACTS = """SELECT j.item, j.kind, j.uid, j.payload FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = ? AND j.kind IN ('flag', 'clear', 'undo', 'gold', 'withdraw') ORDER BY j.seq"""


HELD = """SELECT DISTINCT group_id FROM items
    WHERE project = ? AND (list_contains(?::BIGINT[], id) OR origin ->> 'set' IS NOT NULL)"""
SEQ = "SELECT greatest((SELECT max(seq) FROM judgements), (SELECT max(seq) FROM events))"


@dataclass(frozen=True)
class Snapshot:
    """`hash` is the name, the first 12 hex digits of the content hash; `rows` counts by file."""

    hash: str
    folder: Path
    rows: dict[str, int]
    manifest: dict[str, Json]


def freeze(store: Store, actor: str, project: int, **policy: Json) -> Snapshot:
    """Write the snapshot of what holds now; the same labels under the same policy are the same snapshot."""
    rules = policy_of(projects.get(store, project), policy)
    with store.bulk:
        tables, told = collect(store, project, rules)
        full = content_hash(tables, rules)
        folder = store.home / "snapshots" / full[:NAME]
        counts = {name: table.num_rows for name, table in tables.items()}
        if not folder.exists() or faults(folder):
            try:
                write(
                    folder, tables, {"format": FORMAT, "hash": full, "policy": nameless(rules), "rows": counts, **told}
                )
            except OSError as error:
                raise StorageUnavailable(f"snapshot not written, nothing changed: {error}") from error
        payload = {"hash": full[:NAME], "project": project, "policy": rules, "rows": counts, "seq": told["seq"]}
        if not store.latest("snapshots", "hash = ? AND project = ?", full[:NAME], project):
            store.append(Event(uid(), actor, "snapshot", payload))
    return at(store, payload)


def all(store: Store, project: int) -> list[Snapshot]:
    """The snapshots of a project, oldest first, unread."""
    return [at(store, payload) for payload in store.latest("snapshots", "project = ?", project)]


def get(store: Store, project: int, hash: str) -> Snapshot:
    """A project's snapshot whose files are what its manifest says; `StoreDamaged` names the file that is not."""
    found = store.latest("snapshots", "hash = ? AND project = ?", hash[:NAME], project)
    if not found:
        own = ", ".join(snapshot.hash for snapshot in all(store, project)) or "none yet"
        raise NotFound(f"no snapshot {hash} of this project; it has: {own}")
    snapshot = at(store, found[0])
    if wrong := faults(snapshot.folder):
        raise StoreDamaged(f"snapshot {snapshot.hash}: {wrong}; freeze the same labels again to replace it")
    return snapshot


def at(store: Store, payload: dict[str, Json]) -> Snapshot:
    folder = store.home / "snapshots" / payload["hash"]
    return Snapshot(payload["hash"], folder, payload["rows"], read_json(folder / "manifest.json", {}))


def policy_of(project: projects.Project, wanted: dict[str, Json]) -> dict[str, Json]:
    """The whole policy: what is wanted, else the defaults."""
    rules = POLICY | {"eval_share": project.eval_share}
    if unknown := set(wanted) - set(rules):
        raise UsageError(
            f"a snapshot policy has no {', '.join(sorted(unknown))}; there are: {', '.join(sorted(rules))}"
        )
    rules |= wanted
    if not 0 <= rules["eval_share"] <= 0.2:
        raise UsageError(f"eval_share {rules['eval_share']!r}: from 0 to 0.2")
    if rules["rankings"] not in RANKINGS:
        raise UsageError(f"rankings {rules['rankings']!r}: one of {', '.join(RANKINGS)}")
    for name, most in (("min_agreement", 1), ("min_strength", 3)):
        if not 0 <= rules[name] <= most:
            raise UsageError(f"{name} {rules[name]!r}: from 0 to {most}")
        rules[name] = float(rules[name])
    return rules | {name: sorted(set(rules[name])) for name in ("purposes", "without")}


def nameless(rules: dict[str, Json]) -> dict[str, Json]:
    """The policy as the manifest tells it: how many annotators were left out. Their names stay in the store."""
    return rules | {"without": len(rules["without"])}


def tally(store: Store, project: int, **policy: Json) -> dict[str, Counter[str]]:
    """`tally_of` a snapshot that would be frozen now. The answer is kept until something is stored."""
    rules = policy_of(projects.get(store, project), policy)
    return _looked(store, project, store.seq, canonical(rules))[0]


def sureness(store: Store, project: int) -> dict[str, Json]:
    """How sure the labels are that would be frozen now: agreement, eps, their intervals, as the manifest tells them."""
    return _looked(store, project, store.seq, canonical(policy_of(projects.get(store, project), {})))[1]


@lru_cache(8)
def _looked(store: Store, project: int, seq: int, rules: str) -> tuple[dict[str, Counter[str]], dict[str, Json]]:
    tables, told = collect(store, project, json.loads(rules))
    return tally_of(tables), told["labels"]


def tally_of(tables: Mapping[str, pa.Table]) -> dict[str, Counter[str]]:
    """Rows of each file by split, and of the thumbs on the training side how many are `true` and `false`.

    `comparisons` are the units of a reward model: pairs, and rankings in place of the pairs that were made of them.
    `ties` are those among the pairs, which a run leaves out unless it is told to pull them together.
    """
    found = {name: Counter(table["split"].to_pylist()) for name, table in tables.items()}
    ranked = set(tables["rankings"]["item_key"].to_pylist()) if "rankings" in tables else set()
    if pairs := tables.get("pairs"):
        sides = zip(pairs["split"].to_pylist(), pairs["item_key"].to_pylist(), strict=True)
        found["comparisons"] = Counter(split for split, key in sides if key not in ranked)
        found["comparisons"] += found.get("rankings", Counter())
        found["ties"] = Counter(pairs.filter(pairs["tie"])["split"].to_pylist())
    if thumbs := tables.get("thumbs"):
        sides = zip(thumbs["split"].to_pylist(), thumbs["label"].to_pylist(), strict=True)
        found["thumbs"] |= Counter(str(label).lower() for split, label in sides if split == "train")
    return found


def read_tally(snapshot: Snapshot) -> dict[str, Counter[str]]:
    """`tally_of` a frozen one."""
    more = {"thumbs": ["label"], "pairs": ["item_key", "tie"], "rankings": ["item_key"]}
    columns = {name: ["split", *more.get(name, [])] for name in snapshot.rows}
    return tally_of(
        {name: pq.read_table(snapshot.folder / f"{name}.parquet", columns=columns[name]) for name in columns}
    )


def collect(store: Store, project: int, policy: dict[str, Json]) -> tuple[dict[str, pa.Table], dict[str, Json]]:
    """All rows as sorted tables, and what the manifest tells of where they come from; one view of the database."""
    left_out: Counter[str] = Counter()
    found = Tables()
    with store.cursor() as cur:
        cur.begin()
        seq = cur.execute(SEQ).fetchone()[0]
        votes = votes_of(cur, project, policy)
        sure, trust = soft_labels.measure(cur, project, policy)
        hidden, gold = marked(cur, project)
        held = {group for (group,) in cur.execute(HELD, [project, list(gold)]).fetchall()}
        for key, item in items.stream(cur, project):
            split = split_of(item.group_id, policy["eval_share"], policy["split_seed"])
            if reason := refusal(item, split, hidden, held):
                left_out[reason] += 1
            else:
                found.add(Frozen(key, item, heard(item, votes[item.id]), split, policy, trust).rows())
        cur.commit()
    sources = [
        {k: done[k] for k in ("id", "file", "dialect", "sha256", "accepted", "rejected")}
        for done in store.latest("imports", "project = ?", project)
    ]
    told = {
        "labels": sure,
        "seq": seq,
        "left_out": dict(left_out),
        "imports": sources,
        "package": version("preference-workbench"),
    }
    return found.finish(), told | {"frozen": datetime.now(UTC).isoformat(timespec="seconds")}


def votes_of(cur: rows.Connection, project: int, policy: dict[str, Json]) -> dict[int, list[Vote]]:
    votes: dict[int, list[Vote]] = defaultdict(list)
    strangers = set(policy["without"])
    for vote in judgements.read_current(cur, project, [*policy["purposes"], ADJUDICATION]):
        if vote["axis"] == policy["axis"] and vote["annotator"] not in policy["without"]:
            votes[vote["item"]].append(vote)
        strangers.discard(vote["annotator"])
    if strangers:
        raise UsageError(f"without {', '.join(sorted(strangers))}: no labels of theirs in this project")
    return votes


def heard(item: Item, votes: list[Vote]) -> list[Vote]:
    """Compare votes count only where the prompt was typed by hand: those of a set belong to the win rate."""
    return votes if item.origin.get("set") is None else [v for v in votes if v["purpose"] != "compare"]


def refusal(item: Item, split: str, hidden: set[int], held: set[str]) -> str | None:
    """Why an item gives no rows: hidden by a lead, held back from training, or using tools, which rows cannot say."""
    if item.id in hidden:
        return "hidden"
    if split == "train" and item.group_id in held:
        return "held"
    spoken = [*item.prompt, *(m for c in item.candidates for m in c.messages)]
    return "tool_calls" if any(m.role == "tool" or "tool_calls" in (m.extra or {}) for m in spoken) else None


def marked(cur: rows.Connection, project: int) -> tuple[set[int], set[int]]:
    """Items hidden by an uncleared flag or a withdrawal, and items that are gold."""
    flags: dict[str, int] = {}
    withdrawn, gold = set(), set()
    for item, kind, act, text in cur.execute(ACTS, [project]).fetchall():
        payload = json.loads(text)
        if kind == "flag":
            flags[str(act)] = item
        elif kind == "withdraw":
            withdrawn.add(item)
        elif kind == "gold":
            (gold.add if payload.get("on", True) else gold.discard)(item)
        else:
            flags.pop(payload.get("of"), None)
    return withdrawn | set(flags.values()), gold


class Tables:
    """Rows on their way into one table per file, some thousand at a time so that memory holds columns, not objects."""

    def __init__(self) -> None:
        self.parts: dict[str, list[pa.Table]] = {name: [schema.empty_table()] for name, schema in SCHEMAS.items()}
        self.waiting: dict[str, list[Row]] = {name: [] for name in SCHEMAS}

    def add(self, rows: Iterable[tuple[str, Row]]) -> None:
        for name, row in rows:
            self.waiting[name].append(row)
            if len(self.waiting[name]) == 2000:
                self.flush(name)

    def flush(self, name: str) -> None:
        self.parts[name].append(pa.Table.from_pylist(self.waiting[name], SCHEMAS[name]))
        self.waiting[name] = []

    def finish(self) -> dict[str, pa.Table]:
        for name in SCHEMAS:
            self.flush(name)
        return {name: single(pa.concat_tables(parts)) for name, parts in self.parts.items()}


def single(table: pa.Table) -> pa.Table:
    """Sorted by id, and of rows that say the same only the first."""
    table = table.sort_by([("id", "ascending"), ("item_key", "ascending")])
    if "twin" not in table.column_names:
        return table
    first = {twin: place for place, twin in reversed(list(enumerate(table["twin"].to_pylist())))}
    return table.take(pa.array(sorted(first.values()), pa.int64())).drop_columns("twin")


def content_hash(tables: dict[str, pa.Table], policy: dict[str, Json]) -> str:
    """SHA-256 over policy and rows as canonical JSON: the same on every machine and library version."""
    found = hashlib.sha256(canonical([FORMAT, policy]))
    for name, table in tables.items():
        for part in table.to_batches(max_chunksize=1000):
            for row in part.to_pylist():
                found.update(canonical([name, row]) + b"\n")
    return found.hexdigest()


def write(folder: Path, tables: dict[str, pa.Table], manifest: dict[str, Json]) -> None:
    """The whole folder or nothing: written aside, synced, renamed."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    files = {}
    for name, table in tables.items():
        path = part / f"{name}.parquet"
        pq.write_table(table, path, compression="zstd", row_group_size=50_000)
        sync(path)
        files[path.name] = {"rows": table.num_rows, "bytes": path.stat().st_size, "sha256": sha256(path)}
    write_json(part / "manifest.json", manifest | {"files": files})
    sync(part)
    failpoint("before_snapshot_rename")
    if folder.exists():
        folder.rename(folder.parents[1] / "quarantine" / f"snapshot-{folder.name}-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    part.rename(folder)
    sync(folder.parent)


def faults(folder: Path) -> str | None:
    """What of a snapshot is not as its manifest says, or nothing."""
    files = (read_json(folder / "manifest.json") or {}).get("files")
    if not files:
        return "manifest.json is missing"
    for name, wanted in files.items():
        path = folder / name
        if not path.exists() or path.stat().st_size != wanted["bytes"] or sha256(path) != wanted["sha256"]:
            return f"{name} is missing or changed"
    return None
