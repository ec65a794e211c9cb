"""PPO on a tiny model: a goal is reached, an update equals a plain implementation, a killed run goes on alike."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.conftest import turns
from workbench.errors import EngineError
from workbench.jobs.folder import Reporter, write_json
from workbench.training import checkpoint
from workbench.training.actors import Actors, Judge
from workbench.training.data import Row, stops
from workbench.training.experience import Norm, figures
from workbench.training.hparams import make
from workbench.training.knobs import PPO
from workbench.training.model import load
from workbench.training.ppo import Trainer
from workbench.training.rollout import Asked

WANTED = 20
KNOBS = {
    "tuning": "full",
    "learning_rate": 3e-3,
    "schedule": "constant",
    "warmup": 0.0,
    "rollouts": 16,
    "rollout_batch": 32,
    "max_new_tokens": 12,
    "temperature": 1.0,
    "ppo_epochs": 2,
    "score_norm": "none",
    "missing_eos": "none",
    "kl_coef": 0.01,
    "guards": False,
}


class Count(torch.nn.Module):
    """Stands for a reward model: how often one token was said."""

    computed = padding = 0

    def forward(self, lines):
        return torch.tensor([float((line.answer == WANTED).sum()) for line in lines])


@pytest.fixture
def trainer(tiny, tmp_path):
    def made(*, folder="a", judge=None, **values):
        hparams = make(PPO, KNOBS | values)
        torch.manual_seed(hparams.seed)
        policy, value = load(tiny, "causal", hparams), load(tiny, "reward", hparams)
        torch.nn.init.zeros_(value.score.weight)
        reference = deepcopy(policy).requires_grad_(False)
        drawn = np.random.default_rng(0)
        asked = [
            Asked(Row(str(i), "chat", turns("ask"), ()), drawn.integers(4, 40, 5, dtype=np.int32)) for i in range(16)
        ]
        (tmp_path / folder).mkdir()
        actors = Actors(policy, value, [Judge("count", 1.0, judge or Count())], reference)
        return Trainer(actors, asked[:12], asked[12:], stops(policy.tokenizer), hparams, Reporter(tmp_path / folder))

    return made


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_token_that_is_wanted_is_said(trainer, lines_of, seed):
    made = trainer(seed=seed)
    assert made.run() is None
    first, *_, last = [line for line in lines_of(made.folder / "metrics.jsonl") if "eval_objective/scores" in line]
    assert last["eval_objective/scores"] > first["eval_objective/scores"] + 4


def test_one_update_equals_a_plain_implementation(trainer):
    """The gradients of policy and value model, written out for whole padded batches of one answer each."""
    made = trainer(kl_coef=0.1, ppo_epochs=1)
    made.norm = Norm([0.0], [1.0])
    rollout = made.judged(made.drawn(made.prompts(0), 0))
    made.optimizer.step = made.optimizer.zero_grad = lambda: None
    made.hparams = make(PPO, KNOBS | {"max_grad_norm": 1000.0})
    told = made.learn(rollout)
    ours = [p.grad.clone() for part in made.parts for p in part]
    for parameter in (p for part in made.parts for p in part):
        parameter.grad = None
    policy, value = made.actors.policy, made.actors.value
    total, count = 0.0, sum(len(e.line.answer) for e in rollout.episodes)
    advantages, returns = plain_advantages(made, rollout)
    with policy.stock(), value.stock():
        for i, episode in enumerate(rollout.episodes):
            ids = torch.tensor(np.concatenate([episode.line.prompt, episode.line.answer]), dtype=torch.long)[None]
            start, n = len(episode.line.prompt) - 1, len(episode.line.answer)
            logits = policy.model(ids, use_cache=False).logits[0, start:-1]
            logp = logits.log_softmax(-1).gather(1, ids[0, start + 1 :, None])[:, 0]
            guess = value.model.score(value.model.model(ids, use_cache=False).last_hidden_state)[0, start:-1, 0]
            rho = (logp - logp.detach()).exp()
            total = total - (advantages[i] * rho).sum() / count
            total = total + 0.1 * 0.5 * (guess - returns[i]).square().sum() / count
            torch.testing.assert_close(rollout.old[i, :n], logp.detach(), atol=1e-4, rtol=1e-5)
    total.backward()
    assert told["val/ratio"] == pytest.approx(1.0, abs=1e-4)
    assert told["policy/clipfrac_avg"] == 0.0
    for mine, parameter in zip(ours, (p for part in made.parts for p in part), strict=True):
        torch.testing.assert_close(mine, parameter.grad, atol=1e-5 * float(parameter.grad.abs().max() + 1), rtol=1e-4)


def plain_advantages(made, rollout):
    """Episode by episode, from scores and log-probs: the sums of the paper, then one whitening over all tokens."""
    found, returns = [], []
    for i, episode in enumerate(rollout.episodes):
        n = len(episode.line.answer)
        k, v = (rollout.old - rollout.ref)[i, :n].tolist(), [*rollout.values[i, :n].tolist(), 0.0]
        rewards = [-made.kl_coef * x for x in k]
        rewards[-1] += float((episode.line.answer == WANTED).sum())
        delta = [rewards[t] + v[t + 1] - v[t] for t in range(n)]
        a = [sum(0.95 ** (j - t) * delta[j] for j in range(t, n)) for t in range(n)]
        found.append(a)
        returns.append(torch.tensor([x + y for x, y in zip(a, v, strict=False)]))
    flat = torch.tensor([x for a in found for x in a])
    return [(torch.tensor(a) - flat.mean()) / (flat.var() + 1e-8).sqrt() for a in found], returns


def test_rows_and_mini_batches_change_nothing_but_the_order(trainer):
    whole, cut = trainer(folder="a"), trainer(folder="b")
    cut.actors.policy.budget = 30
    for made in (whole, cut):
        made.norm = Norm([0.0], [1.0])
        made.advance()
    for a, b in zip(*(checkpoint.trained(made.actors).values() for made in (whole, cut)), strict=True):
        torch.testing.assert_close(a, b, atol=2e-4, rtol=1e-3)


def test_resuming_gives_the_same_lines_and_weights(trainer, lines_of):
    knobs = {"rollouts": 4, "adaptive_kl": True, "score_norm": "ref", "num_mini_batches": 2}
    whole = trainer(folder="a", **knobs)
    whole.run()
    broken = trainer(folder="b", **knobs)
    advance = broken.advance

    def killed_in_the_third():
        if broken.step == 2:
            raise KeyboardInterrupt
        return advance()

    broken.advance = killed_in_the_third
    with pytest.raises(KeyboardInterrupt):
        broken.run()
    (broken.folder / "metrics.jsonl").open("a").write('{"step": 3}\n')
    again = trainer(folder="c", **knobs)
    (broken.folder / "metrics.jsonl").rename(again.folder / "metrics.jsonl")
    again.resume(checkpoint.newest(broken.folder / "checkpoints"))
    assert again.run() is None
    shown = [lines_of(m.folder / "metrics.jsonl", timeless=True) for m in (whole, again)]
    assert shown[0] == shown[1]
    for a, b in zip(*(checkpoint.trained(m.actors).values() for m in (whole, again)), strict=True):
        assert torch.equal(a, b)


def test_a_run_ends_when_it_is_too_far_from_the_reference(trainer):
    made = trainer(kl_limit=0.5)
    assert made.run() is None
    assert "passed kl_limit = 0.5" in made.tripped
    assert made.step < made.steps


def test_scores_are_measured_in_units_of_the_reference():
    raw = torch.tensor([[1.0, 10.0], [3.0, 30.0]])
    norm = Norm.of(raw, "ref")
    assert norm.shift == [2.0, 20.0]
    assert norm.scale == pytest.approx([2**0.5, 200**0.5])
    assert norm(raw, [1.0, 1.0]).tolist() == pytest.approx([-(0.5**0.5), 0.5**0.5])
    assert Norm.of(raw, "center")(raw, [1.0, 3.0]).tolist() == pytest.approx([-7.75, 7.75])
    assert Norm.of(raw, "none")(raw, [1.0, 0.0]).tolist() == [1.0, 3.0]


def test_values_that_are_off_by_a_constant_explain_everything(trainer):
    made = trainer()
    made.norm = Norm([0.0], [1.0])
    rollout = made.judged(made.drawn(made.prompts(0), 0))
    for values, explained in ((rollout.returns + 3.0, 1.0), (0 * rollout.returns, 0.0)):
        told = figures(replace(rollout, values=values), made.actors.judges, 0.0)
        assert told["val/explained_var"] == pytest.approx(explained, abs=1e-5)


def test_every_prompt_is_asked_equally_often(trainer):
    made = trainer(rollout_batch=8)
    asked = [one.row.id for step in range(3) for one in made.prompts(step)]
    assert sorted(asked) == sorted([one.row.id for one in made.train] * 2)


def test_a_reward_model_without_an_opinion_is_refused(trainer):
    class Same(Count):
        def forward(self, lines):
            return torch.zeros(len(lines)) + 1e-6 * torch.arange(len(lines))

    with pytest.raises(EngineError, match="reward model count gives every answer the same score"):
        trainer(judge=Same()).run()


def test_without_held_out_prompts_there_are_answers_to_read(trainer, lines_of):
    made = trainer(rollouts=1)
    made.test = []
    made.run()
    assert "eval_objective/scores" not in lines_of(made.folder / "metrics.jsonl")[0]
    assert {line["step"] for line in lines_of(made.folder / "samples.jsonl")} == {0, 1}


def test_a_wish_to_stop_is_heard_before_a_rollout_is_learnt_from(trainer):
    made = trainer(rollouts=3)
    drawn = made.drawn
    before = [p.clone() for p in checkpoint.trained(made.actors).values()]

    def asked_meanwhile(*given, **named):
        write_json(made.folder / "control.json", {"action": "save_and_stop", "since": 0.0})
        return drawn(*given, **named)

    made.norm, made.drawn = Norm([0.0], [1.0]), asked_meanwhile
    assert made.run() == "save_and_stop"
    assert made.step == 0
    assert all(torch.equal(a, b) for a, b in zip(before, checkpoint.trained(made.actors).values(), strict=True))
