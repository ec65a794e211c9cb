"""A home for the labelling benchmark: pairs that read like real ones, and annotators who are signed in already."""

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.app.accounts import Accounts
from workbench.formats.render import with_html
from workbench.schema import Candidate, Item, Message, make_item
from workbench.store import accounts, items, projects
from workbench.store.accounts import Account
from workbench.store.db import Store

WORDS = (
    "the of and in is that with for light water basil sleep paper answer question however between several value problem"
)
CODE = "def water(plant, days=2):\n    return plant.thirst > days  # days without water since the soil was dry\n"
FORMULA = "The loss is $\\sum_{i=1}^{n} (x_i - \\mu)^2 / n$, and $$\\nabla f(x) = \\frac{1}{2} A x + b.$$"
POOL = 24
LEAST = 200  # characters of an answer


@dataclass(frozen=True)
class Made:
    project: int
    tokens: dict[str, str]  # user -> session


def make(home: Path, users: list[str], pairs: int, characters: int, *, rich: bool, **rules: Any) -> Made:
    """A home with one project of pairs whose answers have up to so many characters, `rich` with code and formulas."""
    drawn = random.Random(0)
    with Store.open(home) as store:
        project = projects.create(store, "ada", "Bench", tasks=("pair",), eval_share=0.0, **rules)
        pool = [answer(drawn, drawn.randint(LEAST, characters), rich=rich) for _ in range(POOL)]
        items.add(store, "ada", [pair(project.id, number, drawn, pool) for number in range(pairs)])
        return Made(project.id, {name: signed_in(store, name) for name in users})


def signed_in(store: Store, name: str) -> str:
    """A session as the sign-in makes one; a password is never hashed, which would take as long as it is meant to."""
    accounts.put(store, "ada", Account(name, "lead" if name == "ada" else "annotator", password="none"))
    return Accounts(store)._open(name)


def pair(project: int, number: int, drawn: random.Random, pool: list[Message]) -> Item:
    asked = Message("user", f"Question {number}: {prose(drawn, drawn.randint(40, 400))}?")
    return make_item(project, (asked,), tuple(Candidate((told,)) for told in drawn.sample(pool, 2)))


def answer(drawn: random.Random, characters: int, *, rich: bool) -> Message:
    """Paragraphs, and among rich ones code, formulas, lists and tables; rendered as an import does it."""
    blocks: list[str] = []
    while sum(map(len, blocks)) < characters:
        blocks.append(prose(drawn, 400))
        if rich:
            rows = "".join(f"| {prose(drawn, 12)} | {drawn.random():.3f} |\n" for _ in range(4))
            blocks += [f"```python\n{CODE * 3}```", FORMULA, f"- **{prose(drawn, 30)}**\n- `{prose(drawn, 20)}`"]
            blocks.append(f"| month | light |\n|---|---|\n{rows}")
    [made] = with_html((Message("assistant", "\n\n".join(blocks)[:characters]),))
    return made


def prose(drawn: random.Random, characters: int) -> str:
    text = " ".join(drawn.choices(WORDS.split(), k=characters // 5 + 1))
    return text[:characters].strip().capitalize()
