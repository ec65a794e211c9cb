"""Prompts to be answered: each once, those that leave no room counted, too many of them refused."""

import json

import numpy as np
import pytest

from tests.training.conftest import TOPICS, turns
from workbench.errors import EngineError
from workbench.training.data import prompt_ids
from workbench.training.hparams import make
from workbench.training.knobs import PPO
from workbench.training.prompts import prompts

LIMIT = 32


def asked(n: int, *, words: int = 1, split: str = "train") -> list[dict]:
    return [
        {"id": f"{split}{i}", "form": "chat", "prompt": turns(" ".join([TOPICS[i]] * words)), "split": split}
        for i in range(n)
    ]


def made(rows, words, out, vocabulary=1000, **values):
    return prompts(
        rows, make(PPO, {"max_new_tokens": 16} | values), words(), limit=LIMIT, vocabulary=vocabulary, out=out
    )


def test_every_prompt_once_as_the_model_will_see_it(words, tmp_path):
    found = made([*asked(8), *asked(8), *asked(2, split="test")], words, tmp_path)
    assert [one.row.id for one in found.train] == [f"train{i}" for i in range(8)]
    assert [one.row.id for one in found.test] == ["test0", "test1"]
    for one in found.train:
        np.testing.assert_array_equal(one.ids, prompt_ids(words(), "chat", one.row.prompt))
    assert (tmp_path / "dropped.jsonl").read_text() == ""


def test_prompts_without_room_for_an_answer_are_counted(words, tmp_path):
    found = made([*asked(8), *asked(1, words=20)], words, tmp_path)
    assert len(found.train) == 8
    assert found.dropped == {"prompt_fills": 1}
    [line] = map(json.loads, (tmp_path / "dropped.jsonl").read_text().splitlines())
    assert (line["id"], line["reason"]) == ("train0", "prompt_fills")


def test_too_many_of_them_are_refused_unless_allowed(words, tmp_path):
    rows = [*asked(3), *asked(3, words=20)]
    with pytest.raises(EngineError, match="3 of 6 prompts cannot be asked, most of them longer than 16 tokens"):
        made(rows, words, tmp_path)
    assert len(made(rows, words, tmp_path, allow="D06").train) == 3
    with pytest.raises(EngineError, match="0 of 0 prompts"):
        made([], words, tmp_path, allow="D06")


def test_lengths_that_cannot_be_are_refused(words, tmp_path):
    with pytest.raises(EngineError, match="max_new_tokens = 32 leaves no room for a prompt in 32 tokens"):
        made(asked(8), words, tmp_path, max_new_tokens=32)
    with pytest.raises(EngineError, match="max_length = 64: these models read at most 32 tokens"):
        made(asked(8), words, tmp_path, max_length=64)


def test_tokens_that_the_model_does_not_know_are_named(words, tmp_path):
    with pytest.raises(EngineError, match="the model knows 10 tokens"):
        made(asked(8), words, tmp_path, vocabulary=10)
