"""The rows of a snapshot that one item gives, and their columns. Leaves out which votes count and where rows are kept.

Messages here are `{role, content}` only: items whose messages call tools are left out by `snapshots`.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

import pyarrow as pa

from workbench.schema import WRITE, Item, Message, digest, messages_from_json, spoken
from workbench.store.soft_labels import Trust
from workbench.store.verdicts import (
    ADJUDICATION,
    Verdict,
    Vote,
    not_above,
    not_best,
    of_pair,
    of_ranking,
    of_thumb,
    ordinary,
    ranks_above,
    ranks_level,
    sort_votes,
    source_of,
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
    """One item under a policy: `rows` yields (file, row) for everything that its votes say.

    trust   where agreement is known well enough to say how sure a label is, else None
    """

    def __init__(
        self, key: str, item: Item, votes: list[Vote], split: str, policy: dict[str, Any], trust: Trust | None = None
    ) -> None:
        self.key, self.item, self.policy, self.trust = key, item, policy, trust
        self.votes = sort_votes(votes, len(item.candidates))
        self.texts = [plain(c.messages) for c in item.candidates]
        self.whole = of_pair(self.votes["pair"]) if len(self.texts) == 2 else of_ranking(self.votes["rank"])
        self.hashes = [c.hash for c in item.candidates]
        self.common = {"group_id": item.group_id, "item_key": self.key, "form": item.form, "split": split}
        self.prompt = plain(item.prompt)
        self.asked = digest([item.form, [spoken(m) for m in item.prompt], item.tools])[:16]

    def rows(self) -> Iterator[tuple[str, Row]]:
        if self.prompt:
            told = {"id": self.asked, "twin": self.asked, "weight": 1.0, "prompt": self.prompt}
            yield "prompts", {**self.common, **told, "source": str(self.item.origin.get("dialect") or "")}
        thumbs = {at: of_thumb(self.votes[f"thumb {at}"]) for at in range(len(self.texts))}
        thumbs = {at: verdict for at, verdict in thumbs.items() if verdict and self.agreed(verdict)}
        if self.whole and len(self.texts) == 2 and self.agreed(self.whole):
            yield from self.of_pair(self.whole)
            thumbs = self.implied(self.whole) | thumbs
        if self.whole and len(self.texts) > 2:
            yield from self.of_ranking(self.whole)
            thumbs = (self.implied(self.whole) if self.agreed(self.whole) else {}) | thumbs
        for at, verdict in thumbs.items():
            yield "thumbs", self.thumb(at, verdict)
        yield from self.of_single(thumbs)
        if self.policy["edits"]:
            yield from self.of_edits()

    def agreed(self, verdict: Verdict, agreeing: int | None = None) -> bool:
        """Whether as many of its votes agree as the policy asks for; a lead's word needs no votes."""
        agreeing = verdict.n_agree if agreeing is None else agreeing
        return verdict.source == ADJUDICATION or agreeing + 1e-9 >= self.policy["min_agreement"] * verdict.n_votes

    def firm(self, verdict: Verdict) -> bool:
        """Whether the difference is as strong as the policy asks for; where nobody said how strong, it is."""
        least = self.policy["min_strength"]
        return not least or (verdict.choice != "tie" and (verdict.strength is None or verdict.strength >= least))

    def of_pair(self, verdict: Verdict) -> Iterator[tuple[str, Row]]:
        if verdict.choice == "both_bad" or not self.firm(verdict):
            return
        best, votes = verdict.choice, ordinary(self.votes["pair"])
        if best == "tie":
            yield "pairs", self.pair(0, 1, verdict, tie=True, soft=self.soft_tie(verdict, votes))
            return
        said = {side: [v for v in votes if v["payload"]["choice"] == side] for side in (best, 1 - best, "tie")}
        soft = self.soft(verdict, said[best], said[1 - best], said["tie"])
        yield "pairs", self.pair(best, 1 - best, verdict, soft=soft)
        if verdict.strength is None or verdict.strength >= FIRM:
            yield "demonstrations", self.demonstration(best, "winner")

    def of_ranking(self, verdict: Verdict) -> Iterator[tuple[str, Row]]:
        """Nothing where no answer is acceptable. The whole ranking stays if its pairs agree well enough on average."""
        votes, found = ordinary(self.votes["rank"]), []
        for best, worst in strict_pairs(verdict.tiers, self.policy["rankings"]):
            for_it, against = ([v for v in votes if ranks_above(v, *pair)] for pair in ((best, worst), (worst, best)))
            level = [v for v in votes if ranks_level(v, best, worst)]
            found.append((best, worst, len(for_it), self.soft(verdict, for_it, against, level)))
        if not verdict.tiers or (found and not self.agreed(verdict, fmean(n for _, _, n, _ in found))):
            return
        told = {"prompt": self.prompt, "candidates": self.texts, "tiers": verdict.tiers, "n_votes": verdict.n_votes}
        yield "rankings", self.row([self.key], verdict.source, **told)
        kept = [pair for pair in found if self.agreed(verdict, pair[2])]
        for best, worst, agreeing, soft in kept:
            yield "pairs", self.pair(best, worst, replace(verdict, n_agree=agreeing), weight=1 / len(kept), soft=soft)
        if kept and len(verdict.tiers[0]) == 1:
            yield "demonstrations", self.demonstration(verdict.tiers[0][0], "winner")

    def of_edits(self) -> Iterator[tuple[str, Row]]:
        """A better text wins against some of the answers (`beaten`); one written where all are bad is good by itself,
        whatever was said of them later.

        A text that became one of the other answers says nothing new.
        """
        writers: dict[str, dict[int, list[Vote]]] = {}
        written: Counter[str] = Counter()
        texts: dict[str, list[dict[str, str]]] = {}
        for edit in self.votes["edit"]:
            said = messages_from_json(edit["payload"]["messages"])
            name = digest([spoken(m) for m in said])
            if name in self.hashes:
                continue
            texts[name] = plain(said)
            written[name] += edit["purpose"] == WRITE
            for worst in self.beaten(edit):
                writers.setdefault(name, {}).setdefault(worst, []).append(edit)
        for name, beaten in writers.items():
            for worst, edits in beaten.items():
                source = source_of(edits)
                verdict = Verdict(len(ordinary(edits)), source, strength=FIRM, n_agree=len(ordinary(edits)))
                if self.firm(verdict):
                    row = {"names": [self.key, name, self.hashes[worst]], "weight": 1 / len(beaten)}
                    soft = self.soft(verdict, ordinary(edits), [])
                    yield "pairs", self.compared(texts[name], self.texts[worst], verdict, soft=soft, **row)
            told = {"prompt": self.prompt, "completion": texts[name]}
            if n := written[name]:
                yield "thumbs", self.row([self.key, name], WRITE, **told, label=True, p=1.0, n_votes=n)
            source = WRITE if written[name] else "edit"
            yield "demonstrations", self.row([self.key, name], source, **told, twin=self.asked + name)

    def beaten(self, edit: Vote) -> list[int]:
        """The edited answer and what its writer places level with it or below.

        Of a text written where all are bad: every answer, unless the verdict by now prefers one; then those below it.
        """
        if edit["purpose"] == WRITE:
            return (self.whole and not_best(self.whole)) or list(range(len(self.texts)))
        parent = edit["payload"]["candidate"]
        own = [v for v in self.votes["pair"] + self.votes["rank"] if v["annotator"] == edit["annotator"]]
        return [parent, *(not_above(own[-1], parent, len(self.texts)) if own else [])]

    def soft(
        self, verdict: Verdict, wins: list[Vote], losses: list[Vote], ties: Sequence[Vote] = ()
    ) -> dict[str, float | None]:
        both = self.trust.of(verdict, wins, losses, ties) if self.trust else (None, None)
        return dict(zip(("p_share", "p_posterior"), both, strict=True))

    def soft_tie(self, verdict: Verdict, votes: list[Vote]) -> dict[str, float | None]:
        told = self.soft(verdict, votes, [])
        return {name: None if p is None else 0.5 for name, p in told.items()}

    def implied(self, pair: Verdict) -> dict[int, Verdict]:
        """What the verdict on all answers says of each answer alone, as far as the policy wants to hear it."""
        refused = pair.choice == "both_bad" or pair.tiers == []
        if refused and self.policy["both_bad_to_thumbs"]:
            return {at: Verdict(pair.n_votes, pair.source, label=False, p=0.0) for at in range(len(self.texts))}
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

    def pair(self, best: int, worst: int, verdict: Verdict, **rest: Any) -> Row:
        names = [self.key, self.hashes[best], self.hashes[worst]]
        return self.compared(self.texts[best], self.texts[worst], verdict, names=names, **rest)

    def compared(
        self,
        chosen: list[dict[str, str]],
        rejected: list[dict[str, str]],
        verdict: Verdict,
        *,
        names: list[str],
        soft: dict[str, float | None],
        tie: bool = False,
        weight: float = 1.0,
    ) -> Row:
        said = {"strength": verdict.strength, "n_votes": verdict.n_votes, "n_agree": verdict.n_agree, **soft}
        texts = {"prompt": self.prompt, "chosen": chosen, "rejected": rejected}
        return self.row(names, verdict.source, weight, **texts, tie=tie, **said)

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
