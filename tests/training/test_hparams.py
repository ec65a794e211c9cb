"""A knob checks its value and says what is acceptable."""

from dataclasses import dataclass

import pytest

from workbench.errors import UsageError
from workbench.training.hparams import RunConfig, hp, knobs, make


@dataclass(frozen=True, kw_only=True)
class Some:
    beta: float = hp(0.1, "pull", low=0.001, high=50.0)
    steps: int = hp(3, "count", low=1)
    mode: str = hp("a", "kind", choices=("a", "b"))
    norm: bool = hp(True, "switch")


def test_knobs_carry_what_a_form_needs():
    beta, steps, mode, norm = knobs(Some)
    assert (beta.name, beta.type, beta.default, beta.help, beta.low, beta.high) == (
        "beta",
        float,
        0.1,
        "pull",
        0.001,
        50,
    )
    assert (steps.range, mode.range, norm.range) == ("at least 1", "one of a, b", "yes or no")


def test_values_take_the_knobs_type():
    assert make(Some, {"beta": "0.5", "steps": 8.0, "norm": "no"}) == Some(beta=0.5, steps=8, norm=False)
    assert make(Some, {}) == Some()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"beta": 0}, "beta = 0: must be 0.001 to 50"),
        ({"beta": float("nan")}, "beta = nan"),
        ({"beta": True}, "beta = True"),
        ({"steps": 2.5}, "steps = 2.5: must be at least 1"),
        ({"mode": "c"}, "mode = 'c': must be one of a, b"),
        ({"norm": 1}, "norm = 1: must be yes or no"),
        ({"bta": 1}, "no hyper-parameter 'bta'; there are: beta, steps, mode, norm"),
    ],
)
def test_a_wrong_value_is_named_with_its_range(values, words):
    with pytest.raises(UsageError, match=words.replace("(", r"\(")):
        make(Some, values)


def test_run_config_refuses_what_it_does_not_know():
    known = {
        "run": 1,
        "project": 1,
        "method": "dpo",
        "hparams": {},
        "model": "m",
        "model_path": "/m",
        "snapshot": "0" * 64,
        "snapshot_path": "/s",
    }
    config = RunConfig(**known)
    assert len(config.code) == 12
    assert config.base_path is None
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    with pytest.raises(ValueError, match="extra"):
        RunConfig(**known, surprise=1)
