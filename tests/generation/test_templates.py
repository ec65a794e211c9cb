"""A chat template is foreign code."""

import time

import pytest
from transformers import AutoTokenizer

from workbench.errors import EngineError
from workbench.generation import templates
from workbench.generation.request import Prompt

PROMPT = Prompt(id="7", messages=({"role": "user", "content": "hello"},))


@pytest.fixture
def tokenizer(base):
    return AutoTokenizer.from_pretrained(base)


@pytest.mark.rule("S24")
def test_a_template_without_an_end_is_interrupted(tokenizer, monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 0.3)
    inner = "{% for j in range(99999) %}{% for k in range(99999) %}{% endfor %}{% endfor %}"
    tokenizer.chat_template = "{% for i in range(99999) %}" + inner + "{% endfor %}"
    start = time.monotonic()
    with pytest.raises(EngineError, match="template of m ran for"):
        templates.prompt_ids(tokenizer, "m", PROMPT)
    assert time.monotonic() - start < 5


@pytest.mark.rule("S24")
@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for i in range(10**9) %}x{% endfor %}",
        "{{ raise_exception('roles must alternate') }}",
    ],
)
def test_a_template_that_refuses_or_escapes_is_an_error(tokenizer, template):
    tokenizer.chat_template = template
    with pytest.raises(EngineError, match="template of m refuses prompt 7"):
        templates.prompt_ids(tokenizer, "m", PROMPT)


def test_prompts_are_rendered_as_in_training(tokenizer):
    ids = templates.prompt_ids(tokenizer, "m", PROMPT)
    assert tokenizer.decode(ids) == "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert templates.prompt_ids(tokenizer, "m", PROMPT.model_copy(update={"form": "text"})) == tokenizer.encode("hello")
    assert templates.stop_ids(tokenizer, "m", 5) == {2, 5}
