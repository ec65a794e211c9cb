"""Policy, reference, value and reward models: one base where adapters allow it, and nobody speaks for another."""

import numpy as np
import pytest
import torch

from tests.training.conftest import WORDS, tiny_llama, word_tokenizer
from workbench.errors import EngineError, ModelError
from workbench.training import checkpoint
from workbench.training.actors import Beside, load_actors, speaking
from workbench.training.data import Line
from workbench.training.hparams import make
from workbench.training.knobs import PPO, RM
from workbench.training.model import load

LORA, FULL = make(PPO, {"tuning": "lora", "lora_r": 4}), make(PPO, {"tuning": "full"})


@pytest.fixture
def lines():
    drawn = np.random.default_rng(0)
    return [Line.of(*(drawn.integers(4, 40, n, dtype=np.int32) for n in (5, 1 + k))) for k in range(6)]


@pytest.fixture
def judge(tiny, tmp_path):
    """The folder of a reward model: an adapter on the tiny model, or a whole one."""

    def made(tuning, name="judge"):
        policy = load(tiny, "reward", make(RM, {"tuning": tuning, "lora_r": 2}))
        with torch.no_grad():
            for parameter in checkpoint.trained(policy.model).values():
                parameter.add_(torch.randn_like(parameter), alpha=0.1)
        policy.model.save_pretrained(tmp_path / name)
        policy.tokenizer.save_pretrained(tmp_path / name)
        return policy, tmp_path / name

    return made


@pytest.mark.parametrize("tuning", ["lora", "full"])
@pytest.mark.parametrize("judged", ["lora", "full"])
def test_everybody_says_what_it_says_alone(tiny, judge, lines, tuning, judged):
    alone, folder = judge(judged)
    hparams = LORA if tuning == "lora" else FULL
    actors = load_actors(tiny, [("a", 1.0, folder)], hparams)
    start = load(tiny, "causal", FULL)
    assert isinstance(actors.judges[0].model, Beside) == (tuning == judged == "lora")
    with torch.no_grad():
        torch.testing.assert_close(actors.scores(lines)[:, 0], alone(lines), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            actors.reference_logps(lines, 0.7), start.tokens(lines, 0.7)[0], atol=1e-5, rtol=1e-5
        )
        assert not actors.value.values(lines).any()


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_only_policy_and_value_learn(tiny, judge, lines, tuning):
    _, folder = judge("lora")
    hparams = LORA if tuning == "lora" else FULL
    actors = load_actors(tiny, [("a", 1.0, folder)], hparams)
    with torch.no_grad():
        scores, reference = actors.scores(lines), actors.reference_logps(lines, 1.0)
    torch.nn.init.normal_(actors.value.score.weight)
    trained = checkpoint.trained(actors)
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-2)
    for _ in range(2):
        actors.policy.tokens(lines, 1.0)[0].sum().backward()
        with speaking(actors.value):
            actors.value.values(lines).sum().backward()
        assert all(p.grad is not None for p in trained.values())
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        assert torch.equal(actors.scores(lines), scores)
        assert torch.equal(actors.reference_logps(lines, 1.0), reference)
        assert not torch.allclose(actors.policy.tokens(lines, 1.0)[0], reference, atol=1e-3)


def test_values_start_from_the_reward_model_or_from_the_policy(tiny, judge, lines):
    alone, folder = judge("lora")
    for start, like in (("rm", alone), ("policy", load(tiny, "reward", FULL))):
        actors = load_actors(
            tiny, [("a", 1.0, folder)], make(PPO, {"tuning": "lora", "lora_r": 2, "value_init": start})
        )
        with torch.no_grad():
            head = torch.nn.init.ones_(actors.value.score.weight)
            like.score.weight.copy_(head)
            with speaking(actors.value):
                mine = actors.value.values(lines)
            torch.testing.assert_close(mine, like.values(lines), atol=1e-4, rtol=1e-4)


def test_a_reward_model_of_other_words_is_refused(tiny, tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.add_tokens(["more"])
    tiny_llama(len(WORDS) + 10).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="reward model a has another tokenizer"):
        load_actors(tiny, [("a", 1.0, tmp_path)], LORA)


def test_a_score_that_is_no_number_names_its_model(tiny, judge, lines):
    _, folder = judge("full")
    actors = load_actors(tiny, [("a", 1.0, folder)], LORA)
    actors.judges[0].model.score.weight.data.fill_(torch.nan)
    with pytest.raises(EngineError, match="reward model a gives a score that is not a number"):
        actors.scores(lines)
