"""The registry: every entry is complete, its presets pass its own checks, small data get small steps."""

import pytest

from workbench.errors import UsageError
from workbench.training.hparams import knobs, make
from workbench.training.methods import METHODS, kto_weights, preset
from workbench.training.metrics import LIKELY, METRICS, SCORES, meaning


@pytest.mark.parametrize("name", METHODS)
def test_entries_are_complete(name):
    entry = METHODS[name]
    assert entry.name == name
    assert entry.url.startswith("https://arxiv.org/abs/")
    assert all((entry.title, entry.paper, entry.summary))
    assert bool(entry.loss) == (not entry.draws)
    assert set(entry.presets) == {"full", "lora", "tiny"}
    assert all(k.help for k in knobs(entry.hparams))
    choices = {k.name: k.choices for k in knobs(entry.hparams)}
    assert set(entry.variants) == set(choices.get("loss") or ())


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("tuning", [None, "full", "lora", "qlora"])
@pytest.mark.parametrize("parameters", [1_000_000, 500_000_000, 7_000_000_000])
def test_presets_pass_their_own_checks(name, tuning, parameters):
    values = preset(name, tuning=tuning, parameters=parameters, units=60)
    made = make(METHODS[name].hparams, values)
    assert made.tuning == (tuning or made.tuning)
    assert getattr(made, METHODS[name].batch) == {"kto": 16, "ppo": 32}.get(name, 8)


def test_steps_grow_with_the_data_up_to_the_preset():
    sizes = [
        preset("dpo", tuning="lora", parameters=10**9, units=n)["units_per_step"] for n in (0, 200, 400, 1000, 10**6)
    ]
    assert sizes == [8, 8, 16, 32, 64]


def test_published_figures():
    dpo = preset("dpo", tuning="full", parameters=10**9, units=10**6)
    assert dpo == {"learning_rate": 5e-7, "epochs": 1, "warmup": 0.1, "units_per_step": 64, "tuning": "full"}
    assert preset("simpo", tuning=None, parameters=500_000_000, units=1)["tuning"] == "full"
    assert preset("dpo", tuning=None, parameters=500_000_000, units=1)["tuning"] == "lora"
    assert preset("dpo", tuning=None, parameters=1_000_000, units=1)["tuning"] == "full"


def test_four_bits_start_from_the_figures_of_adapters():
    for parameters in (1_000_000, 7_000_000_000):
        lora, qlora = (preset("dpo", tuning=t, parameters=parameters, units=60) for t in ("lora", "qlora"))
        assert qlora == lora | {"tuning": "qlora"}
        assert make(METHODS["dpo"].hparams, qlora).early_stopping == 0


def test_kto_weights_balance_any_counts():
    assert kto_weights(30, 120) == (4, 1)
    assert kto_weights(120, 30) == (1, 3)
    for good in range(1, 501, 7):
        for bad in range(1, 501):
            d, u = kto_weights(good, bad)
            assert 1 - 1e-9 <= d * good / (u * bad) <= 4 / 3 + 1e-9


def test_softened_twice_is_refused():
    with pytest.raises(UsageError, match="set one of them"):
        make(METHODS["dpo"].hparams, {"label_smoothing": 0.1, "targets": "share"})
    with pytest.raises(UsageError, match=r"at most 0\.45"):
        make(METHODS["dpo"].hparams, {"label_smoothing": 0.47, "loss": "robust"})


def test_every_metric_is_explained_in_a_sentence():
    assert all(text.endswith(".") for text in [*METRICS.values(), *SCORES.values(), *LIKELY.values()])
    assert SCORES.keys() | LIKELY.keys() <= METRICS.keys()


def test_a_reward_means_what_its_method_makes_of_it():
    told = {name: meaning("rewards/chosen", METHODS[name]) for name in ("dpo", "rm", "simpo")}
    assert "than under the start model" in told["dpo"]
    assert told["rm"] == "Mean score of chosen answers."
    assert "per token" in told["simpo"]
    assert meaning("loss", METHODS["rm"]) == METRICS["loss"]
