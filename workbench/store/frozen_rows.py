"""The rows of a snapshot that one item gives, and their columns. Leaves out which votes count and where rows are kept.

Messages here are `{role, content}` only: items whose messages call tools are left out by `snapshots`.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from workbench.schema import Item, Message, digest, spoken
from workbench.store.verdicts import (
    Verdict,
    Vote,
    of_pair,
    of_ranking,
    of_thumb,
    ordinary,
    ranks_above,
    sort_votes,
    strict_pairs,
)

Row = dict[str, Any]

MESSAGES = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
COMMON = [(name, pa.string()) for name in ("id", "group_id", "item_key", "form", "split")]
COMMON += [("weight", pa.float64()), ("source", pa.string())]
SCHEMAS = {
    "pairs": pa.schema(
        [
            *COMMON,
            *((name, MESSAGES) for name in ("prompt", "chosen", "rejected")),
            ("tie", pa.bool_()),
            *((name, pa.float64()) for name in ("strength", "p_share", "p_posterior")),
            *((name, pa.int16()) for name in ("n_votes", "n_agree")),
        ]
    ),
    "thumbs": pa.schema(
        [
            *COMMON,
            *((name, MESSAGES) for name in ("prompt", "completion")),
            ("label", pa.bool_()),
            ("p", pa.float64()),
            ("n_votes", pa.int16()),
        ]
    ),
    "demonstrations": pa.schema([*COMMON, ("prompt", MESSAGES), ("completion", MESSAGES), ("twin", pa.string())]),
    "rankings": pa.schema(
        [
            *COMMON,
            ("prompt", MESSAGES),
            ("candidates", pa.list_(MESSAGES)),
            ("tiers", pa.list_(pa.list_(pa.int32()))),
            ("n_votes", pa.int16()),
        ]
    ),
    "prompts": pa.schema([*COMMON, ("prompt", MESSAGES), ("twin", pa.string())]),
}
FIRM = 2.0


class Frozen:
    """One item under a policy: `rows` yields (file, row) for everything that its votes say."""

    def __init__(self, key: str, item: Item, votes: list[Vote], split: str, policy: dict[str, Any]) -> None:
        self.key, self.item, self.policy = key, item, policy
        self.votes = sort_votes(votes, len(item.candidates))
        self.texts = [plain(c.messages) for c in item.candidates]
        self.hashes = [c.hash for c in item.candidates]
        self.common = {"group_id": item.group_id, "item_key": self.key, "form": item.form, "split": split}
        self.prompt = plain(item.prompt)
        self.asked = digest([item.form, [spoken(m) for m in item.prompt], item.tools])[:16]

    def rows(self) -> Iterator[tuple[str, Row]]:
        if self.prompt:
            told = {"id": self.asked, "twin": self.asked, "weight": 1.0, "prompt": self.prompt}
            yield "prompts", {**self.common, **told, "source": str(self.item.origin.get("dialect") or "")}
        thumbs = {at: of_thumb(self.votes[f"thumb {at}"]) for at in range(len(self.texts))}
        thumbs = {at: verdict for at, verdict in thumbs.items() if verdict}
        if len(self.texts) == 2 and (verdict := of_pair(self.votes["pair"])):
            yield from self.of_pair(verdict)
            thumbs = {at: v for at, v in self.implied(verdict).items() if at not in thumbs} | thumbs
        if len(self.texts) > 2 and (verdict := of_ranking(self.votes["rank"])):
            yield from self.of_ranking(verdict)
        for at, verdict in thumbs.items():
            yield "thumbs", self.thumb(at, verdict)
        yield from self.of_single(thumbs)

    def of_pair(self, verdict: Verdict) -> Iterator[tuple[str, Row]]:
        if verdict.choice == "both_bad":
            return
        best = verdict.choice if verdict.choice in (0, 1) else 0
        yield "pairs", self.pair(best, 1 - best, verdict, verdict.n_agree, tie=verdict.choice == "tie")
        if verdict.choice != "tie" and (verdict.strength is None or verdict.strength >= FIRM):
            yield "demonstrations", self.demonstration(best, "winner")

    def of_ranking(self, verdict: Verdict) -> Iterator[tuple[str, Row]]:
        told = {"prompt": self.prompt, "candidates": self.texts, "tiers": verdict.tiers, "n_votes": verdict.n_votes}
        yield "rankings", self.row([self.key], verdict.source, **told)
        pairs = strict_pairs(verdict.tiers)
        for best, worst in pairs:
            agreeing = sum(ranks_above(v, best, worst) for v in ordinary(self.votes["rank"]))
            yield "pairs", self.pair(best, worst, verdict, agreeing, weight=1 / len(pairs))
        if pairs and len(verdict.tiers[0]) == 1:
            yield "demonstrations", self.demonstration(verdict.tiers[0][0], "winner")

    def implied(self, pair: Verdict) -> dict[int, Verdict]:
        """What the verdict on a pair says of each answer alone, as far as the policy wants to hear it."""
        if pair.choice == "both_bad" and self.policy["both_bad_to_thumbs"]:
            return {at: Verdict(pair.n_votes, pair.source, label=False, p=0.0) for at in (0, 1)}
        if pair.choice in (0, 1) and self.policy["pairs_to_thumbs"]:
            share = pair.n_agree / pair.n_votes if pair.n_votes else 1.0
            return {
                at: Verdict(
                    pair.n_votes, pair.source, label=at == pair.choice, p=share if at == pair.choice else 1 - share
                )
                for at in (0, 1)
            }
        return {}

    def of_single(self, thumbs: dict[int, Verdict]) -> Iterator[tuple[str, Row]]:
        """Answers worth imitating: called good, or written as demonstrations and not called bad."""
        if len(self.texts) != 1:
            return
        if 0 in thumbs and thumbs[0].label:
            yield "demonstrations", self.demonstration(0, "thumb")
        elif 0 not in thumbs and self.item.origin.get("dialect") == "demonstrations":
            yield "demonstrations", self.demonstration(0, "demonstration")

    def row(self, names: list[str], source: str, weight: float = 1.0, **columns: Any) -> Row:
        return {**self.common, "id": short(*names), "weight": weight, "source": source, **columns}

    def pair(
        self, best: int, worst: int, verdict: Verdict, agreeing: int, *, tie: bool = False, weight: float = 1.0
    ) -> Row:
        return self.row(
            [self.key, self.hashes[best], self.hashes[worst]],
            verdict.source,
            weight,
            prompt=self.prompt,
            chosen=self.texts[best],
            rejected=self.texts[worst],
            tie=tie,
            strength=verdict.strength,
            p_share=None,
            p_posterior=None,
            n_votes=verdict.n_votes,
            n_agree=agreeing,
        )

    def thumb(self, at: int, verdict: Verdict) -> Row:
        said = {"label": verdict.label, "p": verdict.p, "n_votes": verdict.n_votes}
        names = [self.key, self.hashes[at]]
        return self.row(names, verdict.source, prompt=self.prompt, completion=self.texts[at], **said)

    def demonstration(self, at: int, source: str) -> Row:
        """`twin` names what is said: of two rows that say the same, the file keeps one."""
        told = {"prompt": self.prompt, "completion": self.texts[at], "twin": self.asked + self.hashes[at]}
        return self.row([self.key, self.hashes[at]], source, **told)


def plain(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [{"role": m.role, "content": m.content} for m in messages]


def short(*names: str) -> str:
    """The id of a row: the first 16 hex digits of the SHA-256 over the hashes it is made of."""
    return hashlib.sha256("".join(names).encode()).hexdigest()[:16]
