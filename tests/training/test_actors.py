"""Policy, reference, value and reward models: one base where adapters allow it, and nobody speaks for another."""

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForSequenceClassification

from tests.training.conftest import TOPICS, WORDS, tiny_llama, turns, word_tokenizer
from workbench.errors import EngineError, ModelError
from workbench.training import checkpoint
from workbench.training.actors import Beside, load_actors, speaking
from workbench.training.data import Line, Row, prompt_ids
from workbench.training.hparams import JudgeAt, Place, make
from workbench.training.knobs import PPO, RM
from workbench.training.model import load, load_plain
from workbench.training.policy import Policy
from workbench.training.rollout import Asked, Episode

LORA, FULL = make(PPO, {"tuning": "lora", "lora_r": 4}), make(PPO, {"tuning": "full"})


def at(folder, name="a", weight=1.0):
    return JudgeAt(name=name, path=str(folder), weight=weight)


def place(folder):
    return Place(name="tiny", path=str(folder))


@pytest.fixture
def episodes():
    """Answers of 1 to 6 words, the last of them cut."""
    words, drawn, made = word_tokenizer(), np.random.default_rng(0), []
    for k in range(6):
        row = Row(str(k), "chat", turns(f"tell me about {TOPICS[k]}"), ())
        ids = np.array(prompt_ids(words, "chat", row.prompt), np.int32)
        said = drawn.integers(4, 40, 1 + k, dtype=np.int32)
        line = Line.of(ids, said if k == 5 else np.append(said, np.int32(words.eos_token_id)))
        made.append(Episode(Asked(row, ids), line, k < 5, ()))
    return made


@pytest.fixture
def lines(episodes):
    return [e.line for e in episodes]


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
def test_everybody_says_what_it_says_alone(tiny, judge, lines, episodes, tuning, judged):
    alone, folder = judge(judged)
    hparams = LORA if tuning == "lora" else FULL
    actors = load_actors(place(tiny), [at(folder)], hparams)
    start = load(tiny, "causal", FULL)
    assert isinstance(actors.judges[0].model, Beside) == (tuning == judged == "lora")
    with torch.no_grad():
        torch.testing.assert_close(actors.scores(episodes)[:, 0], alone(lines), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            actors.reference_logps(lines, 0.7), start.tokens(lines, 0.7)[0], atol=1e-5, rtol=1e-5
        )
        assert not actors.value.values(lines).any()


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_only_policy_and_value_learn(tiny, judge, lines, episodes, tuning):
    _, folder = judge("lora")
    hparams = LORA if tuning == "lora" else FULL
    actors = load_actors(place(tiny), [at(folder)], hparams)
    with torch.no_grad():
        scores, reference = actors.scores(episodes), actors.reference_logps(lines, 1.0)
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
        assert torch.equal(actors.scores(episodes), scores)
        assert torch.equal(actors.reference_logps(lines, 1.0), reference)
        assert not torch.allclose(actors.policy.tokens(lines, 1.0)[0], reference, atol=1e-3)


def test_values_start_from_the_reward_model_or_from_the_policy(tiny, judge, lines):
    alone, folder = judge("lora")
    for start, like in (("rm", alone), ("policy", load(tiny, "reward", FULL))):
        actors = load_actors(place(tiny), [at(folder)], make(PPO, {"tuning": "lora", "lora_r": 2, "value_init": start}))
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
        load_actors(place(tiny), [at(tmp_path)], LORA)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_a_reward_model_of_other_words_reads_the_text(tiny, episodes, tmp_path, tuning):
    """Same words under other numbers, and another template: it says what it says of the text alone."""
    tokenizer = word_tokenizer("{% for m in messages %}{{ m['content'] }} {% endfor %}")
    tokenizer.add_tokens(["more"])
    tiny_llama(len(WORDS) + 10).save_pretrained(tmp_path)
    AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=1).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    actors = load_actors(place(tiny), [at(tmp_path)], make(PPO, {"tuning": tuning, "scored_as": "text"}))
    [judge], words = actors.judges, word_tokenizer()
    read = judge.lines(episodes, actors.policy)
    for episode, line in zip(episodes, read, strict=True):
        text = f"{episode.asked.row.prompt[0]['content']} {words.decode(episode.said)}"
        ends = [tokenizer.eos_token_id] if episode.ended else []
        assert [*line.prompt, *line.answer] == [*tokenizer(text, add_special_tokens=False)["input_ids"], *ends]
    with torch.no_grad():
        torch.testing.assert_close(actors.scores(episodes)[:, 0], judge.model(read))
        assert not actors.value.values([e.line for e in episodes]).any()


def test_reward_models_speak_together_each_by_its_weight(tiny, judge, episodes):
    alone = {name: judge("lora", name) for name in ("helpful", "harmless.v2")}
    actors = load_actors(place(tiny), [at(folder, name, 2.0) for name, (_, folder) in alone.items()], LORA)
    with torch.no_grad():
        told = actors.scores(episodes)
        for i, (policy, _) in enumerate(alone.values()):
            torch.testing.assert_close(told[:, i], policy([e.line for e in episodes]), atol=1e-5, rtol=1e-5)
    assert [one.weight for one in actors.judges] == [2.0, 2.0]


def test_another_reference_than_the_start_model(tiny, judge, lines, tmp_path):
    other = tiny_llama(len(word_tokenizer()), seed=9)
    other.save_pretrained(tmp_path / "other")
    word_tokenizer().save_pretrained(tmp_path / "other")
    _, folder = judge("lora")
    for hparams in (LORA, FULL):
        actors = load_actors(place(tiny), [at(folder)], hparams, place(tmp_path / "other"))
        with torch.no_grad():
            alone = load(tmp_path / "other", "causal", FULL).tokens(lines, 1.0)[0]
            torch.testing.assert_close(actors.reference_logps(lines, 1.0), alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_what_learns_belongs_to_the_policy_or_to_the_value_model(tiny, judge, tuning):
    _, folder = judge("lora")
    actors = load_actors(place(tiny), [at(folder)], LORA if tuning == "lora" else FULL)
    policy, value = ({id(p) for p in part} for part in actors.learners())
    assert policy
    assert value
    assert not policy & value
    assert policy | value == {id(p) for p in checkpoint.trained(actors).values()}


def test_a_score_that_is_no_number_names_its_model(tiny, judge, episodes):
    _, folder = judge("full")
    actors = load_actors(place(tiny), [at(folder)], LORA)
    actors.judges[0].model.score.weight.data.fill_(torch.nan)
    with pytest.raises(EngineError, match="reward model a gives a score that is not a number"):
        actors.scores(episodes)


def test_a_reference_of_other_words_is_refused(tiny, judge, tmp_path):
    tokenizer = word_tokenizer()
    tokenizer.add_tokens(["more"])
    tiny_llama(len(WORDS) + 10).save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    _, folder = judge("lora")
    with pytest.raises(ModelError, match="the reference tiny has another tokenizer"):
        load_actors(place(tiny), [at(folder)], LORA, place(tmp_path / "other"))


def test_a_reward_model_that_never_learnt_to_score_is_refused(tiny):
    with pytest.raises(ModelError, match="has no score head with one label"):
        load_actors(place(tiny), [at(tiny)], LORA)


def test_an_adapter_keeps_all_of_its_settings(tiny, tmp_path, episodes, lines):
    """Rank-stabilised LoRA scales by alpha / sqrt(r): an adapter from elsewhere says what it says alone."""
    config = LoraConfig(r=4, lora_alpha=8, use_rslora=True, target_modules="all-linear", task_type="SEQ_CLS")
    model = get_peft_model(load_plain(tiny, "reward", torch.float32), config)
    with torch.no_grad():
        for parameter in checkpoint.trained(model).values():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    model.save_pretrained(tmp_path)
    word_tokenizer().save_pretrained(tmp_path)
    actors = load_actors(place(tiny), [at(tmp_path)], LORA)
    assert isinstance(actors.judges[0].model, Beside)
    alone = Policy(load_plain(tmp_path, "reward", torch.float32), word_tokenizer(), "reward", torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(actors.scores(episodes)[:, 0], alone(lines), atol=1e-5, rtol=1e-5)


def test_a_reward_model_that_is_gone_is_named(tiny, tmp_path):
    with pytest.raises(ModelError, match="reward model a is gone"):
        load_actors(place(tiny), [at(tmp_path / "nowhere")], LORA)
