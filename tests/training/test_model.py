"""Lines through a model: padding changes nothing, adapters switch off exactly, start adapters are merged."""

import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import FalconConfig, GPT2Config, OPTConfig, Qwen2Config
from transformers.models.auto import AutoModelForCausalLM

from tests.training.test_attention import separately
from workbench.errors import ModelError
from workbench.training.data import Line
from workbench.training.hparams import make
from workbench.training.knobs import DPO, RM
from workbench.training.model import length_limit, load, load_plain, tokenizer_of, with_adapters
from workbench.training.policy import Policy
from workbench.training.rows import deal_padded

LORA, FULL = make(DPO, {"tuning": "lora"}), make(DPO, {"tuning": "full"})
DEEP = {"vocab_size": 60, "num_hidden_layers": 2, "num_attention_heads": 4}


def lines(n=5, vocabulary=50, seed=0, whole=False):
    rng = np.random.default_rng(seed)
    draw = lambda low, high: rng.integers(4, vocabulary, rng.integers(low, high), dtype=np.int32)  # noqa: E731
    return [Line.of(draw(1, 9), draw(1, 12), whole=whole) for _ in range(n)]


@pytest.mark.parametrize("family", ["llama", "gpt2", "qwen2"])
@pytest.mark.parametrize("whole", [False, True])
def test_padded_lines_equal_separate_sequences(llama, words, family, whole):
    torch.manual_seed(0)
    small = {"vocab_size": 60, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": 3}
    model = {
        "llama": lambda: llama(60),
        "gpt2": lambda: AutoModelForCausalLM.from_config(
            GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=64, **small)
        ),
        "qwen2": lambda: AutoModelForCausalLM.from_config(
            Qwen2Config(
                hidden_size=32,
                intermediate_size=64,
                num_hidden_layers=2,
                num_attention_heads=4,
                num_key_value_heads=2,
                **small,
            )
        ),
    }[family]()
    policy, given = Policy(model, words(), "causal", torch.float32), lines(whole=whole)
    scored = policy(given)
    for i, line in enumerate(given):
        answer, targets = separately(model, line), separately(model, line, line.first)
        torch.testing.assert_close(scored.answers.total[i], answer, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(scored.targets.total[i], targets, atol=1e-5, rtol=1e-5)
    assert scored.answers.tokens.tolist() == [len(line.answer) for line in given]
    assert scored.targets.tokens.tolist() == [line.targets for line in given]
    assert scored[1:3].answers.total.tolist() == scored.answers.total[1:3].tolist()


def test_scores_are_read_at_the_last_token(tiny):
    policy = load(tiny, "reward", make(RM, {"tuning": "full"}))
    given = lines()
    scores = policy(given)
    for i, line in enumerate(given):
        ids = torch.tensor(np.concatenate([line.prompt, line.answer]), dtype=torch.long)[None]
        with policy.stock():
            alone = policy.model(ids, use_cache=False).logits[0, 0]
        torch.testing.assert_close(scores[i], alone, atol=1e-5, rtol=1e-5)
    again = load(tiny, "reward", make(RM, {"tuning": "full"}))
    torch.testing.assert_close(again.model.score.weight, policy.model.score.weight)
    assert policy.model.score.weight.std().item() == pytest.approx(33**-0.5, rel=0.4)


def test_adapters_off_is_the_base_bit_for_bit(tiny):
    policy, plain, given = load(tiny, "causal", LORA), load(tiny, "causal", FULL), lines()
    assert policy.adapted
    for name, parameter in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    with policy.untouched():
        assert torch.equal(policy(given).answers.total, plain(given).answers.total)
    assert not torch.allclose(policy(given).answers.total, plain(given).answers.total)
    trained = [n for n, p in policy.model.named_parameters() if p.requires_grad]
    assert len(trained) == 2 * 7 * 2  # A and B of seven linear layers in two blocks
    assert not any("lm_head" in n or "embed" in n for n in trained)


def test_reward_adapters_train_the_head_whole(tiny):
    policy = load(tiny, "reward", make(RM, {"tuning": "lora"}))
    trained = [n for n, p in policy.model.named_parameters() if p.requires_grad]
    assert [n for n in trained if "score" in n] == ["base_model.model.score.modules_to_save.default.weight"]
    assert not any("lora" in n and "score" in n for n in trained)
    policy(lines()).sum().backward()


def adapted(tiny, folder):
    """The tiny model with an adapter that changes what it says, saved in a folder."""
    made = load(tiny, "causal", LORA)
    for name, parameter in made.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    made.model.save_pretrained(folder)
    return made


def test_a_start_adapter_is_merged_first(tiny, tmp_path):
    first, given = adapted(tiny, tmp_path), lines()
    first.tokenizer.save_pretrained(tmp_path)
    second = load(tmp_path, "causal", LORA)
    with second.untouched():
        torch.testing.assert_close(second(given).answers.total, first(given).answers.total, atol=1e-4, rtol=1e-5)
    config = json.loads((tmp_path / "adapter_config.json").read_text()) | {"base_model_name_or_path": "/nowhere"}
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="belongs to /nowhere, which is not here"):
        load(tmp_path, "causal", LORA)
    moved = load(tmp_path, "causal", LORA, tiny)
    torch.testing.assert_close(moved(given).answers.total, first(given).answers.total, atol=1e-4, rtol=1e-5)


def test_a_reward_model_starts_from_the_layers_of_an_adapter(tiny, tmp_path):
    first, given = adapted(tiny, tmp_path), lines()
    reward = load(tmp_path, "reward", make(RM, {"tuning": "full"}))
    whole = first.model.merge_and_unload().model.state_dict()
    for name, value in reward.model.model.state_dict().items():
        torch.testing.assert_close(value, whole[name])
    reward(given).sum().backward()


def test_a_model_that_is_not_whole_is_refused(tiny, tmp_path):
    weights = load_file(tiny / "model.safetensors")
    name = "model.layers.1.mlp.down_proj.weight"
    less = {k: v for k, v in weights.items() if k != name}
    other = weights | {name: weights[name][:, 1:].contiguous()}
    for folder, stored in (("less", less), ("other", other)):
        save_file(stored, shutil.copytree(tiny, tmp_path / folder) / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=f"less is not whole: {name} is missing"):
        load(tmp_path / "less", "causal", FULL)
    with pytest.raises(ModelError, match=f"{name} has another size than config.json says"):
        load(tmp_path / "other", "reward", make(RM, {"tuning": "full"}))


def test_a_start_adapter_can_be_trained_whole(tiny, tmp_path):
    first = load(tiny, "causal", LORA)
    first.model.save_pretrained(tmp_path)
    first.tokenizer.save_pretrained(tmp_path)
    assert all(p.requires_grad for p in load(tmp_path, "causal", FULL).model.parameters())


def test_an_adapter_without_a_tokenizer_has_that_of_its_base(tiny, tmp_path):
    load(tiny, "causal", LORA).model.save_pretrained(tmp_path)
    assert tokenizer_of(tmp_path).get_vocab() == tokenizer_of(tiny).get_vocab()
    load_plain(tiny, "causal", torch.float32).save_pretrained(tmp_path / "whole")
    with pytest.raises(ModelError, match=f"{tmp_path}/whole has no tokenizer"):
        tokenizer_of(tmp_path / "whole")


def test_an_adapter_of_another_vocabulary_is_refused(tiny, tmp_path):
    wide = load_plain(tiny, "causal", torch.float32)
    wide.resize_token_embeddings(wide.config.vocab_size + 8)
    adapted = with_adapters(wide, "causal", LORA)
    adapted.save_pretrained(tmp_path, save_embedding_layers=True)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == str(tiny)
    with pytest.raises(ModelError, match=f"{tmp_path} does not fit its base {tiny}"):
        load(tmp_path, "causal", LORA)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU can hold 4 bits")
def test_four_bits_without_a_gpu_are_refused_with_the_way_out(tiny):
    with pytest.raises(ModelError, match="needs an NVIDIA GPU: choose lora"):
        load(tiny, "causal", make(DPO, {"tuning": "qlora"}))


def test_a_broken_folder_is_named(tmp_path):
    with pytest.raises(ModelError, match=str(tmp_path)):
        load_plain(tmp_path, "causal", torch.float32)


def test_the_model_s_limit(tiny):
    assert length_limit(load(tiny, "causal", FULL)) == 128


@pytest.mark.parametrize(
    "config",
    [
        OPTConfig(hidden_size=32, ffn_dim=64, word_embed_proj_dim=32, dropout=0.1, **DEEP),
        FalconConfig(hidden_size=32, hidden_dropout=0.1, **DEEP),
        GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=60, n_positions=64),
    ],
    ids=lambda config: config.model_type,
)
def test_no_dropout_ever(config, words, tmp_path):
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    words().save_pretrained(tmp_path)
    policy, given = load(tmp_path, "causal", FULL), lines()
    wanted = policy(given).answers.total
    policy.recompute(1)
    assert torch.equal(policy(given).answers.total, wanted)
    assert torch.equal(policy(given).answers.total, wanted)


@pytest.mark.parametrize("budget", [1, 30, 60, 10_000])
def test_padded_parts_hold_every_group_once_within_the_budget(budget):
    given = lines(20)
    groups = [given[i : i + 2] for i in range(0, 20, 2)]
    parts = deal_padded(groups, budget)
    assert sorted(i for part in parts for i in part) == list(range(10))
    for part in parts:
        padded = 2 * len(part) * max(len(line) for i in part for line in groups[i])
        assert padded <= budget or len(part) == 1
    assert (len(parts) == 1) == (budget == 10_000)


def test_results_come_back_in_the_order_of_the_lines(tiny):
    policy, given = load(tiny, "causal", FULL), lines(12)
    policy.lay_out(packed=False)
    policy.computed = policy.padding = 0
    whole = policy(given)
    policy.budget = 32
    torch.testing.assert_close(policy(given).answers.total, whole.answers.total, atol=1e-5, rtol=1e-5)
    assert policy.computed - policy.padding == 2 * sum(map(len, given))
    assert policy.padding > 0


@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_scores_in_mixed_precision_are_as_fine_as_in_float32(tiny, tuning):
    """Between 8 and 16 bfloat16 has steps of 1/16."""
    policy = load(tiny, "reward", make(RM, {"tuning": tuning}))
    policy.precision = torch.bfloat16
    weight = policy.score.weight
    with torch.no_grad():
        weight *= 10.01 / policy(lines(1))
    for made in (policy(lines(9)), policy.values(lines(1))[0]):
        assert made.dtype == torch.float32
        assert (made != made.bfloat16()).all()
    policy(lines(9)).sum().backward()
    assert weight.grad is not None


def test_the_head_of_a_narrow_base_is_trained_in_float32(tiny, monkeypatch):
    monkeypatch.setattr("workbench.training.model._precision", lambda *_: torch.bfloat16)
    policy = load(tiny, "reward", make(RM, {"tuning": "lora"}))
    assert policy.model.dtype == policy.plain().model.embed_tokens.weight.dtype == torch.bfloat16
    assert policy.score.weight.requires_grad
    assert policy.score.weight.dtype == torch.float32


def test_bfloat16_is_refused_where_there_is_none(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="precision = bf16 needs a GPU"):
        load(tiny, "causal", make(DPO, {"precision": "bf16"}))
    assert load(tiny, "causal", make(DPO, {"precision": "auto"})).precision == torch.float32


@pytest.mark.parametrize("hparams", [FULL, LORA], ids=["full", "lora"])
def test_mixed_precision_stays_near_float32(tiny, hparams):
    exact, given = load(tiny, "causal", hparams), lines(12)
    low = load_plain(tiny, "causal", torch.float32 if hparams.tuning == "full" else torch.bfloat16)
    mixed = Policy(
        low if hparams.tuning == "full" else with_adapters(low, "causal", hparams),
        exact.tokenizer,
        "causal",
        torch.bfloat16,
    )
    scored = mixed(given)
    assert scored.answers.total.dtype == torch.float32
    per_token = (scored.answers.mean - exact(given).answers.mean).abs()
    assert per_token.mean() < 2e-2
    scored.answers.total.sum().backward()
    assert {p.grad.dtype for p in mixed.parameters() if p.grad is not None} == {torch.float32}
