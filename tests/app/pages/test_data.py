"""The Data page counts items and what training gets from them apart: an edit makes two pairs more, a tie is told."""

import re
from types import SimpleNamespace
from typing import Any

import pytest

from tests.app.acts.conftest import house as house
from workbench.app.house import House
from workbench.app.pages.data import contents
from workbench.schema import Candidate, Judgement, Message, make_item
from workbench.store import items, projects
from workbench.store.db import uid

NOTHING_HELD = {"overlap": 0.0, "eval_share": 0.0}


@pytest.fixture
def pairs(house: House) -> list[int]:
    project = projects.create(house.store, "lea", "Tea", tasks=["pair"], **NOTHING_HELD).id
    turns = [tuple(Candidate((Message("assistant", f"{side} {n}"),)) for side in "ab") for n in range(4)]
    made = [make_item(project, (Message("user", f"Question {n}"),), found) for n, found in enumerate(turns)]
    return items.add(house.store, "lea", made)


def told(house: House, lang: str = "en") -> dict[str, int]:
    """Figure by its words."""
    request: Any = SimpleNamespace(username="local", cookies={"lang": lang}, headers={})
    text = contents(house, request)[0]
    return {name: int(n) for name, n in re.findall(r"<dt>(.*?)</dt><dd>(\d+)</dd>", text)}


def test_more_pairs_than_items_is_no_riddle(house: House, pairs: list[int]) -> None:
    assert told(house) == {"items with two answers": 4, "labels": 0}
    vote = {"choice": 0, "strength": 2}
    acts = [Judgement(uid(), item, "ann", "pair", vote) for item in pairs[:3]]
    acts.append(Judgement(uid(), pairs[3], "ann", "pair", {"choice": "tie", "strength": None}))
    better = {"candidate": 0, "messages": [{"role": "assistant", "content": "better"}], "distance": 0.9}
    acts.append(Judgement(uid(), pairs[0], "ann", "edit", better))
    house.store.append(*acts)
    # 3 choices give a pair each, the edit beats its parent and what that one beat: 5 pairs of 4 items, one tied
    assert told(house)["training pairs"] == 5
    assert told(house)["ties, left out unless a run asks for them"] == 1
    assert told(house)["items with two answers"] == 4
    assert told(house, "zh")["训练偏好对"] == 5
