"""The arithmetic of memory and FLOPs: numbers worked by hand, and what autograd really keeps of tiny models."""

from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma2Config, LlamaConfig, Qwen2Config, Qwen3Config

from workbench.errors import EngineError
from workbench.training.budget import (
    CPU_KEPT,
    RowPlan,
    attended,
    corrected,
    forward_flops,
    head_bytes,
    layer_bytes,
    plan_rows,
    ratio_of,
    room_of,
    row_bytes,
    shape_of,
    state_bytes,
    step_flops,
    token_bytes,
)

HALF = {
    "model_type": "qwen2",
    "hidden_size": 896,
    "num_hidden_layers": 24,
    "num_attention_heads": 14,
    "num_key_value_heads": 2,
    "intermediate_size": 4864,
    "vocab_size": 151_936,
    "tie_word_embeddings": True,
}
SEVEN = HALF | {
    "hidden_size": 3584,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "intermediate_size": 18_944,
    "vocab_size": 152_064,
    "tie_word_embeddings": False,
}
SMALL = {
    "vocab_size": 500,
    "hidden_size": 128,
    "intermediate_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 32,
}
TINY = [LlamaConfig(**SMALL), Qwen2Config(**SMALL), Qwen3Config(**SMALL), Gemma2Config(**SMALL)]
GPU = {"tuning": "lora", "element": 2, "on_gpu": True}
GB = 10**9


def model_of(config):
    eager = config.model_type == "gemma2"  # caps its scores, so that softmax is written out
    return AutoModelForCausalLM.from_config(config, attn_implementation="eager" if eager else "sdpa").float()


def kept_bytes(model, tokens, precision=None):
    """Bytes of the distinct storages that one forward pass keeps for backward, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept = {}

    def pack(t):
        storage = t.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage  # holding it keeps its address its own
        return t

    ids = torch.randint(0, model.config.vocab_size, (1, tokens))
    mixed = torch.autocast("cpu", precision) if precision else nullcontext()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), mixed:
        model.base_model(input_ids=ids, use_cache=False)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("config", TINY, ids=lambda c: c.model_type)
def test_autograd_keeps_what_the_formula_says(config):
    tokens, shape = 256, shape_of(config.to_dict())
    computed = tokens * token_bytes(shape, 4, longest=tokens)
    assert kept_bytes(model_of(config), tokens) / computed == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("config", TINY, ids=lambda c: c.model_type)
def test_mixed_precision_also_keeps_a_narrow_copy_of_the_matrices(config):
    tokens, shape = 256, shape_of(config.to_dict())
    copies = state_bytes(shape, "full", element=2) - state_bytes(shape, "full", element=4)
    computed = copies + tokens * token_bytes(shape, 2, longest=tokens)
    assert kept_bytes(model_of(config), tokens, torch.bfloat16) / computed == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("config", TINY, ids=lambda c: c.model_type)
def test_a_config_tells_how_many_weights_there_are(config):
    real = sum(p.numel() for p in model_of(config).parameters())
    assert shape_of(config.to_dict()).parameters == pytest.approx(real, rel=0.01)


def test_experts_count_by_those_that_a_token_meets():
    config = SMALL | {"model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    dense, sparse = shape_of(SMALL), shape_of(config)
    assert sparse.mlp == 2 * 512
    assert sparse.linear - dense.linear == 4 * 3 * 128 * 512
    assert sparse.parameters - dense.parameters == 7 * 4 * 3 * 128 * 512


def test_the_text_part_and_older_names_are_read():
    assert shape_of({"text_config": HALF}) == shape_of(HALF)
    gpt2 = shape_of({"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": None, "vocab_size": 99})
    assert (gpt2.width, gpt2.layers, gpt2.queries, gpt2.mlp) == (64, 2, 64, 256)
    assert gpt2.linear == 2 * (4 * 64 * 64 + 2 * 64 * 256)
    with pytest.raises(EngineError, match="hidden_size"):
        shape_of({"num_hidden_layers": 2})


def test_bytes_of_a_token_match_hand_calculation():
    # 2*(4*896 + 2*896 + 2*128 + 4*4864) + 16*896 = 64,512 a layer
    half = shape_of(HALF)
    assert layer_bytes(half, 2) == 64_512
    assert token_bytes(half, 2) == 24 * 64_512 == 1_548_288
    # every layer keeps its input, 2*896, and one lives: 24*1792 + 64,512
    assert token_bytes(half, 2, checkpointed=24) == 107_520
    seven = shape_of(SEVEN)
    assert token_bytes(seven, 2) / 1e6 == pytest.approx(7.1, abs=0.05)
    assert token_bytes(seven, 2, checkpointed=28) / 1e6 == pytest.approx(0.455, abs=0.001)


def test_state_matches_hand_calculation():
    shape = shape_of(SMALL | {"tie_word_embeddings": True})
    matrices = 4 * (2 * 128 * (128 + 64) + 3 * 128 * 512)
    assert shape.linear == matrices
    assert shape.parameters == matrices + 500 * 128
    assert state_bytes(shape, "full") == 16 * shape.parameters
    assert state_bytes(shape, "full", element=2) == 16 * shape.parameters + 2 * matrices
    # per rank: q and o 256 each, k and v 192 each, three times 640
    assert state_bytes(shape, "lora", 8) == 4 * shape.parameters + 16 * 8 * 4 * (2 * 256 + 2 * 192 + 3 * 640)
    assert state_bytes(shape, "qlora", 8) < state_bytes(shape, "lora", 8, element=2) < state_bytes(shape, "full")


def test_the_head_of_a_full_run_costs_its_gradient_and_kept_tiles():
    half = shape_of(HALF)
    frozen = head_bytes(half, "lora", on_gpu=False, scored=1000, element=4)
    assert frozen == 2 * 110 * 151_936 * 4 + 2 * 1000 * 896 * 4  # 2^24 / 151,936 = 110.4
    assert head_bytes(half, "full", on_gpu=False, scored=1000, element=4) - frozen == 4 * 151_936 * 896 + CPU_KEPT


def test_attended_pairs_count_a_shared_prompt_once():
    # tri(3 + 2) + tri(4) + 4*3 = 15 + 10 + 12
    assert attended([(3, [2, 4])]) == 37
    assert attended([(3, [2]), (3, [2])]) == 30


@pytest.mark.parametrize(
    ("pair", "half", "seven"),
    [((150, 300), 1.5, 21), ((150, 60), 0.46, 7.4), ((350, 35), 0.67, 11), ((1500, 250), 3.7, 56)],
)
def test_flops_of_one_pair(pair, half, seven):
    prompt, answer = pair
    groups = [(prompt, [answer, answer])]
    for config, wanted in ((HALF, half), (SEVEN, seven)):
        shape = shape_of(config)
        lora = step_flops(shape, "lora", groups)
        assert lora / 1e12 == pytest.approx(wanted, rel=0.03)
        assert 1.4 <= step_flops(shape, "full", groups) / lora <= 1.5


def test_a_reward_model_has_no_head():
    assert forward_flops(shape_of(HALF), [(100, [50, 50])], scores=True).head == 0


def test_a_row_that_fits_is_as_long_as_the_step_or_the_ceiling():
    shape = shape_of(HALF)
    plan = plan_rows(shape, room=200 * GB, longest=500, step_tokens=5000, **GPU)
    assert plan == RowPlan(5000, 0)
    assert plan_rows(shape, room=200 * GB, longest=500, step_tokens=10**6, **GPU).tokens == 32_768
    on_cpu = {"tuning": "full", "element": 4, "on_gpu": False}
    assert plan_rows(shape, room=10**15, longest=500, step_tokens=10**6, **on_cpu).tokens == 1024


@pytest.mark.parametrize("gigabytes", [3, 5, 9, 20])
def test_layers_are_checkpointed_only_as_far_as_needed(gigabytes):
    shape, ask = shape_of(HALF), {"longest": 1000, "step_tokens": 64_000, **GPU}
    plan = plan_rows(shape, room=gigabytes * GB, **ask)
    assert row_bytes(shape, plan, longest=1000, **GPU) <= gigabytes * GB
    assert plan.tokens >= 8192 or plan.checkpointed == shape.layers
    if plan.checkpointed > 2:  # one less would not do
        fewer = RowPlan(8192, plan.checkpointed - 1)
        assert row_bytes(shape, fewer, longest=1000, **GPU) > gigabytes * GB


def test_a_small_step_is_not_cut_by_checkpointing():
    # 8k tokens keep a GPU busy, but a step of 1,000 tokens has no more to give
    shape = shape_of(HALF)
    assert plan_rows(shape, room=4 * GB, longest=500, step_tokens=1000, **GPU) == RowPlan(1000, 0)


def test_what_cannot_fit_is_refused_with_what_would():
    shape, ask = shape_of(HALF), {"room": 2 * GB, "step_tokens": 64_000, **GPU}
    with pytest.raises(EngineError, match=r"has 50000 tokens, at most \d+ fit") as refused:
        plan_rows(shape, longest=50_000, **ask)
    most = int(str(refused.value).split("at most ")[1].split()[0])
    assert plan_rows(shape, longest=most, **ask) == RowPlan(most, 24)
    with pytest.raises(EngineError):
        plan_rows(shape, longest=most + 1, **ask)
    with pytest.raises(EngineError, match="at most 0 fit"):
        plan_rows(shape, longest=10, **ask | {"room": -1})


def test_7b_in_135_gigabytes():
    seven, ask = shape_of(SEVEN), {"step_tokens": 10**6, **GPU}
    room = 135 * GB - state_bytes(seven, "lora", element=2)
    plan = plan_rows(seven, room=room, longest=2000, **ask)
    assert plan.checkpointed == 0
    assert plan.tokens == pytest.approx(16_500, rel=0.02)
    long = plan_rows(seven, room=room, longest=250_000, **ask)
    assert (long.tokens, long.checkpointed > 20) == (250_000, True)


def test_a_measured_row_corrects_the_plan_once_it_is_far_off():
    shape, ask = shape_of(HALF), {"room": 30 * GB, "longest": 1000, "step_tokens": 64_000, **GPU}
    plan = plan_rows(shape, **ask)
    full = row_bytes(shape, plan, longest=1000, **GPU)
    assert ratio_of(full, plan, shape, longest=1000, **GPU) == pytest.approx(1)
    assert corrected(plan, shape, int(1.05 * full), plan.tokens, **ask) is plan
    dearer = corrected(plan, shape, int(1.3 * full), plan.tokens, **ask)
    assert plan.tokens / dearer.tokens == pytest.approx(1.3, rel=0.05)
    assert corrected(plan, shape, int(0.7 * full), plan.tokens, **ask).tokens > plan.tokens
    # a head that took less than computed does not make layers cost nothing
    assert corrected(plan, shape, 0, plan.tokens, **ask).tokens <= 4.2 * plan.tokens


def test_softmax_written_out_costs_by_the_length_of_a_group():
    capped = replace(shape_of(SMALL), softcap=True)
    assert layer_bytes(capped, 2, longest=100) - layer_bytes(capped, 2) == 8 * 4 * 100
    assert layer_bytes(shape_of(SMALL), 2, longest=100) == layer_bytes(shape_of(SMALL), 2)


def test_a_processor_leaves_more_room_to_others():
    assert (room_of(100, on_gpu=True), room_of(100, on_gpu=False)) == (90, 60)
