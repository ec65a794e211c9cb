"""The prompts of a snapshot, ready to be answered: which are asked, which are held out, and which are left out.

Leaves out the answers (`rollout`).
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench.errors import EngineError
from workbench.training.cache import replacing
from workbench.training.data import Dropped, Encoded, Ids, Row, check_vocabulary, prompt_ids
from workbench.training.knobs import PPO
from workbench.training.rollout import Asked

MOST_DROPPED = 0.2


@dataclass(frozen=True)
class Prompts:
    train: list[Asked]
    test: list[Asked]
    dropped: Counter[str]


def prompts(
    rows: Sequence[dict[str, Any]], hparams: PPO, tokenizer: Any, *, limit: int, vocabulary: int, out: Path
) -> Prompts:
    """Each distinct prompt once. Those that leave no room for an answer go to out/dropped.jsonl; too many are an error.

    limit, vocabulary   most tokens that every model reads at once, and how many the policy knows
    """
    if (hparams.max_length or limit) > limit:
        raise EngineError(f"max_length = {hparams.max_length}: these models read at most {limit} tokens")
    room = (hparams.max_length or limit) - hparams.max_new_tokens
    if room < 1:
        raise EngineError(f"max_new_tokens = {hparams.max_new_tokens} leaves no room for a prompt in {limit} tokens")
    made: dict[str, dict[bytes, Asked]] = {"train": {}, "test": {}}
    lost = []
    for facts in rows:
        row = Row(str(facts["id"]), facts["form"], facts["prompt"], ())
        try:
            ids = _ids(tokenizer, row, room)
            made[facts["split"]].setdefault(ids.tobytes(), Asked(row, ids))
        except Dropped as reason:
            lost.append({"id": row.id, "reason": reason.args[0], "lengths": [], "split": facts["split"]})
    check_vocabulary((Encoded(one.ids, ()) for split in made.values() for one in split.values()), vocabulary)
    with replacing(out / "dropped.jsonl") as part:
        part.write_text("".join(json.dumps(line) + "\n" for line in lost))
    train = list(made["train"].values())
    faults = sum(line["split"] == "train" for line in lost)
    if not train or ("D06" not in hparams.allow and faults > MOST_DROPPED * (faults + len(train))):
        raise EngineError(
            f"{faults} of {faults + len(train)} prompts cannot be asked, most of them longer than {room} tokens: "
            "lower max_new_tokens, choose a model that reads more, or set allow = D06"
        )
    return Prompts(train, list(made["test"].values()), Counter(line["reason"] for line in lost))


def _ids(tokenizer: Any, row: Row, room: int) -> Ids:
    ids = prompt_ids(tokenizer, row.form, row.prompt) if row.prompt else []
    if not ids:
        raise Dropped("empty_prompt")
    if len(ids) > room:
        raise Dropped("prompt_fills")
    return np.array(ids, dtype=np.int32)
