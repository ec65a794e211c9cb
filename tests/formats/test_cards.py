"""Cards: YAML that the Hub accepts, no paths and no life in names, and the weights that KTO needs."""

import pytest
from huggingface_hub import DatasetCard, ModelCard

from workbench.errors import UsageError
from workbench.formats.cards import _agreement, dataset_card, license_id, model_card, size
from workbench.training.methods import kto_weights

FIGURES = {"pairs": 4, "ties": 1, "votes": 8, "twice": 3, "agree": 5, "of": 6, "good": 2, "bad": 6}
FROZEN = {"hash": "ab" * 32, "imports": [], "policy": {"eval_share": 0.1}}
MADE = {
    **{"method": "dpo", "base": "demo-tiny", "tuning": "lora", "snapshot": "ab" * 32, "run": 3, "form": "adapter"},
    **{"hparams": {"beta": 0.1, "learning_rate": 5e-6, "allow": ""}, "metrics": {"eval_loss": 0.6}},
}


def test_a_title_cannot_break_the_card():
    title = 'Quote " : - [x]\n---\nlicense: evil ![](http://a.b/c.png) <script>'
    card = DatasetCard(dataset_card(title, "mit", {"preference": {"train": 4}}, {}, FROZEN, FIGURES, ["en"]))
    data = card.data.to_dict()
    assert (data["license"], data["pretty_name"], data["language"]) == ("mit", title, ["en"])
    assert data["configs"][0]["data_files"] == [{"split": "train", "path": "preference/train-*.parquet"}]
    assert "<script>" not in card.text
    assert "![]" not in card.text
    assert "83.3 % of their votes" in card.text


def test_without_rows_there_are_no_configs():
    assert "configs" not in DatasetCard(dataset_card("x", None, {}, {}, FROZEN, FIGURES, [])).data.to_dict()


@pytest.mark.parametrize(("good", "bad"), [(2, 6), (6, 2), (7, 1), (1, 0)])
def test_the_card_names_the_weights_of_our_trainer(good, bad):
    card = dataset_card("x", None, {}, {}, FROZEN, FIGURES | {"good": good, "bad": bad}, [])
    desirable, undesirable = kto_weights(good, bad)
    told = f"`desirable_weight={desirable:g}`, `undesirable_weight={undesirable:g}`"
    assert (told if good and bad else "KTO needs both kinds") in card


def test_the_card_tells_how_far_annotators_agree_where_it_is_known():
    sure = {"value": 0.75, "low": 0.7, "high": 0.8}
    eps = {"value": 0.1464, "low": 0.1127, "high": 0.1838}
    said = "\n".join(_agreement({"A": sure, "alpha": {"value": 0.5, "low": 0.4, "high": 0.6}, "eps": eps, "n": 500}))
    assert "agree on 75.0 % (70.0 to 80.0) of 500 items; Krippendorff's alpha is 0.50 (0.40 to 0.60)." in said
    assert "So 14.6 % (11.3 to 18.4) of single labels are flipped" in said
    unknown = {"value": None, "why": "needs_50", "n": 3}
    [why] = _agreement({"A": unknown, "alpha": unknown, "eps": unknown, "n": 3})
    assert "are null: they need 50 items" in why
    assert _agreement({}) == []


def test_sizes_and_licences():
    assert [size(n) for n in (0, 999, 1000, 10**7)] == ["n<1K", "n<1K", "1K<n<10K", "n>10M"]
    assert license_id("") is None
    for wrong in ("CC BY", "mit\nx: y", "../x"):
        with pytest.raises(UsageError, match="short id"):
            license_id(wrong)


def test_a_model_card_says_what_was_done():
    card = ModelCard(model_card(MADE | {"base_model": "org/base"}, license="apache-2.0"))
    data = card.data.to_dict()
    assert (data["base_model"], data["base_model_relation"], data["library_name"]) == ("org/base", "adapter", "peft")
    assert data["pipeline_tag"] == "text-generation"
    for words in ("Rafailov", "abababababab", "| `beta` | 0.1 |", "| `eval_loss` | 0.6 |", "`apache-2.0`."):
        assert words in card.text
    assert "allow" not in card.text


def test_the_card_of_a_rewarded_policy_names_its_judges():
    text = model_card(MADE | {"method": "ppo", "rewards": {"run-2": 1.0, "run-5": 0.5}, "reference": "run-1"})
    assert "Scored by `run-2` (weight 1), `run-5` (weight 0.5); held near `run-1`." in text
    assert "## Reward" not in model_card(MADE)


def test_a_model_without_a_base_on_the_hub_names_none():
    card = ModelCard(model_card(MADE | {"method": "rm", "form": "merged"}))
    data = card.data.to_dict()
    assert "base_model" not in data
    assert (data["library_name"], data["pipeline_tag"]) == ("transformers", "text-classification")
    assert "between prompts they mean nothing" in card.text
    assert "No licence was chosen" in card.text
