"""Tile by tile equals all at once: values, gradients, scale, bias and cap."""

import pytest
import torch
from transformers import Cohere2Config, Gemma2Config, GraniteConfig, LlamaConfig, PhiConfig
from transformers.models.auto import AutoModelForCausalLM

from workbench.training import logps
from workbench.training.logps import Head, chunked_logps, head_of

torch.set_num_threads(1)
S, D, V = 23, 6, 11


def plain(hidden, head, target):
    z = head.scale * (hidden @ head.weight.T)
    z = z if head.bias is None else z + head.bias
    z = head.cap * torch.tanh(z / head.cap) if head.cap else z
    return z.log_softmax(-1).gather(1, target[:, None])[:, 0], z


def case(scale=1.0, bias=False, cap=None, frozen=False):
    torch.manual_seed(0)
    hidden = torch.randn(S, D, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(V, D, dtype=torch.float64, requires_grad=not frozen)
    b = torch.randn(V, dtype=torch.float64, requires_grad=not frozen) if bias else None
    return hidden, Head(weight, b, scale, cap), torch.randint(V, (S,))


@pytest.mark.parametrize("kept", [0, 1 << 20], ids=["recomputed", "kept"])
@pytest.mark.parametrize("frozen", [True, False], ids=["lora", "full"])
@pytest.mark.parametrize("kwargs", [{}, {"scale": 0.4, "bias": True, "cap": 3.0}], ids=["plain", "scaled"])
def test_values_and_gradients_equal_full_logits(kwargs, frozen, kept, monkeypatch):
    monkeypatch.setattr(logps, "CPU_KEPT", kept)
    hidden, head, target = case(**kwargs, frozen=frozen)
    out, (expected, z) = chunked_logps(hidden, head, target, tile=5), plain(hidden, head, target)
    torch.testing.assert_close(out.values, expected)
    torch.testing.assert_close(out.entropy, torch.distributions.Categorical(logits=z).entropy())
    torch.testing.assert_close(out.hits, (z.argmax(-1) == target).double())
    leaves = [x for x in (hidden, head.weight, head.bias) if x is not None and x.requires_grad]
    pull = torch.randn(S, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad((out.values * pull).sum(), leaves),
        torch.autograd.grad((expected * pull).sum(), leaves),
        strict=True,
    ):
        torch.testing.assert_close(ours, theirs)


def test_gradcheck():
    hidden, head, target = case(scale=0.4, bias=True, cap=3.0)
    assert torch.autograd.gradcheck(
        lambda h, w, b: chunked_logps(h, Head(w, b, 0.4, 3.0), target, tile=4).values, (hidden, head.weight, head.bias)
    )


def test_without_gradients_no_slopes_are_computed(monkeypatch):
    hidden, head, target = case(bias=True)
    wanted, slopes, original = chunked_logps(hidden, head, target, tile=5).values, [], logps._slope
    monkeypatch.setattr(logps, "_slope", lambda *args: slopes.append(original(*args)) or slopes[-1])
    with torch.no_grad():
        assert torch.equal(chunked_logps(hidden, head, target, tile=5).values, wanted)
    assert not slopes
    assert chunked_logps(hidden, head, target, tile=5).values.requires_grad
    assert len(slopes) == 5  # 23 tokens, 5 at a time


def test_half_precision_states_are_summed_in_float32():
    hidden, head, target = case()
    low = chunked_logps(hidden.detach().bfloat16(), Head(head.weight.detach().float()), target, tile=5)
    assert low.values.dtype == torch.float32
    torch.testing.assert_close(low.values, plain(hidden, head, target)[0].float(), atol=0.1, rtol=0.05)


def test_nothing_to_score_is_empty():
    hidden, head, _ = case()
    assert chunked_logps(hidden[:0], head, torch.zeros(0, dtype=torch.long)).values.shape == (0,)


SMALL = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "pad_token_id": 0,
}


@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL),
        GraniteConfig(**SMALL, logits_scaling=3.0),
        Cohere2Config(**SMALL, logit_scale=0.25),
        Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=0.05),
        PhiConfig(**SMALL),
    ],
    ids=lambda c: c.model_type,
)
def test_head_gives_the_model_s_own_logits(config):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    if model.get_output_embeddings().bias is not None:
        torch.nn.init.normal_(model.get_output_embeddings().bias)
    ids = torch.randint(1, 40, (1, 9))
    with torch.no_grad():
        logits = model(ids, use_cache=False).logits[0, :-1].log_softmax(-1)
        hidden = model.base_model(ids, use_cache=False).last_hidden_state[0, :-1]
        ours = chunked_logps(hidden, head_of(model), ids[0, 1:])
    torch.testing.assert_close(ours.values, logits.gather(1, ids[0, 1:, None])[:, 0], atol=1e-5, rtol=1e-5)
