"""Answers of several models to many prompts."""

from itertools import pairwise

import pytest
import torch

from workbench.errors import EngineError
from workbench.generation import sampler
from workbench.generation.request import Request
from workbench.generation.sampler import Place, answer, batches


def test_together_is_as_one_by_one(said, base):
    prompts = ("Tell me about owls.", "大象吃什么？", "Please work out 6 minus 2.", "Thanks for the ride home!")
    together = said({"m": base}, prompts, temperature=0)
    alone = [said({"m": base}, (prompt,), temperature=0)["m", "0", 0] for prompt in prompts]
    assert [together["m", str(i), 0] for i in range(len(prompts))] == alone


def test_the_seed_fixes_the_answers_whatever_the_batch(said, base, monkeypatch):
    first = said({"m": base}, n=3, temperature=1, seed=1)
    monkeypatch.setattr(sampler, "batches", lambda places, *_: ([p] for p in places))
    assert said({"m": base}, n=3, temperature=1, seed=1) == first
    assert said({"m": base}, n=3, temperature=1, seed=2) != first


def test_adapters_of_one_base_answer_in_one_batch_as_each_alone(said, shelf, base, adapters):
    models = {"base": base} | {name: (path, base) for name, path in adapters.items()}
    together = said(models, temperature=0, max_new_tokens=12)
    assert len(shelf._bases) == 1
    for name, where in models.items():
        alone = said({name: where}, on=sampler.Shelf(), temperature=0, max_new_tokens=12)
        assert {key: text for key, text in together.items() if key[0] == name} == alone
    said_by = {name: [text for key, text in together.items() if key[0] == name] for name in models}
    assert len(set(map(tuple, said_by.values()))) == 3


def test_whole_models_are_loaded_side_by_side(said, shelf, base, other):
    both = said({"a": base, "b": other}, temperature=0, max_new_tokens=8)
    assert len(shelf._bases) == 2
    assert both["a", "0", 0] != both["b", "0", 0]


def test_text_is_gone_on_from_as_it_stands(said, base):
    text = said({"m": base}, ("The capital of Japan is",), form="text", temperature=0)["m", "0", 0]
    assert "<|" not in text
    assert text.startswith(" ")


def test_texts_hold_no_special_tokens(said, base):
    assert not [t for t in said({"m": base}, n=8, temperature=2.0, max_new_tokens=16).values() if "<|im" in t]


def test_few_rows_stream_and_texts_only_grow(shelf, base, monkeypatch):
    monkeypatch.setattr(sampler, "SECONDS_BETWEEN", 0.0)
    prompt = {"id": "p", "messages": [{"role": "user", "content": "什么是望远镜？"}]}
    request = {"id": "r", "models": [{"name": "m", "path": base}], "prompts": [prompt], "sampling": {"temperature": 0}}
    texts = [e["text"] for events in answer(shelf, Request.model_validate(request)) for e in events]
    assert len(texts) > 3
    assert all(b.startswith(a) for a, b in pairwise(texts))
    assert not any("\ufffd" in t for t in texts[:-1])


def test_batches_hold_rows_of_like_length_within_the_budget():
    rows = [Place("", "", 0, None, sampler.Row([0] * n, frozenset(), 0)) for n in (50, 10, 90, 20, 400)]
    lengths = [[len(p.row.prompt) for p in batch] for batch in batches(rows, 200, 10)]
    assert lengths == [[10, 20, 50], [90], [400]]


def test_a_prompt_that_is_too_long_is_named(said, base):
    with pytest.raises(EngineError, match=r"prompt 0 has \d+ tokens; m reads at most 512"):
        said({"m": base}, ("word " * 600,))


def test_answers_end_where_the_model_ends(said, base):
    longest = said({"m": base}, ("a " * 240,), max_new_tokens=4000, temperature=1)
    assert longest  # and no position beyond the last


def test_when_memory_runs_out_the_batch_is_halved(said, base, monkeypatch):
    whole, real = said({"m": base}, n=2), sampler.decode

    def narrow(model, rows, sampling):
        if len(rows) > 3:
            raise torch.OutOfMemoryError
        return real(model, rows, sampling)

    monkeypatch.setattr(sampler, "decode", narrow)
    assert said({"m": base}, n=2) == whole
    monkeypatch.setattr(sampler, "decode", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError()))
    with pytest.raises(EngineError, match="no memory for one answer"):
        said({"m": base})
