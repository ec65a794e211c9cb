"""Which prompts are answered for people to read."""

from workbench.training.data import Row
from workbench.training.samples import chosen_prompts


def test_the_first_four_distinct_prompts_are_answered_in_their_order():
    asked = [[{"role": "user", "content": name}] if name else [] for name in ("A", "B", "", "C", "D", "E", "A", "B")]
    chosen = chosen_prompts([Row(str(i), "chat", prompt, ()) for i, prompt in enumerate(asked)])
    assert [(row.id, row.prompt[0]["content"]) for row in chosen] == [("0", "A"), ("1", "B"), ("3", "C"), ("4", "D")]
