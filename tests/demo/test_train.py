"""The demo model's training, in short: what is learnt from, how fast, and the folder it leaves."""

import random

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.demo import train
from workbench.settings import DEMO


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(DEMO / "model")


def test_the_rate_goes_up_stays_and_comes_down_to_its_last_part():
    assert train.rate(0, 2000) == pytest.approx(1 / 50)
    assert [train.rate(step, 2000) for step in (50, 1000)] == [1, 1]
    assert train.rate(1500, 2000) == pytest.approx((1 + 0.03) / 2)
    assert train.rate(2000, 2000) == pytest.approx(0.03)


def test_only_the_answer_is_learnt_with_its_end(tokenizer):
    ids, labels = next(train.batches(tokenizer, random.Random(0)))
    learnt = labels != -100
    assert torch.equal(ids[learnt], labels[learnt])
    for row, mask in zip(ids, learnt, strict=True):
        prompt, answer = tokenizer.decode(row[: mask.int().argmax()]), tokenizer.decode(row[mask])
        assert prompt.startswith("<|im_start|>user\n")
        assert prompt.endswith("<|im_end|>\n<|im_start|>assistant\n")
        assert answer.endswith("<|im_end|>")
        assert answer.count("<|") == 1


def test_training_reads_what_the_template_renders(tokenizer):
    turns = [{"role": "user", "content": "什么是桥梁？"}]
    rendered = tokenizer.apply_chat_template(turns, add_generation_prompt=True)["input_ids"]
    assert tokenizer.decode(rendered) == "<|im_start|>user\n什么是桥梁？<|im_end|>\n<|im_start|>assistant\n"


def test_the_loss_is_a_sum_over_a_constant(tokenizer):
    # untrained with zero weights every token costs log(vocabulary)
    model = train.build_model(tokenizer)
    for weight in model.parameters():
        weight.data.zero_()
    ids, labels = torch.ones(2, 9, dtype=torch.long), torch.full((2, 9), -100)
    labels[0, 4:7] = labels[1, 6:8] = 1
    expected = 5 * torch.tensor(2048.0).log().item() / (2 * 35)
    assert train.answer_loss(model, ids, labels).item() == pytest.approx(expected, rel=1e-5)


def test_a_few_steps_leave_a_folder_that_loads_the_same_every_time(tmp_path, tokenizer):
    for name in ("a", "b"):
        torch.manual_seed(0)
        model = train.build_model(tokenizer)
        assert model.num_parameters() == 1_049_728
        train.train(model, tokenizer, 2, random.Random(0))
        train.save(model, tokenizer, tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "a", dtype=torch.float32)
    assert loaded.generation_config.eos_token_id == tokenizer.eos_token_id
    assert AutoTokenizer.from_pretrained(tmp_path / "a").chat_template == train.TEMPLATE


def test_chinese_clauses_are_not_one_token(tokenizer):
    ids = tokenizer("感谢您就电池来信垂询。如有疑问，欢迎随时来函。")["input_ids"]
    assert max(len(tokenizer.decode([i])) for i in ids) <= 4
    assert tokenizer.tokenize("12") == ["1", "2"]
