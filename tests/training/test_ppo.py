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
from workbench.training.data import Line, Row, stops
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
    def made(*, folder="a", judge=None, before=None, **values):
        hparams = make(PPO, KNOBS | values)
        torch.manual_seed(hparams.seed)
        policy, value = load(tiny, "causal", hparams), load(tiny, "reward", hparams)
        torch.nn.init.zeros_(value.score.weight)
        if before:
            before(policy)
        reference = None if policy.adapted else deepcopy(policy).requires_grad_(False)
        drawn = np.random.default_rng(0)
        asked = [
            Asked(Row(str(i), "chat", turns("ask"), ()), drawn.integers(4, 40, 5, dtype=np.int32)) for i in range(16)
        ]
        (tmp_path / folder).mkdir()
        actors = Actors(policy, value, [Judge("count", 1.0, judge or Count())], reference)
        return Trainer(actors, asked[:12], asked[12:], stops(policy.tokenizer), hparams, Reporter(tmp_path / folder))

    return made


def rolled(made):
    """Its first rollout, judged; scores are raw."""
    made.norm = Norm([0.0], [1.0])
    return made.judged(made.drawn(made.prompts(0), 0, made.hparams.samples_per_prompt))


def learnt(made, batch):
    """What `learn` tells of a mini-batch, and the gradients of policy and value model, which stay as they are."""
    made.optimizer.step = made.optimizer.zero_grad = lambda: None
    told = made.learn(batch)
    found = [[p.grad.clone() for p in part] for part in made.parts]
    for parameter in (p for part in made.parts for p in part):
        parameter.grad = None
    return told, found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_token_that_is_wanted_is_said(trainer, lines_of, seed):
    made = trainer(seed=seed)
    assert made.run() is None
    first, *_, last = [line for line in lines_of(made.folder / "metrics.jsonl") if "eval_objective/scores" in line]
    assert last["eval_objective/scores"] > first["eval_objective/scores"] + 4


PAYS = {10: 0.0, 20: 0.5, 30: -0.3}
BANDIT = {"max_new_tokens": 1, "kl_coef": 0.5, "learning_rate": 1e-3, "samples_per_prompt": 64, "rollout_batch": 64}
BANDIT |= {"schedule": "cosine", "ppo_epochs": 1}


class Pays(torch.nn.Module):
    """Stands for a reward model: each of three answers of one token has its price."""

    computed = padding = 0

    def forward(self, lines):
        return torch.tensor([PAYS[int(line.answer[0])] for line in lines])


def three_tokens(policy):
    """Let a policy say nothing but what pays."""
    head = policy.plain().get_output_embeddings()
    bias = torch.full((len(head.weight),), -1e4)
    bias[list(PAYS)] = 0.0
    head.bias = torch.nn.Parameter(bias, requires_grad=False)


def chances(policy, asked):
    lines = [Line.of(asked.ids, np.array([token], np.int32)) for token in PAYS]
    return policy.tokens(lines, 1.0)[0][:, 0].exp().detach()


@pytest.mark.parametrize(
    ("seed", "knobs"),
    [
        (0, {"rollouts": 60, "whiten_advantages": False}),
        *[pytest.param(seed, {"rollouts": 300}, marks=pytest.mark.slow) for seed in (0, 1, 2)],
    ],
)
def test_a_bandit_reaches_its_known_optimum(trainer, seed, knobs):
    """Of all policies, pi_ref * exp(r / kl_coef) / Z has the most reward less kl_coef * KL(pi, pi_ref)."""
    made = trainer(judge=Pays(), before=three_tokens, seed=seed, **BANDIT | knobs)
    made.train, made.test = made.train[:1], []
    assert made.run() is None
    best = chances(made.actors.reference, made.train[0]) * (torch.tensor(list(PAYS.values())) / 0.5).exp()
    assert best.sum() > 0.9  # what else could be said has no chance
    torch.testing.assert_close(chances(made.actors.policy, made.train[0]), best / best.sum(), atol=0.03, rtol=0)


def test_one_update_equals_a_plain_implementation(trainer):
    """The gradients of policy and value model, written out for whole padded batches of one answer each."""
    made = trainer(kl_coef=0.1, ppo_epochs=1)
    rollout = rolled(made)
    made.hparams = make(PPO, KNOBS | {"max_grad_norm": 1000.0})
    told, found = learnt(made, rollout)
    ours = [gradient for part in found for gradient in part]
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


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("tuning", ["full", "lora"])
def test_the_first_mini_batch_starts_at_ratio_one(trainer, tuning, packed):
    """In whatever rows its tokens go through: in others than those that gave `old`."""
    made = trainer(tuning=tuning, before=shaken, num_mini_batches=3, temperature=0.7)
    policy = made.actors.policy
    policy.lay_out(packed=packed)
    rollout, policy.budget = rolled(made), 60
    batch = rollout[next(made.mini_batches(len(rollout.episodes), 0))]
    parts = policy.deal([(e.line,) for e in batch.episodes])
    assert len(parts) > 1
    for part in parts:
        new = policy.tokens([e.line for e in batch[part].episodes], 0.7)[0]
        moved = (new - batch[part].old[:, : new.shape[1]])[batch[part].mask[:, : new.shape[1]]]
        assert new.requires_grad
        assert (moved.exp() - 1).abs().max() <= 1e-4


def shaken(policy):
    """Adapters that say something."""
    for name, weight in policy.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)


def test_what_stands_beyond_an_answer_changes_nothing(trainer):
    made = trainer()
    clean = rolled(made)
    assert not clean.mask.all()
    names = ("old", "ref", "values", "advantages", "returns")
    dirty = replace(clean, **{name: torch.where(clean.mask, getattr(clean, name), 1e9) for name in names})
    assert figures(clean, made.actors.judges, 0.1) == figures(dirty, made.actors.judges, 0.1)
    (told, gradients), (also_told, also) = learnt(made, clean), learnt(made, dirty)
    assert told == also_told
    assert all(torch.equal(x, y) for a, b in zip(gradients, also, strict=True) for x, y in zip(a, b, strict=True))


def test_tokens_that_moved_too_far_teach_the_policy_nothing(trainer):
    made = trainer()
    rollout = rolled(made)
    far = replace(rollout, old=rollout.old - 1, advantages=torch.ones_like(rollout.advantages))  # rho = e > 1.2
    told, (policy, value) = learnt(made, far)
    assert told["policy/clipfrac_avg"] == 1.0
    assert not any(gradient.any() for gradient in policy)
    assert any(gradient.any() for gradient in value)


def test_rows_change_no_gradient(trainer):
    """Float32 adds up in another order: up to 6e-7 of a gradient here, so 1e-5 leaves room for other machines."""
    made, found = trainer(), []
    torch.nn.init.normal_(made.actors.value.score.weight)
    rollout = rolled(made)
    for budget, rows in ((1, len(rollout.episodes)), (10**6, 1)):
        made.actors.policy.budget = budget
        assert len(made.actors.policy.deal([(e.line,) for e in rollout.episodes])) == rows
        found.append([gradient for part in learnt(made, rollout)[1] for gradient in part])
    for alone, together in zip(*found, strict=True):
        assert (alone - together).norm() <= 1e-5 * together.norm()


def test_samples_of_one_prompt_compute_it_once(trainer):
    made = trainer(samples_per_prompt=8)
    policy, read = made.actors.policy, []
    policy.budget, episodes = 1000, rolled(made).episodes
    count = lambda _, __, given: read.append(given["input_ids"].numel())  # noqa: E731
    policy.model.model.register_forward_pre_hook(count, with_kwargs=True)
    made.judged(episodes)
    prompts = {e.line.prompt.tobytes(): len(e.line.prompt) for e in episodes}
    answers = {(e.line.prompt.tobytes(), e.line.answer.tobytes()): len(e.line.answer) for e in episodes}
    assert (len(episodes), len(prompts)) == (32, 4)
    assert sum(read) == sum(prompts.values()) + sum(answers.values())


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


def test_values_that_are_off_by_a_constant_explain_everything(trainer):
    made = trainer()
    rollout = rolled(made)
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
