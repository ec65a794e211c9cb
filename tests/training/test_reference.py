"""The reference is measured once for each model and each answer, whatever method, seed or rank asks for it."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from workbench.training.cache import LogpCache
from workbench.training.data import Line, stops
from workbench.training.hparams import make
from workbench.training.methods import METHODS
from workbench.training.model import load
from workbench.training.reference import answer_logps, reference_cache, row_hash, with_reference
from workbench.training.units import Unit, prepare


@pytest.fixture
def measured(tiny, rows, tmp_path):
    """measured("dpo", n=20): units with their reference, and how often the model was asked."""

    def run(method, *, n=20, model=tiny, root=tmp_path / "cache", **values):
        hparams = make(METHODS[method].hparams, {"tuning": "full", "units_per_step": 2, **values})
        policy, asked = load(model, "causal", hparams), []
        table = rows(n)[METHODS[method].data]
        data = prepare(method, hparams, table, policy.tokenizer, stops(policy.tokenizer), limit=128, out=tmp_path)
        policy.register_forward_hook(lambda _, given, made: asked.extend(given[0]))
        return with_reference(policy, data.train, reference_cache(root, model, policy)), len(asked)

    return run


def test_a_second_run_asks_nothing(measured):
    first, asked = measured("dpo")
    assert asked == 2 * len(first)
    again, asked = measured("dpo", seed=3, beta=0.5)
    assert asked == 0
    assert [u.ref for u in again] == [u.ref for u in first]


def test_ranks_and_methods_share_and_new_labels_are_added(measured):
    _, asked = measured("dpo", tuning="lora", n=10)
    assert asked == 16
    assert measured("dpo", tuning="lora", lora_r=2, n=10)[1] == 0
    assert measured("dpo", tuning="full", n=10)[1] == 0
    assert measured("dpo", n=16)[1] == 12
    units, asked = measured("kto", n=16)
    assert asked == len({row_hash(u.partner) for u in units})


def test_too_little_memory_cuts_the_pass_into_shorter_rows(tiny):
    policy = load(tiny, "causal", make(METHODS["dpo"].hparams, {"tuning": "full"}))
    drawn = np.random.default_rng(0)
    lines = [Line.of(*(drawn.integers(4, 40, n, dtype=np.int32) for n in (5, 20))) for _ in range(16)]
    wanted = answer_logps(policy, lines).total
    policy.budget, sizes = 100, []

    def only_short_ones(_, given):
        sizes.append(sum(map(len, given[0])))
        if sizes[-1] > 150:
            raise torch.OutOfMemoryError("no room")

    policy.register_forward_pre_hook(only_short_ones)
    torch.testing.assert_close(answer_logps(policy, lines).total, wanted, atol=1e-4, rtol=1e-5)
    assert max(sizes) > 150 >= sizes[-1]
    policy.register_forward_pre_hook(lambda *_: only_short_ones(None, [lines * 9]))
    with pytest.raises(torch.OutOfMemoryError):
        answer_logps(policy, lines)


def test_what_is_kept_is_what_would_be_computed(measured, tiny, tmp_path):
    kept, _ = measured("kto")
    kept, asked = measured("kto")
    assert asked == 0
    policy = load(tiny, "causal", make(METHODS["kto"].hparams, {"tuning": "full"}))
    live = with_reference(policy, [replace(u, ref=(), partner_ref=0.0) for u in kept])
    torch.testing.assert_close([u.ref for u in kept], [u.ref for u in live], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close([u.partner_ref for u in kept], [u.partner_ref for u in live], atol=1e-5, rtol=1e-5)


def test_a_changed_weight_is_another_model(measured, tiny, tmp_path):
    model = shutil.copytree(tiny, tmp_path / "model")
    assert measured("dpo", model=model)[1] > 0
    assert measured("dpo", model=model)[1] == 0
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    assert measured("dpo", model=model)[1] > 0


def test_the_way_of_computing_is_in_the_name(tiny, tmp_path):
    policy = load(tiny, "causal", make(METHODS["dpo"].hparams, {"tuning": "full"}))
    names = {reference_cache(tmp_path, tiny, policy).folder.name}
    policy.precision = torch.bfloat16
    names.add(reference_cache(tmp_path, tiny, policy).folder.name)
    policy.plain().config.final_logit_softcapping = 30.0
    names.add(reference_cache(tmp_path, tiny, policy).folder.name)
    assert len(names) == 3


def test_a_damaged_file_is_computed_again(measured, tmp_path):
    measured("dpo")
    [part] = (tmp_path / "cache").glob("*/part-*.parquet")
    part.write_bytes(b"PAR1 nonsense")
    units, asked = measured("dpo")
    assert asked == 2 * len(units)
    assert measured("dpo")[1] == 0


def test_what_is_not_a_number_is_not_kept(tiny, tmp_path):
    policy = load(tiny, "causal", make(METHODS["dpo"].hparams, {"tuning": "full"}))
    with torch.no_grad():
        policy.plain().model.norm.weight.fill_(torch.nan)
    line = Line.of(np.array([4, 5], dtype=np.int32), np.array([6], dtype=np.int32))
    assert torch.isnan(answer_logps(policy, [line]).total).all()
    with_reference(policy, [Unit("a", "g", (line,))], LogpCache(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_row_is_named_by_prompt_and_completion():
    def name(prompt, answer):
        return row_hash(Line.of(np.array(prompt, dtype=np.int32), np.array(answer, dtype=np.int32)))

    assert len(name([1, 2], [3])) == 16
    assert len({name([1, 2], [3]), name([1], [2, 3]), name([1, 2], [4]), name([2, 2], [3])}) == 4
    wide = Line.of(np.array([1, 2]), np.array([3]))
    assert row_hash(wide) == name([1, 2], [3])
