"""Packed rows give what separate sequences give, for values and for gradients, in every family we name."""

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from workbench.errors import EngineError
from workbench.training import attention
from workbench.training.data import Line
from workbench.training.policy import Policy

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 3,
}
WINDOW = {"sliding_window": 8}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "vocab_size": 60}
FAMILIES = {
    "Llama": {},
    "Qwen2": {},
    "Qwen2 window": {**WINDOW, "use_sliding_window": True, "max_window_layers": 1},
    "Qwen3": {},
    "Mistral": WINDOW,
    "Gemma": {},
    "Gemma2": WINDOW,
    "Gemma3Text": WINDOW,
    "Phi3": WINDOW,
    "Olmo2": {},
    "SmolLM3": {},
    "Granite": {"logits_scaling": 4.0, "attention_multiplier": 0.2, "residual_multiplier": 0.5},
    "Cohere2": WINDOW,
    "GPT2": GPT2,
    "Starcoder2": {},
    "Glm4": {},
    "Mixtral": {"num_local_experts": 4},
    "Qwen3Moe": EXPERTS,
    "GptOss": {**WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
}


def tiny(family, **more):
    """A model of random weights, large enough that a wrong token would show."""
    name = family.split()[0]
    torch.manual_seed(0)
    given_values = FAMILIES[family] if name == "GPT2" else {**SMALL, **FAMILIES[family], **more}
    model = AutoModelForCausalLM.from_config(getattr(transformers, f"{name}Config")(**given_values))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model


def groups(sizes, seed=0):
    """Lines of prompts of the given lengths, each with answers of the given lengths."""
    rng = np.random.default_rng(seed)
    draw = lambda n: rng.integers(4, 60, n, dtype=np.int32)  # noqa: E731
    return [Line.of(prompt, draw(n)) for length, answers in sizes for prompt in [draw(length)] for n in answers]


THREE = groups([(13, (7, 3)), (5, (1, 9, 4, 2)), (30, (6,))])


def separately(model, line, first=None):
    """Log-probs summed of the tokens from `first` on, of the answer by default, from the model's own logits alone."""
    ids = torch.tensor(np.concatenate([line.prompt, line.answer]), dtype=torch.long)[None]
    logp = model(ids, use_cache=False).logits[0, :-1].float().log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    return logp[(first or len(line.prompt)) - 1 :].sum()


def gradients(model, value):
    model.zero_grad()
    value.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_equals_separate(family):
    policy = Policy(tiny(family), None, "causal", torch.float32)
    weights = torch.randn(len(THREE), generator=torch.manual_seed(1))
    with policy.stock():
        alone = torch.stack([separately(policy.model, line) for line in THREE])
        wanted = gradients(policy.model, alone @ weights)
    policy.lay_out(packed=True)
    totals = policy(THREE).answers.total
    torch.testing.assert_close(totals, alone, atol=1e-4, rtol=0)
    found = gradients(policy.model, totals @ weights)
    assert (found - wanted).norm() <= 1e-5 * wanted.norm()


@pytest.mark.parametrize("family", ["Llama", "Gemma2"])
def test_packed_equals_padded_with_layers_that_run_again(family):
    policy = Policy(tiny(family), None, "causal", torch.float32)
    wanted = gradients(policy.model, policy(THREE).answers.total.sum())
    policy.lay_out(packed=True)
    for layers in (0, 1, 2):
        policy.recompute(layers)
        found = gradients(policy.model, policy(THREE).answers.total.sum())
        assert (found - wanted).norm() <= 1e-5 * wanted.norm()


SIZES = st.lists(
    st.tuples(st.integers(1, 20), st.lists(st.integers(1, 9), min_size=1, max_size=9)), min_size=1, max_size=4
)


@settings(max_examples=25, deadline=None)
@given(SIZES, st.integers(0, 99))
def test_any_groups_are_read_as_alone(mistral, sizes, seed):
    lines = groups(sizes, seed)
    with torch.no_grad():
        mistral.lay_out(packed=True)
        together = mistral(lines).answers.total
        with mistral.stock():
            alone = torch.stack([separately(mistral.model, line) for line in lines])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def mistral():
    return Policy(tiny("Mistral"), None, "causal", torch.float32)


def test_scores_of_many_answers_are_read_from_one_row():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SMALL, num_labels=1)
    policy = Policy(transformers.LlamaForSequenceClassification(config), None, "reward", torch.float32)
    lines = groups([(12, (4, 1, 7, 2))])
    wanted = policy(lines)
    policy.lay_out(packed=True)
    torch.testing.assert_close(policy(lines), wanted, atol=1e-6, rtol=1e-6)


def test_generating_with_packed_attention_is_refused_and_stock_attention_comes_back():
    policy = Policy(tiny("Llama"), None, "causal", torch.float32)
    policy.lay_out(packed=True)
    ids = torch.tensor([[4, 5, 6]])
    with pytest.raises(EngineError, match="given no row"):
        policy.model(ids)
    with policy.stock():
        assert policy.model(ids, use_cache=False).logits.shape == (1, 3, 60)
    assert policy.model.config._attn_implementation == attention.NAME
