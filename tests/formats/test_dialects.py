"""Golden rows of every dialect, told apart from all others, and the traps of each."""

import json
from typing import Any

import pytest
from golden import GOLDEN

from workbench.formats import registry
from workbench.formats.dialects import columns, llamafactory
from workbench.formats.reading import Reading
from workbench.formats.row import Row
from workbench.formats.strict import Reject

DIALECTS = registry.DIALECTS
SAID = ("choice", "label", "tiers", "score", "why")
CASES = [(name, i) for name, rows in GOLDEN.items() for i in range(len(rows))]


def read(name: str, fields: dict[str, Any], **rest: Any) -> Reading:
    [reading] = DIALECTS[name].read(Row(fields, **rest))
    return reading


def texts(reading: Reading) -> list[str]:
    return [c.messages[-1].content for c in reading.candidates]


def said(messages: Any) -> list[tuple[str, str]]:
    return [(m.role, m.content) for m in messages]


def refused(name: str, fields: dict[str, Any], **rest: Any) -> tuple[str, Any]:
    with pytest.raises(Reject) as caught:
        read(name, fields, **rest)
    return caught.value.reason, caught.value.column


def test_every_dialect_has_golden_rows():
    assert set(GOLDEN) == set(DIALECTS) - {"columns"}


@pytest.mark.parametrize(("name", "at"), CASES)
def test_a_file_is_told_by_its_rows(name, at):
    """The confusion matrix: each golden row alone, and no other dialect wins."""
    row, _, _ = GOLDEN[name][at]
    assert registry.winner(registry.scores([Row(row)])) == name


@pytest.mark.parametrize(("name", "at"), CASES)
def test_golden_rows(name, at):
    """Prompt, answers in the order of the file, and the votes."""
    row, expected, votes = GOLDEN[name][at]
    reading = DIALECTS[name].read(Row(row))[0]
    assert [m.content for m in reading.prompt] == expected[0]
    assert texts(reading) == expected[1]
    assert [next(v.payload[k] for k in SAID if k in v.payload) for v in reading.votes] == votes


@pytest.mark.parametrize(("name", "at"), CASES)
def test_no_row_without_a_field_or_with_another_type_crashes(name, at):
    row, _, _ = GOLDEN[name][at]
    for key in row:
        for value in (None, 7, True, "", "x", [], [1], [None], {}, {"a": 1}, [{}], [[]], [{"role": 1}], {"x": [None]}):
            sample = [Row(row | {key: value})]
            registry.scores(sample)
            try:
                DIALECTS[name].read(Row(row | {key: value}))
            except Reject:
                pass


# D02
def test_trl_preference_keeps_leading_blanks_and_forms_apart():
    assert read("trl_preference", {"prompt": "2 + 2 =", "chosen": " 4.", "rejected": " 5."}).form == "text"
    assert refused("trl_preference", {"prompt": "x", "chosen": " a", "rejected": "a\n"})[0] == "identical_answers"
    assert refused("trl_preference", {"prompt": " ", "chosen": "a", "rejected": "b"}) == ("empty_prompt", "prompt")


# D03
def test_trl_implicit_cuts_lists_after_the_last_common_user_turn():
    start = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    more = [*start, {"role": "user", "content": "2 + 2?"}]
    chosen, rejected = ([*more, {"role": "assistant", "content": text}] for text in ("I'm 4", "I'm 5"))
    reading = read("trl_implicit", {"chosen": chosen, "rejected": rejected})
    assert [m.content for m in reading.prompt] == ["Hi", "Hello", "2 + 2?"]
    assert texts(reading) == ["I'm 4", "I'm 5"]


def test_trl_implicit_texts_have_no_prompt_and_a_group_each():
    one, two = (read("trl_implicit", {"chosen": f"I'm sorry, {a}", "rejected": "I'm sorry, c"}) for a in "ab")
    assert (one.prompt, texts(one)) == ((), ["I'm sorry, a", "I'm sorry, c"])
    assert one.root != two.root


# D04
def test_trl_unpaired_takes_true_and_false_only():
    row = {"prompt": "a", "completion": "b"}
    for label in ("true", 1, 0, "yes"):
        assert refused("trl_unpaired", row | {"label": label}) == ("bad_label", "label")
    assert read("trl_unpaired", row | {"label": "True"}, cells=True).votes[0].payload["label"] is True


def test_trl_unpaired_strips_a_repeated_prompt_once():
    assert texts(read("trl_unpaired", {"prompt": "aa", "completion": "aaaab", "label": True})) == ["aab"]
    asked, answer = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}
    assert texts(read("trl_unpaired", {"prompt": [asked], "completion": [asked, answer], "label": True})) == ["a"]


# D05
HH = "\n\nHuman: Boil an egg?\n\nAssistant:"


def test_hh_rlhf_splits_at_blank_lines_only():
    row = {"chosen": f"{HH} Ask Human: him.\n\n Human: no", "rejected": f"{HH}No."}
    assert texts(read("hh_rlhf", row)) == ["Ask Human: him.\n\n Human: no", "No."]


def test_hh_rlhf_cuts_at_the_last_common_user_turn():
    row = {"chosen": f"{HH} A\n\nHuman: B\n\nAssistant: C", "rejected": f"{HH} X\n\nHuman: B\n\nAssistant: D"}
    reading = read("hh_rlhf", row)
    assert [m.content for m in reading.prompt] == ["Boil an egg?"]
    assert said(reading.candidates[0].messages) == [("assistant", "A"), ("user", "B"), ("assistant", "C")]


def test_hh_rlhf_refuses_empty_answers_and_open_ends():
    assert refused("hh_rlhf", {"chosen": f"{HH} ", "rejected": f"{HH} No."}) == ("empty_answer", "chosen")
    assert refused("hh_rlhf", {"chosen": f"{HH} A\n\nHuman: B", "rejected": f"{HH} C"})[0] == "bad_turns"


def test_hh_rlhf_keeps_two_turns_of_one_role():
    row = Row({"chosen": f"\n\nHuman: A{HH} B", "rejected": f"\n\nHuman: A{HH} C"})
    assert [m.role for m in DIALECTS["hh_rlhf"].read(row)[0].prompt] == ["user", "user"]
    assert row.notes == ["same_role_twice"]


# D06
def test_ultrafeedback_bin_equal_scores_are_a_tie():
    row, _, _ = GOLDEN["ultrafeedback_bin"][0]
    assert read("ultrafeedback_bin", row | {"score_rejected": row["score_chosen"]}).votes[0].payload["choice"] == "tie"


# D12
def test_llamafactory_system_may_be_a_column_or_the_first_turn():
    turns = [{"from": "human", "value": "q"}]
    rest = {"chosen": {"from": "gpt", "value": "a"}, "rejected": "b", "system": "S"}
    assert said(read("llamafactory", {"conversations": turns, **rest}).prompt) == [("system", "S"), ("user", "q")]
    own = [{"from": "system", "value": "T"}, *turns]
    assert said(read("llamafactory", {"conversations": own, **rest}).prompt) == [("system", "T"), ("user", "q")]


def test_llamafactory_reads_history_tools_and_calls():
    row = {
        "instruction": "q2",
        "input": "more",
        "history": [["q1", "a1"]],
        "chosen": "a",
        "rejected": "b",
        "tools": '[{"name": "t"}]',
    }
    reading = read("llamafactory", row)
    assert said(reading.prompt) == [("user", "q1"), ("assistant", "a1"), ("user", "q2\nmore")]
    assert reading.tools == [{"name": "t"}]
    turns = [
        *({"from": "human", "value": "q"}, {"from": "function_call", "value": '{"name": "t"}'}),
        {"from": "observation", "value": "3"},
    ]
    reading = read("llamafactory", {"conversations": turns, "chosen": "a", "rejected": "b"})
    assert reading.prompt[1].extra == {"tool_calls": '{"name": "t"}'}
    assert reading.prompt[2].role == "tool"


def test_llamafactory_honours_dataset_info(tmp_path):
    info = {"gone": {"file_name": "other.json"}, "mine": {"file_name": "rows.json", "formatting": "sharegpt"}}
    info["mine"] |= {"columns": {"messages": "talk", "kto_tag": "ok"}}
    info["mine"] |= {"tags": {"role_tag": "who", "content_tag": "words", "user_tag": "U", "assistant_tag": "A"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    known = llamafactory.Columns(tmp_path / "rows.json", "rows.json")
    row = known.row({"talk": [{"who": "U", "words": "q"}, {"who": "A", "words": "a"}], "ok": True}, False)
    assert registry.winner(registry.scores([row])) == "llamafactory"
    [reading] = llamafactory.read(row)
    assert said((*reading.prompt, *reading.candidates[0].messages)) == [("user", "q"), ("assistant", "a")]


# D13
def test_ms_swift_refuses_pictures():
    row, _, _ = GOLDEN["ms_swift"][0]
    assert refused("ms_swift", row | {"images": ["a.png"]}) == ("media_unsupported", "images")
    parts = [{"role": "user", "content": [{"type": "image_url", "image_url": "x"}]}, row["messages"][1]]
    assert refused("ms_swift", row | {"messages": parts}) == ("media_unsupported", "messages")


# D15
def test_demonstrations_do_not_evaluate_placeholders():
    row = {"instruction": "Who are you?", "input": "", "output": "I am {{name}} by {{author}}."}
    assert texts(read("demonstrations", row)) == ["I am {{name}} by {{author}}."]


# D21
def test_oasst_leaves_out_what_is_void_or_unranked():
    tree = {"text": "q", "role": "prompter", "replies": []}
    for text, rank, void in (("a", 1, False), ("b", 0, False), ("c", None, False), ("d", 2, True)):
        tree["replies"].append({"text": text, "role": "assistant", "rank": rank, "deleted": void})
    tree["replies"][0]["replies"] = [{"text": "more", "role": "prompter", "replies": []}]
    row = Row({"message_tree_id": "t", "prompt": tree})
    [reading] = DIALECTS["oasst"].read(row)
    assert (texts(reading), reading.votes[0].payload["choice"]) == (["b", "a"], 0)
    assert (
        sorted(row.notes) == ["unranked_left_out", "void_left_out", "void_left_out"] or "unranked_left_out" in row.notes
    )


# D23
def test_label_studio_leaves_out_cancelled_annotations():
    row, _, _ = GOLDEN["label_studio"][0]
    cancelled = row["annotations"][0] | {"was_cancelled": True}
    reading = read("label_studio", row | {"annotations": [*row["annotations"], cancelled]})
    assert [(v.payload["choice"], v.ms_active) for v in reading.votes] == [(0, 12500)]
    assert reading.votes[0].annotator not in (None, "2")


# D28
MAPPING = {"prompt": "question", "answers": ["a", "b"], "label": "vote", "annotator": "who"}
FLAT = {"question": "2 + 2?", "a": "4.", "b": "5.", "vote": "a", "who": "u1"}


@pytest.mark.parametrize(
    ("vote", "values", "choice"), [("a", {}, 0), ("b", {}, 1), ("tie", {}, "tie"), ("2", {"2": "b"}, 1)]
)
def test_columns_follow_the_mapping(vote, values, choice):
    [reading] = columns.read(Row(FLAT | {"vote": vote}, cells=True), columns.check(MAPPING | {"values": values}))
    assert (texts(reading), reading.votes[0].payload["choice"]) == (["4.", "5."], choice)
    assert "u1" not in str(reading)


def test_columns_without_a_vote_and_with_a_bad_one():
    assert columns.read(Row(FLAT | {"vote": ""}), MAPPING)[0].votes == ()
    with pytest.raises(Reject, match="bad_choice"):
        columns.read(Row(FLAT | {"vote": "c"}), MAPPING)
    one = {"prompt": "question", "answers": ["a"], "label": "vote"}
    assert columns.read(Row(FLAT | {"vote": "TRUE"}), one)[0].votes[0].payload == {"candidate": 0, "label": True}


@pytest.mark.parametrize(
    "mapping",
    [[], {}, {"prompt": 1}, {"prompt": "q", "x": "y"}, {"prompt": "q", "label": "l"}, {"prompt": "q", "answers": "a"}],
)
def test_columns_say_what_a_mapping_lacks(mapping):
    from workbench.errors import UsageError

    with pytest.raises(UsageError, match="mapping"):
        columns.check(mapping)


# D29
def test_prompts_keep_models_and_later_turns():
    row = {"prompt": "q", "candidates": [{"model": "m1", "text": " a"}, {"model": "m2", "response": "b"}, "c"]}
    reading = read("prompts", row)
    assert [(c.source, c.messages[0].content) for c in reading.candidates] == [("m1", " a"), ("m2", "b"), (None, "c")]
    reading = read("prompts", {"turns": ["first", "second"], "category": "writing"})
    assert (said(reading.prompt), reading.origin, reading.tags) == (
        [("user", "first")],
        {"later_turns": ["second"]},
        ("writing",),
    )


# D30
def test_pandalm_has_a_vote_per_annotator():
    row, _, _ = GOLDEN["pandalm"][0]
    assert [v.annotator for v in read("pandalm", row).votes] == ["annotator1", "annotator2", "annotator3"]
    assert refused("pandalm", row | {"response1": True}) == ("wrong_type", "response1")
    assert refused("pandalm", row | {"annotator2": 3}) == ("bad_choice", "annotator2")


# Strengths and sides of the other sources
@pytest.mark.parametrize(
    ("name", "change", "choice", "strength"),
    [
        ("shp", {"score_ratio": 4.0}, 0, 2.0),
        ("shp", {"score_ratio": 1000}, 0, 3.0),
        ("shp", {"labels": 0, "score_ratio": 1.0}, 1, None),
        ("webgpt", {"score_0": -0.5}, 1, 1.5),
        ("webgpt", {"score_0": 0}, "tie", None),
        ("helpsteer", {"individual_preference": None, "overall_preference": -2}, 0, 2.0),
        ("helpsteer", {"individual_preference": None, "overall_preference": 0}, "tie", None),
    ],
)
def test_numbers_become_side_and_strength(name, change, choice, strength):
    vote = read(name, GOLDEN[name][0][0] | change).votes[0]
    assert vote.payload == {"choice": choice, "strength": strength}


@pytest.mark.parametrize(
    ("name", "at", "change"),
    [
        ("shp", 0, {"labels": 2}),
        ("helpsteer", 2, {"preference_strength": 1}),
        ("helpsteer", 1, {"overall_preference": 4}),
        ("arena", 0, {"winner": "model_c"}),
        ("arena", 1, {"winner_tie": 1}),
        ("alpaca_eval", 0, {"preference": None}),
        ("alpaca_eval", 0, {"preference": 3}),
        ("pku_safe", 0, {"safer_response_id": 2}),
        ("summarize_comparisons", 0, {"choice": 2}),
        ("prodigy", 0, {"accept": []}),
    ],
)
def test_a_choice_that_is_none_is_refused(name, at, change):
    assert refused(name, GOLDEN[name][at][0] | change)[0] == "bad_choice"


def test_people_are_never_named():
    for name in ("argilla1", "argilla2", "arena", "prodigy", "summarize_comparisons", "label_studio"):
        people = {v.annotator for row, *_ in GOLDEN[name] for r in DIALECTS[name].read(Row(row)) for v in r.votes}
        assert not people & {"u1", "u2", "u3", "j1", "w1", "s-u1", "2"}


# Shared
def test_cells_may_hold_messages_as_json():
    turns = json.dumps([{"role": "user", "content": "q"}])
    row = {"prompt": turns, "chosen": '[{"role": "assistant", "content": "a"}]', "rejected": "[1, 2]"}
    reading = read("trl_preference", row, cells=True)
    assert (said(reading.prompt), texts(reading)) == ([("user", "q")], ["a", "[1, 2]"])


def test_roles_and_parts():
    row = Row({})
    names = {"Human": "user", "prompter": "user", "GPT": "assistant", "developer": "system", "ipython": "tool"}
    assert {name: row.message({"role": name, "content": ""}, "m").role for name in names} == names
    parts = [{"type": "text", "text": "a"}, {"type": "text", "value": "b"}]
    assert row.message({"role": "user", "content": parts}, "m").content == "a\nb"
    assert row.notes == ["parts_joined"]
    with pytest.raises(Reject, match="unknown_role"):
        row.message({"role": "narrator", "content": ""}, "m")
    with pytest.raises(Reject, match="too_many_turns"):
        row.messages([{"role": "user", "content": ""}] * 513, "m")


def test_dialects_are_found_by_share():
    sample = [Row({"prompt": "a", "chosen": "b", "rejected": "c"})] * 9
    assert registry.winner(registry.scores([*sample, Row({"prompt": 1})])) == "trl_preference"
    assert registry.winner(registry.scores([*sample[:8], *[Row({"x": 1})] * 2])) is None
    assert registry.winner({"prompts": 1.0, "trl_preference": 0.95}) is None
    assert registry.winner({"trl_preference": 1.0, "prompts": 0.95}) == "trl_preference"
