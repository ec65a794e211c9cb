"""Text to tokens: one stop token, one BOS, the boundary at the common prefix, cuts as chosen."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from tokenizers import processors
from transformers import AutoTokenizer

from workbench.errors import EngineError
from workbench.training.data import (
    Dropped,
    Line,
    Row,
    encode,
    fit,
    fitting_length,
    prompt_ids,
    render,
    stops,
    with_template,
)

LLAMA3 = (
    "{% for m in messages %}{{ '<|begin|>' if loop.first else '' }}<|start|>{{ m['role'] }}\n\n{{ m['content'] }}"
    "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|start|>assistant\n\n{% endif %}"
)
NO_END = "{% for m in messages %}{{ m['role'] }} : {{ m['content'] }} {% endfor %}"


def user(text):
    return [{"role": "user", "content": text}]


def said(text):
    return [{"role": "assistant", "content": text}]


def row(prompt, *answers, form="chat", id="r"):
    return Row(id, form, user(prompt) if isinstance(prompt, str) else prompt, tuple(said(a) for a in answers))


def one(tokenizer, r, **kwargs):
    [made] = encode(tokenizer, [r], stops(tokenizer), **kwargs)
    return made


@pytest.fixture
def chatml(words):
    return words()


@pytest.fixture(params=["gpt2", "qwen2.5"])
def real(request, realdata):
    folder = realdata / "tokenizers" / request.param
    if not folder.is_dir():
        pytest.skip(f"the tokenizer {request.param} is not in {folder.parent}")
    return AutoTokenizer.from_pretrained(folder)


def test_chatml_answers_end_in_one_stop_token(chatml):
    made = one(chatml, row("tell me about topic1", "hey topic1", "kindly topic1"))
    assert chatml.decode(made.prompt) == "<|im_start|> user tell me about topic1 <|im_end|> <|im_start|> assistant"
    assert [chatml.decode(a) for a in made.answers] == ["hey topic1 <|im_end|>", "kindly topic1 <|im_end|>"]
    assert not made.shifted
    assert stops(chatml).ids == {chatml.eos_token_id}


def test_plain_text_is_exact_and_ends_once(words):
    tokenizer = words(None)
    made = one(tokenizer, row("tell me ", "hey", "hey <|im_end|>", form="text"))
    assert render(tokenizer, "text", user("a "), said(" b")) == "a  b"
    assert [tokenizer.decode(a) for a in made.answers] == ["hey <|im_end|>", "hey <|im_end|>"]


def test_a_second_bos_is_taken_out(words):
    tokenizer = words(LLAMA3.replace("<|begin|>", "<unk>").replace("<|start|>", "<|im_start|>"))
    tokenizer.bos_token = "<unk>"
    tokenizer._tokenizer.post_processor = processors.TemplateProcessing(
        single="<unk> $A", special_tokens=[("<unk>", tokenizer.bos_token_id)]
    )
    bos = tokenizer.bos_token_id
    chat = one(tokenizer, row("tell me", "hey"))
    assert chat.prompt.tolist().count(bos) == 1
    plain = one(tokenizer, row("tell me ", "hey", form="text"))
    doubled = one(tokenizer, row("<unk> tell me ", "hey", form="text"))
    assert plain.prompt.tolist() == doubled.prompt.tolist()
    assert plain.prompt.tolist()[:2] != [bos, bos]


def test_template_without_an_end_gets_the_eos(words):
    tokenizer = words(NO_END)
    made = one(tokenizer, row("tell me", "hey"))
    assert made.answers[0].tolist()[-1] == tokenizer.eos_token_id
    assert made.answers[0].tolist().count(tokenizer.eos_token_id) == 1


def test_no_end_anywhere_is_an_error(words):
    tokenizer = words(NO_END)
    tokenizer.eos_token = None
    with pytest.raises(EngineError, match="answers could never end"):
        stops(tokenizer)


@pytest.mark.parametrize(
    "template", [NO_END.replace("m['content']", "m['content'] | upper"), "{{ raise_exception('no') }}"]
)
def test_a_template_that_shows_no_end_of_turn_leaves_the_eos(words, template):
    tokenizer = words(template)
    assert stops(tokenizer).ids == {tokenizer.eos_token_id}
    assert one(tokenizer, row("tell me ", "hey", form="text")).answers[0].tolist()[-1] == tokenizer.eos_token_id


def test_template_s_end_of_turn_and_the_model_s_eos_both_stop(words):
    tokenizer = words()
    tokenizer.eos_token = "<pad>"
    assert stops(tokenizer, [1]).ids == {0, 1, 3}


def test_a_tokenizer_without_template_gets_the_plain_one(words):
    tokenizer = words(None)
    assert with_template(tokenizer)
    assert render(tokenizer, "chat", user("tell me"), said("hey")) == "user: tell me\nassistant: hey\n"
    assert not with_template(tokenizer)


def test_sampling_reads_the_prompt_that_training_reads(chatml):
    r = row("tell me about topic2", "hey")
    assert prompt_ids(chatml, "chat", r.prompt) == one(chatml, r).prompt.tolist()


@pytest.mark.parametrize(("empty", "reason"), [("drop", "empty_answer"), ("keep", None)])
def test_blank_answers(chatml, empty, reason):
    made = one(chatml, row("tell me", "hey", "  "), empty=empty)
    if reason:
        assert isinstance(made, Dropped)
        assert made.args[0] == reason
    else:
        assert made.answers[1].tolist() == [chatml.eos_token_id]


def test_blank_answers_refused(chatml):
    with pytest.raises(EngineError, match="row r: blank answer"):
        one(chatml, row("tell me", ""), empty="error")


def test_empty_prompt_and_refusing_template_are_dropped(words):
    assert one(words(None), row("", "hey", form="text")).args[0] == "empty_prompt"
    picky = "{% if messages[0]['content'] == 'bad' %}{{ raise_exception('no') }}{% endif %}" + NO_END
    assert one(words(picky), row("bad", "hey")).args[0] == "template_refuses"
    assert len(one(words(picky), row("tell", "hey")).answers) == 1


LONG = "topic1 topic2 topic3 topic4 topic5 topic6"


def test_keep_start_cuts_the_end_and_its_stop(chatml):
    r = row("tell me", LONG, "hey")
    made = one(chatml, r)
    cut = fit(made, r, made.length - 2, "keep_start", chatml, stops(chatml))
    assert chatml.decode(cut.answers[0]) == "topic1 topic2 topic3 topic4 topic5"
    assert chatml.decode(cut.answers[1]) == "hey <|im_end|>"
    with pytest.raises(Dropped, match="prompt_fills"):
        fit(made, r, len(made.prompt), "keep_start", chatml, stops(chatml))
    assert fit(made, r, made.length, "keep_start", chatml, stops(chatml)) is made


def test_drop_and_error_say_so(chatml):
    r = row("tell me", LONG)
    made = one(chatml, r)
    with pytest.raises(Dropped, match="too_long"):
        fit(made, r, 8, "drop", chatml, stops(chatml))
    with pytest.raises(EngineError, match="row r: 14 tokens, max_length is 8"):
        fit(made, r, 8, "error", chatml, stops(chatml))


def test_keep_recent_leaves_out_the_oldest_turns(chatml):
    turns = [
        {"role": "system", "content": "kindly"},
        *user("topic1 topic2"),
        *said("fun"),
        *user("topic3"),
    ]
    r = replace(row("", "hey", "sure cheers"), prompt=turns)
    made = one(chatml, r)
    cut = fit(made, r, made.length - 5, "keep_recent", chatml, stops(chatml))
    text = chatml.decode(cut.prompt)
    assert "kindly" in text
    assert "topic3" in text
    assert "topic1" not in text
    assert chatml.decode(cut.answers[1]) == "sure cheers <|im_end|>"


def test_keep_recent_of_plain_text_cuts_the_oldest_tokens(words):
    tokenizer = words(None)
    r = row(LONG + " ", "hey", form="text")
    cut = fit(one(tokenizer, r), r, 4, "keep_recent", tokenizer, stops(tokenizer))
    assert tokenizer.decode(cut.prompt) == "topic5 topic6"
    assert tokenizer.decode(cut.answers[0]) == "hey <|im_end|>"


def test_fitting_length_holds_99_percent(chatml):
    short, long = one(chatml, row("tell me", "hey")), one(chatml, row("tell me", " ".join(["fun"] * 100)))
    assert fitting_length([short] * 99 + [long], 2048) == 64
    assert fitting_length([short] * 9 + [long], 2048) == 128
    assert fitting_length([long], 100) == 100


def test_lines_need_both_sides():
    with pytest.raises(EngineError, match="0 and 1 tokens"):
        Line.of(np.array([]), np.array([1]))
    assert Line.of(np.array([1, 2]), np.array([3])).targets == 1
    assert Line.of(np.array([1, 2]), np.array([3]), whole=True).targets == 2


TEXTS = [("Hi", " there"), ("How are y", "ou?"), ("你好，", "世界 🙂"), ("a\n", "\nb  "), ("x", "y")]


@pytest.mark.parametrize(("prompt", "answer"), TEXTS)
def test_real_tokenizers_plain(real, prompt, answer):
    made = one(real, row(prompt, answer, answer + "!", form="text"))
    if isinstance(made, Dropped):
        assert made.args[0] == "empty_prompt"  # the only prompt token merged with the answer
        return
    ids = np.append(made.prompt, made.answers[0]).tolist()
    assert real.decode(ids[:-1]) == prompt + answer
    assert ids[-1] == real.eos_token_id
    assert ids.count(real.eos_token_id) == 1


@pytest.mark.parametrize(("prompt", "answer"), TEXTS)
def test_real_chat_template(real, prompt, answer):
    if not real.chat_template:
        assert with_template(real)
    made = one(real, row(prompt, answer, "ok"))
    whole = render(real, "chat", user(prompt), said(answer))
    ids = np.append(made.prompt, made.answers[0]).tolist()
    assert whole.startswith(real.decode(ids[:-1]))
    assert ids[-1] in stops(real).ids
    assert sum(i in stops(real).ids for i in made.answers[0].tolist()) == 1
    assert made.shifted == (answer.startswith("\n") and "Qwen" in type(real).__name__)


TEMPLATES = {
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
    "llama3": (
        "{% for m in messages %}{{ bos_token if loop.first }}<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n"
        "{{ m['content'] }}<|eot_id|>{% endfor %}"
        "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
    ),
    "gemma": (
        "{{ bos_token }}{% for m in messages %}<start_of_turn>"
        "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
        "{{ m['content'] | trim }}<end_of_turn>\n{% endfor %}"
        "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    ),
    "no end": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}",
}
ADDED = ["<bos>", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
ADDED += ["<start_of_turn>", "<end_of_turn>"]
SPOKEN = ["Sure, here it is.", "x", "🙂👩‍👩‍👧", "世界和平", "two\n\nlines", "1 2 3  4"]


@pytest.fixture(params=TEMPLATES)
def family(real, request):
    """A real tokenizer with the template, special tokens and BOS of a family of models."""
    real.add_special_tokens({"additional_special_tokens": ADDED, "bos_token": "<bos>"})
    real.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", real.bos_token_id)]
    )
    real.chat_template = TEMPLATES[request.param]
    return real


@pytest.mark.parametrize("answer", SPOKEN)
def test_chat_of_every_family_ends_once_and_begins_once(family, answer):
    made, stop = one(family, row("What is it?", answer, "Other.")), stops(family)
    completion = made.answers[0].tolist()
    assert [i for i in completion if i in stop.ids] == [completion[-1]]
    ids = np.append(made.prompt, made.answers[0]).tolist()
    assert ids.count(family.bos_token_id) <= 1
    whole = render(family, "chat", user("What is it?"), said(answer))
    ended = completion[-1] != family.eos_token_id or family.decode(completion[-1:]) in whole
    text = family.decode(ids if ended else ids[:-1])
    assert whole.startswith(text)
    assert whole[len(text) :].strip() == ""


def test_an_answer_that_already_ends_is_left_alone(family):
    stop = stops(family)
    plain = one(family, row("Ask. ", "Answer.", form="text"))
    ended = one(family, row("Ask. ", f"Answer.{family.eos_token}", form="text"))
    assert ended.answers[0].tolist() == plain.answers[0].tolist()
    turn = family.decode([min(stop.ids - {family.eos_token_id}, default=family.eos_token_id)])
    chat = one(family, row("Ask.", f"Answer.{turn}")).answers[0].tolist()
    assert chat[-1] in stop.ids
    assert not any(a in stop.ids and b in stop.ids for a, b in pairwise(chat))


def test_a_cut_answer_has_no_stop(family):
    r = row("What is it?", "one two three four five six seven eight", "Yes.")
    made, stop = one(family, r), stops(family)
    cut = fit(made, r, made.length - 2, "keep_start", family, stop)
    assert not any(i in stop.ids for i in cut.answers[0].tolist())
    assert cut.answers[1].tolist()[-1] in stop.ids


def test_bos_is_never_doubled_in_plain_text(family):
    bos = family.bos_token_id
    for prompt in ("Ask. ", "<bos>Ask. ", "<bos><bos>Ask. "):
        made = one(family, row(prompt, "Answer.", form="text"))
        assert made.prompt.tolist()[:2] != [bos, bos] or prompt.startswith("<bos><bos>")
    assert prompt_ids(family, "text", user("<bos>Ask. ")).count(bos) == 1


@pytest.mark.parametrize(
    ("prompt", "answer"), [("He said hel", "lo."), ("Total: 1", "000"), ("foo", "bar "), ("a \n", "\nb")]
)
def test_a_token_across_the_boundary_belongs_to_the_answer(real, prompt, answer):
    made = one(real, row(prompt, answer, "zzz", form="text"))
    if isinstance(made, Dropped):
        assert made.args[0] == "empty_prompt"
        return
    asked = real(prompt)["input_ids"]
    shared = [i for i, (a, b) in enumerate(zip(asked, real(prompt + answer)["input_ids"], strict=False)) if a != b]
    assert made.shifted == bool(shared)
    assert len(made.prompt) == (shared[0] if shared else len(asked))
    assert real.decode(np.append(made.prompt, made.answers[0])[:-1]) == prompt + answer
    assert real.decode(np.append(made.prompt, made.answers[1])[:-1]) == prompt + "zzz"
