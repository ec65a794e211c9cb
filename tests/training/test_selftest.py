"""The start-up test finds out every model that would run packed rows wrongly, and no other."""

import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

from tests.training.test_attention import FAMILIES, SMALL, THREE, separately, tiny
from workbench.errors import ModelError
from workbench.training import logps, policy
from workbench.training.policy import Policy
from workbench.training.selftest import choose_layout, probe

STATEFUL = {
    "Lfm2": {"layer_types": ["conv", "full_attention"]},
    "Mamba2": {"num_heads": 8, "head_dim": 8, "expand": 2, "n_groups": 1, "state_size": 8, "chunk_size": 8},
    "FalconH1": {"mamba_d_ssm": 32, "mamba_n_heads": 4, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 8},
    "Bloom": {"n_layer": 2, "n_head": 4},
}


def stateful(name):
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(getattr(transformers, f"{name}Config")(**{**SMALL, **STATEFUL[name]}))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["Llama", "Qwen3", "Gemma3Text", "Granite"])
def test_good_models_are_packed(family, precision):
    assert family in FAMILIES
    found = Policy(tiny(family), None, "causal", precision)
    assert choose_layout(found) is None
    assert found.packed


@pytest.mark.parametrize("name", STATEFUL)
def test_models_that_carry_state_are_padded_and_right(name):
    found = Policy(stateful(name), None, "causal", torch.float32)
    assert choose_layout(found)
    assert not found.packed
    with torch.no_grad():
        alone = torch.stack([separately(found.model, line) for line in THREE])
        torch.testing.assert_close(found(THREE).answers.total, alone, atol=1e-4, rtol=0)


def test_the_reason_names_the_leak():
    assert "carries state along the row" in choose_layout(Policy(stateful("Lfm2"), None, "causal", torch.float32))


def test_layers_that_lose_the_row_are_padded_with_the_reason():
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(transformers.StableLmConfig(**SMALL))
    found = Policy(model, None, "causal", torch.float32)
    assert "given no row" in choose_layout(found)
    assert not found.packed


def test_a_scale_that_we_do_not_know_makes_the_model_answer_for_itself(monkeypatch):
    monkeypatch.setattr(policy, "head_of", lambda model: logps.Head(model.get_output_embeddings().weight))
    found = Policy(tiny("Granite"), None, "causal", torch.float32)
    assert "its head is not the one we know" in choose_layout(found)
    assert found.own_logits
    alone = torch.stack([separately(found.model, line) for line in THREE])
    torch.testing.assert_close(found(THREE).answers.total, alone, atol=1e-4, rtol=0)


def rewarding(**rest):
    torch.manual_seed(0)
    return transformers.LlamaForSequenceClassification(transformers.LlamaConfig(**SMALL, num_labels=1, **rest))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_reward_model_is_tested_by_its_scores(precision):
    model = rewarding()
    model.score.weight.data *= 100  # scores of any size
    found = Policy(model, None, "reward", precision)
    assert choose_layout(found) is None
    assert found.packed


def test_a_reward_model_that_scores_otherwise_is_refused():
    model = rewarding()
    model.register_forward_hook(lambda module, given, out: type(out)(logits=2 * out.logits))
    with pytest.raises(ModelError, match=r"LlamaForSequenceClassification .* reads single sequences differently"):
        choose_layout(Policy(model, None, "reward", torch.float32))


def test_a_reward_model_without_the_head_we_read_is_refused_with_the_reason():
    model = transformers.BertForSequenceClassification(transformers.BertConfig(**SMALL, num_labels=1))
    with pytest.raises(ModelError, match="no attribute 'score'"):
        choose_layout(Policy(model, None, "reward", torch.float32))


def test_no_probe_is_padding():
    last = [probe(Policy(rewarding(), None, "reward", torch.float32), name)[0] for name in ("", "P", "A")]
    assert all(0 not in line.prompt and 0 not in line.answer for line in last)
