"""The import child end to end: real files line by line, and the ways a file can need a decision."""

import pytest

# file, dialect, lines, rejects by reason, items, judgements
REAL = [
    ("hh-rlhf/harmless-base.test.jsonl", "hh_rlhf", 500, {"empty_answer": 1}, 499, 499),
    ("llama-factory/dpo_en_demo.json", "llamafactory", 100, {}, 100, 100),
    ("llama-factory/dpo_zh_demo.json", "llamafactory", 100, {}, 99, 100),
    ("llama-factory/kto_en_demo.json", "llamafactory", 100, {}, 100, 100),
    ("llama-factory/v1_dpo_demo.jsonl", "llamafactory", 10, {}, 10, 10),
    ("llama-factory/identity.json", "demonstrations", 91, {}, 91, 0),
    ("pandalm/testset-v1.json", "pandalm", 300, {"wrong_type": 6, "empty_answer": 3}, 253, 873),
    ("self-instruct/candidates.jsonl", "prompts", 100, {}, 790, 0),
    ("self-instruct/davinci_predictions.jsonl", "prompts", 100, {}, 100, 0),
    ("fastchat/mt_bench_question.jsonl", "prompts", 80, {}, 80, 0),
    ("ifeval/input_data.jsonl", "prompts", 100, {}, 100, 0),
]


@pytest.mark.parametrize(("file", "dialect", "lines", "reasons", "items", "judgements"), REAL)
def test_every_line_of_a_real_file_is_accounted_for(
    realdata, bring_in, file, dialect, lines, reasons, items, judgements
):
    done = bring_in(realdata / file)
    report = done.report
    assert (report["dialect"], report["error"], report["needs"]) == (dialect, None, None)
    assert (report["lines"], report["reasons"]) == (lines, reasons)
    assert done.conserved()
    assert (report["items"], report["judgements"]) == (items, judgements)
    assert len({row["key"] for row in done.rows}) == items
    assert len(report["preview"]) == 3
