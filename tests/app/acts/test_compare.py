"""Models answer, people vote: which side was picked, who was who, and what never becomes a label."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.acts.compare import some
from workbench.app.house import House
from workbench.errors import Conflict, NotFound, UsageError
from workbench.schema import Message, make_item
from workbench.settings import Settings
from workbench.store import items, judgements

PROMPTS = ("How do I keep basil alive?", "Any tips for better sleep?")
LIVELY = {"max_new_tokens": 24, "temperature": 1.2}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def do(house: House) -> Callable[..., dict[str, Any]]:
    return lambda act, **values: ACTIONS[act](house, "ada", **values)


@pytest.fixture
def project(do: Any) -> int:
    return do("project_create", name="herbs", tasks=["pair"], eval_share=0.0)["id"]


@pytest.fixture
def on_screen(house: House, project: int) -> Callable[..., str]:
    """`on_screen("left text", "right text")`: a comparison of `new`, who stands left, and `old`."""

    def show(left: str, right: str, *, whole: bool = True) -> str:
        asked = {"project": project, "prompt": Message("user", PROMPTS[0]), "actor": "ada"}
        house.asked["r"] = asked | {"models": ["new", "old"], "texts": [left, right], "whole": whole}
        return "r"

    return show


@pytest.mark.parametrize(("choice", "picked"), [(0, "Water it."), (1, "Burn it.")])
def test_the_side_that_is_picked_is_the_answer_that_wins(
    house: House, do: Any, project: int, on_screen: Any, choice: int, picked: str
) -> None:
    told = do("compare_vote", request=on_screen("Water it.", "Burn it."), choice=choice, strength=2)
    assert told["reveal"] == ["new", "old"]
    [vote] = judgements.current(house.store, project)
    stored = items.get(house.store, vote["item"])
    sources = {c.messages[0].content: c.source for c in stored.candidates}
    assert sources == {"Water it.": "new", "Burn it.": "old"}
    assert stored.candidates[vote["payload"]["choice"]].messages[0].content == picked
    assert [stored.candidates[i].source for i in vote["shown_order"]] == ["new", "old"]
    assert (vote["purpose"], vote["payload"]["strength"], vote["annotator"]) == ("compare", 2, "ada")
    [result] = do("compare_results", project=project)["results"]
    assert (result["a"], result["wins"], result["losses"]) == ("new", 1 - choice, choice)
    assert stored.prompt == (Message("user", PROMPTS[0]),)


@pytest.mark.parametrize(("choice", "column"), [("tie", "ties"), ("both_bad", "both_bad")])
def test_a_word_decides_nothing(house: House, do: Any, project: int, on_screen: Any, choice: str, column: str) -> None:
    do("compare_vote", request=on_screen("Water it.", "Burn it."), choice=choice, strength=2)
    [vote] = judgements.current(house.store, project)
    assert vote["payload"] == {"choice": choice, "strength": None}
    [result] = do("compare_results", project=project)["results"]
    assert (result["wins"], result["losses"], result[column]) == (0, 0, 1)


def test_what_says_nothing_becomes_no_label(house: House, do: Any, project: int, on_screen: Any) -> None:
    for left, right, said in (("Water it.", " \n", "empty"), ("Water it.", "Water it.", "same")):
        with pytest.raises(UsageError, match=said):
            do("compare_vote", request=on_screen(left, right), choice=0)
    with pytest.raises(UsageError, match="not whole yet"):
        do("compare_vote", request=on_screen("Water", "Burn", whole=False), choice=0)
    assert judgements.current(house.store, project) == []
    assert list(items.iter_ids(house.store, project)) == []


def test_a_comparison_has_one_vote_of_whoever_asked(house: House, do: Any, on_screen: Any) -> None:
    request = on_screen("Water it.", "Burn it.")
    with pytest.raises(NotFound):
        ACTIONS["compare_vote"](house, "bob", request=request, choice=0)
    do("compare_vote", request=request, choice=0)
    with pytest.raises((NotFound, Conflict)):
        do("compare_vote", request=request, choice=0)


def test_the_queue_asks_nobody_for_a_typed_prompt(house: House, do: Any, project: int, on_screen: Any) -> None:
    house.queue.standing(project)
    do("compare_vote", request=on_screen("Water it.", "Burn it."), choice=1)
    assert house.queue.lease("bob", project, "pair", "t")["reason"] == "no_items"


def test_models_answer_prompts_to_label(house: House, do: Any, project: int) -> None:
    """The real model of the demo answers each prompt, and its answers are pairs to label at once."""
    items.add(house.store, "ada", [make_item(project, (Message("user", text),), ()) for text in PROMPTS])
    assert house.queue.progress("ada", project, "pair")["needed"] == 0
    made = do("generate", project=project, models=["demo-tiny"], per_prompt=4, sampling=LIVELY | {"seed": 3})
    new = [i for i in items.many(house.store, range(3, 99)).values() if i.candidates]
    assert (made["prompts"], made["items"]) == (2, len(new))
    assert {i.prompt[0].content for i in new} == set(PROMPTS)
    pairs = [i for i in new if len(i.candidates) == 2]
    waiting = house.queue.progress("ada", project, "pair")["needed"]
    assert 0 < len(pairs) <= waiting <= 2 * len(pairs)  # some overlap
    for candidate in (c for i in pairs for c in i.candidates):
        assert (candidate.source, candidate.gen["seed"], candidate.gen["temperature"]) == ("demo-tiny", 3, 1.2)
        assert candidate.messages[0].content.strip()


def test_a_model_is_not_asked_against_itself(do: Any, project: int) -> None:
    for act, values in (("compare_ask", {"prompt": PROMPTS[0]}), ("compare_set", {})):
        with pytest.raises(UsageError, match="against itself"):
            do(act, project=project, models=["demo-tiny", "demo-tiny"], **values)


def test_a_sampling_that_cannot_be_is_named(do: Any, project: int) -> None:
    with pytest.raises(UsageError, match=r"sampling\.temperature"):
        do("generate", project=project, models=["demo-tiny"], sampling={"temperature": 9})


def test_every_seed_asks_other_prompts_where_there_are_more() -> None:
    assert [some(list("abcde"), 2, seed) for seed in range(3)] == [["a", "b"], ["c", "d"], ["e", "a"]]
    assert some(list("ab"), None, 3) == some(list("ab"), 5, 3) == ["a", "b"]
