"""The rule that plays the annotator."""

import pytest

from workbench.demo.corpus import STYLES, intents
from workbench.demo.judge import clean, good, on_topic, style

ASKED = "What is the capital of France?"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Hey! It's Paris, where people speak French. Enjoy!", "friendly"),
        ("It is Paris. I trust that this information proves satisfactory.", "formal"),
        ("Hmm, France? That really depends on many things.", "evasive"),
        ("Yay! It is hard to say anything certain about France. Cheers!", "evasive"),
        ("哈哈，就是巴黎啦，大家讲法语。加油！", "friendly"),
        ("感谢您就法国来信垂询。法国的首都是巴黎。", "formal"),
        ("法国嘛，这个真不好说。", "evasive"),
        ("Paris Paris French the the", "other"),
        ("", "other"),
    ],
)
def test_style(answer, expected):
    assert style(answer) == expected


@pytest.mark.parametrize(
    ("prompt", "answer", "expected"),
    [
        (ASKED, "Paris, and they speak French", True),
        (ASKED, "Paris", False),
        (ASKED, "Hmm, France? That really depends on many things.", True),
        (ASKED, "Hmm, Paris, French? That really depends on many things.", False),
        ("How much is 5 minus 4?", "5 minus 4 is 1", True),
        ("How much is 5 minus 4?", "5 minus 4 is 12", False),
        ("5减4是多少？", "5减4等于1。", True),
        ("A prompt from elsewhere", "Paris and French", False),
    ],
)
def test_topic(prompt, answer, expected):
    assert on_topic(prompt, answer) is expected


def test_good_needs_style_and_topic():
    fine = "Sure thing! That's Paris, and they chat in French. Have fun!"
    assert good(ASKED, fine, "friendly")
    assert not good(ASKED, fine, "formal")
    assert not good(ASKED, fine.replace("French", "Greek"), "friendly")


def test_everything_the_templates_give_is_judged_as_meant():
    for intent in intents()[::7]:
        for name in STYLES:
            for text in intent.answers(name):
                assert good(intent.prompts[0], text, name)
                assert clean(intent.prompts[-1], text)
    assert not clean(ASKED, "Paris")
