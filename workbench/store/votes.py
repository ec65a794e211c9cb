"""The labels that hold as columns, for statistics over many. Leaves out figures (`labelling`) and single acts."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.schema import CONTROL, split_hash
from workbench.store import rows
from workbench.store.db import Store
from workbench.store.verdicts import implied

Array = NDArray[Any]

PLANNED = ("label", "overlap")
FRESH = (*PLANNED, "tiebreak")
KINDS = ("pair", "thumb", "rank", "rating")
TIE, BOTH_BAD, NONE = 2, 3, -1
CHOICES, LEVELS = 4, 7  # 0, 1, tie, both bad; +3 to -3
READ = """SELECT c.seq, c.item, c.annotator, c.purpose, c.kind, epoch_us(c.ts) AS ts, i.group_id, i.n_candidates,
    coalesce(nullif(c.ms_active, 0), c.ms_shown, 0) AS ms, coalesce(c.guideline, 0) AS guideline, i.tags,
    coalesce(c.shown_order[1], -1) AS first, c.policy <> 'control' AS ordered, c.payload,
    CASE c.payload ->> 'choice' WHEN '0' THEN 0 WHEN '1' THEN 1 WHEN 'tie' THEN 2 WHEN 'both_bad' THEN 3 ELSE -1 END
        AS choice,
    coalesce(try_cast(c.payload ->> 'strength' AS DOUBLE), 0) AS strength
    FROM current c JOIN items i ON c.item = i.id
    WHERE i.project = ? AND c.axis = ? AND c.kind <> 'edit' ORDER BY c.seq"""
WORDS = ("annotator", "purpose", "kind", "group_id", "tags")
ACTS = """SELECT j.annotator, j.kind, count(*) FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = ? AND j.axis = ? AND j.kind IN ('skip', 'flag') AND j.purpose <> 'write' AND j.uid NOT IN (
        SELECT TRY_CAST(payload ->> 'of' AS UUID) FROM judgements
        WHERE kind = 'undo' AND TRY_CAST(payload ->> 'of' AS UUID) IS NOT NULL)
    GROUP BY ALL"""
GOLD = """SELECT j.item, j.payload FROM judgements j JOIN items i ON j.item = i.id
    WHERE i.project = ? AND j.axis = ? AND j.kind = 'gold' ORDER BY j.seq"""
CJK = r"[\x{3040}-\x{30ff}\x{3400}-\x{9fff}\x{ac00}-\x{d7af}\x{f900}-\x{faff}]"
# Markdown is counted where the texts are: in Python the same counts take six times as long.
STYLE = {
    "length": "length({})",
    "headers": r"len(regexp_extract_all({}, '(?m)^ {{0,3}}#{{1,6}} '))",
    "list_items": r"len(regexp_extract_all({}, '(?m)^\s*(?:[-*+]|\d{{1,3}}[.)]) '))",
    "bold": r"len(regexp_extract_all({}, '\*\*[^*\n]+\*\*'))",
    "code_blocks": "len(regexp_extract_all({}, '(?s)```.*?```'))",
}
FACTS = f"""WITH texts AS (SELECT id,
        array_to_string(prompt ->> '$[*].content', ' ') || ' '
            || array_to_string(candidates ->> '$[*].messages[*].content', ' ') AS whole,
        coalesce(array_to_string(candidates ->> '$[0].messages[*].content', chr(10)), '') AS a,
        coalesce(array_to_string(candidates ->> '$[1].messages[*].content', chr(10)), '') AS b
        FROM items WHERE project = ? AND id <= ?),
    parts AS (SELECT *, strlen(whole) = length(whole) AS ascii,
        CASE WHEN ascii THEN whole ELSE regexp_replace(whole, '{CJK}', ' ', 'g') END AS latin,
        CASE WHEN ascii THEN 0 ELSE length(whole) - length(regexp_replace(whole, '{CJK}', '', 'g')) END AS cjk
        FROM texts)
    SELECT id, len(list_filter(string_split(replace(latin, chr(10), ' '), ' '), lambda word: word <> '')) + cjk / 1.6,
        {", ".join(count.format(text) for text in "ab" for count in STYLE.values())} FROM parts ORDER BY id"""  # noqa: S608


@dataclass(frozen=True)
class Votes:
    """One row per label. Words are numbers into `names`; `first` is the candidate shown first, -1 unknown.

    ordered     a reward model chose what was asked
    choice      0, 1, 2 a tie, 3 both bad, -1 not a choice between two
    strength    0 where none was said
    """

    seq: Array
    item: Array
    annotator: Array
    purpose: Array
    kind: Array
    ts: Array
    group_id: Array
    n_candidates: Array
    ms: Array
    guideline: Array
    tags: Array
    first: Array
    ordered: Array
    payload: Array
    choice: Array
    strength: Array
    names: dict[str, list[str]]

    def __len__(self) -> int:
        return len(self.seq)

    def __getitem__(self, rows: Array) -> "Votes":
        columns = {name: column[rows] for name, column in vars(self).items() if isinstance(column, np.ndarray)}
        return replace(self, **columns)

    def where(self, column: str, wanted: Iterable[str]) -> Array:
        """Rows whose word in this column is one of `wanted`."""
        numbers = [n for n, name in enumerate(self.names[column]) if name in set(wanted)]
        return np.isin(getattr(self, column), numbers)

    def of(self, *purposes: str) -> "Votes":
        return self[self.where("purpose", purposes)]


@dataclass(frozen=True)
class Cast:
    """What votes say of units: two answers of an item, or one answer. Of each person the last vote on a unit.

    row, unit    per vote: its place in `votes`, and its unit from 0
    category     of two answers 0, 1, 2 tie, 3 both bad; of one answer 0 bad, 1 good; of scores their place
    level        the place on the ordinal scale, -1 where the vote has none
    key          per unit: its name, the same in every `cast` of this kind
    item, group  per unit
    """

    votes: Votes
    row: Array
    unit: Array
    category: Array
    level: Array
    key: Array
    item: Array
    group: Array
    categories: int
    levels: int
    kind: str

    @property
    def who(self) -> Array:
        return self.votes.annotator[self.row]


def read(cur: rows.Connection, project: int, axis: str) -> Votes:
    """All labels of an axis that hold, as one cursor sees them, oldest first."""
    table = cur.sql(READ, params=[project, axis]).to_arrow_table()
    columns: dict[str, Any] = {}
    names: dict[str, list[str]] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in WORDS:
            coded = column.fill_null("").dictionary_encode()
            names[name] = coded.dictionary.to_pylist()
            columns[name] = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
        else:
            columns[name] = column.to_numpy(zero_copy_only=False)
    return Votes(**columns, names=names)


def skips_and_flags(cur: rows.Connection, project: int, axis: str) -> dict[tuple[str, str], int]:
    """How many (annotator, kind) there are that were not undone."""
    return {(who, kind): n for who, kind, n in cur.execute(ACTS, [project, axis]).fetchall()}


def gold(cur: rows.Connection, project: int, axis: str) -> dict[int, dict[str, Any]]:
    """The right answer of each item that is gold now."""
    found: dict[int, dict[str, Any]] = {}
    for item, text in cur.execute(GOLD, [project, axis]).fetchall():
        payload = json.loads(text)
        found.pop(item, None)
        if payload.get("on", True):
            found[item] = payload.get("answer", payload)
    return found


@dataclass(frozen=True)
class Facts:
    """Of each item by number: words to read, 1.6 Chinese characters as one, and `STYLE` of its first two answers."""

    item: Array
    words: Array
    style: Array

    def at(self, items: Array) -> Array:
        return np.searchsorted(self.item, items)


def facts(store: Store, project: int) -> Facts:
    """What can be counted in the texts of a project. Texts never change: the answer is kept until items come."""
    with store.cursor() as cur:
        [last] = cur.execute("SELECT coalesce(max(id), 0) FROM items WHERE project = ?", [project]).fetchone()
    return _facts(store, project, last)


@lru_cache(4)
def _facts(store: Store, project: int, last: int) -> Facts:
    with store.cursor() as cur:
        id, words, *style = cur.sql(FACTS, params=[project, last]).fetchnumpy().values()
    pair = np.array(style, np.float32).T.reshape(-1, 2, len(STYLE))
    return Facts(id.astype(np.int64), words.astype(np.float32), pair)


def cast(votes: Votes, kind: str) -> Cast:
    """The votes of one kind: `pair` (two answers), `rank` (more, as implied pairs), `thumb`, `rating`."""
    if kind in ("pair", "rank"):
        return compared(votes, kind)
    row = np.flatnonzero(votes.where("kind", [kind]))
    said = [json.loads(text) for text in votes.payload[row]]
    candidate = np.array([p["candidate"] for p in said], np.int64)
    if kind == "thumb":
        category, size = np.array([p["label"] for p in said], np.int64), 2
    else:
        scores, category = np.unique(np.array([p["score"] for p in said], float), return_inverse=True)
        size = max(2, len(scores))
    return last_words(votes, row, votes.item[row] * 100 + candidate, category, category, size, size, kind)


def compared(votes: Votes, kind: str) -> Cast:
    """Two answers each: the choices between them, and what rankings imply."""
    fitting = (votes.n_candidates == 2) == (kind == "pair")
    row = np.flatnonzero(fitting & (votes.choice >= 0))
    key, category = votes.item[row] * 100 + 1, votes.choice[row].astype(np.int64)
    level = levels_of(category, votes.strength[row])
    ranked = np.flatnonzero(fitting & votes.where("kind", ("rank", "best_worst")))
    found = [(at, *pair) for at in ranked for pair in implied(json.loads(votes.payload[at]), votes.n_candidates[at])]
    if found:
        at, i, j, told = np.array(found, np.int64).T
        row, key = np.r_[row, at], np.r_[key, votes.item[at] * 100 + i * 10 + j]
        category, level = np.r_[category, told], np.r_[level, levels_of(told, np.zeros(len(told)))]
    return last_words(votes, row, key, category, level, CHOICES, LEVELS, kind)


def levels_of(category: Array, strength: Array) -> Array:
    """0 to 6 for +3 to -3 towards candidate 0. Where nobody said how much, a choice counts 1; both bad has no place."""
    size = np.clip(np.rint(strength), 1, 3).astype(np.int64)
    place = 3 + np.select([category == 0, category == 1, category == TIE], [-size, size, 0], -4)
    unsaid = (category < TIE) & (strength == 0)
    return np.where(unsaid & (strength > 0).any(), NONE, place)


def last_words(
    votes: Votes, row: Array, key: Array, category: Array, level: Array, categories: int, levels: int, kind: str
) -> Cast:
    order = np.argsort(row, kind="stable")
    row, key, category, level = row[order], key[order], category[order], level[order]
    ballot = key * len(votes.names["annotator"]) + votes.annotator[row]
    last = len(ballot) - 1 - np.unique(ballot[::-1], return_index=True)[1]
    row, category, level = row[last], category[last], level[last]
    names, first, unit = np.unique(key[last], return_index=True, return_inverse=True)
    item, group = votes.item[row][first], votes.group_id[row][first]
    return Cast(votes, row, unit, category, level, names, item, group, categories, levels, kind)


def planned(votes: Votes) -> Votes:
    """What agreement is measured on: votes that were to come whatever others said.

    Where a reward model chose some of what was asked, only the control arm: its choice is no fair sample.
    """
    found = votes.of(*PLANNED)
    if not found.ordered.any():
        return found
    control = np.array([split_hash(group) < CONTROL for group in votes.names["group_id"]])
    return found[control[found.group_id]]


def main_cast(votes: Votes, kinds: Iterable[str] = KINDS) -> Cast:
    """The votes of the kind that most units of two people have: two kinds of question share no figure."""
    casts = [cast(votes, kind) for kind in kinds]
    return max(casts, key=lambda c: ((np.bincount(c.unit) > 1).sum(), len(c.unit)))


def by_people(votes: Votes) -> Array:
    """Of each annotator the import that names one, -1 for our own and for machines: those never count as people."""
    names = [name.split(":") for name in votes.names["annotator"]]
    return np.array([int(n[1]) if n[0] == "ext" and n[2] != "machine" else -1 for n in names], np.int64)


def repeats(votes: Votes, kind: str) -> dict[str, Array]:
    """Of each decided repeat of a decided own vote: `who`, whether they are the `same`, and both on one side."""
    first, second = cast(votes.of(*FRESH), kind), cast(votes.of("repeat"), kind)
    people = len(votes.names["annotator"])
    names = [c.key[c.unit] * people + c.who for c in (first, second)]
    _, mine, again = np.intersect1d(*names, return_indices=True)
    decided = (first.category[mine] < TIE) & (second.category[again] < TIE)
    mine, again = mine[decided], again[decided]
    left = [c.category[at] == c.votes.first[c.row[at]] for c, at in ((first, mine), (second, again))]
    same = first.category[mine] == second.category[again]
    return {"who": first.who[mine], "same": same, "left": left[0] & left[1], "right": ~(left[0] | left[1])}
