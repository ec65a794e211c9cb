"""The import child end to end: real files line by line, and the ways a file can need a decision."""

import json

import pytest

from workbench.formats import registry

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
    done = bring_in(realdata / file, child=lines == 500)
    report = done.report
    assert (report["dialect"], report["error"], report["needs"]) == (dialect, None, None)
    assert (report["lines"], report["reasons"]) == (lines, reasons)
    assert done.conserved()
    assert (report["items"], report["judgements"]) == (items, judgements)
    assert len({row["key"] for row in done.rows}) == items
    assert len(report["preview"]) == 3


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def pairs(count: int, start: int = 0) -> list[dict]:
    return [{"prompt": f"Q{i}", "chosen": " yes", "rejected": " no"} for i in range(start, start + count)]


def test_the_batch_has_the_texts_as_they_stand_and_says_where_they_are_from(bring_in):
    odd = " \r\n\u2028👩‍👧 é‮ "
    done = bring_in(lines({"id": 7, "prompt": odd + "?", "chosen": odd + "a", "rejected": odd + "b", "margin": 1}))
    [row] = done.rows
    assert row["prompt"] == [{"role": "user", "content": odd + "?"}]
    assert {c["messages"][0]["content"] for c in row["candidates"]} == {odd + "a", odd + "b"}
    [vote] = row["judgements"]
    assert (vote["kind"], vote["axis"], vote["annotator"]) == ("pair", "overall", None)
    assert row["candidates"][vote["payload"]["choice"]]["messages"][0]["content"] == odd + "a"
    origin = row["origin"]
    assert (origin["line"], origin["dialect"], origin["id"], origin["kept"]) == (
        1,
        "trl_preference",
        "7",
        {"margin": 1},
    )
    assert (origin["import"], origin["file"]) == (int(done.folder.name), "rows.jsonl")
    assert row["form"] == "text"


def test_markup_is_rendered_in_the_child(bring_in):
    [row] = bring_in(lines({"prompt": "Say *hi* <script>", "response": "plain"}), tasks=["thumb"]).rows
    assert row["prompt"][0]["html"] == "<p>Say <em>hi</em> &lt;script&gt;</p>\n"
    assert "html" not in row["candidates"][0]["messages"][0]


def test_an_unknown_shape_asks_for_a_dialect_and_shows_the_columns(bring_in):
    row = {"q": "2 + 2?", "one": "4.", "two": "5.", "vote": "one", "who": "ann@example.org"}
    report = bring_in(lines(row)).report
    assert (report["needs"], report["dialect"], report["columns"]) == ("--dialect", None, list(row))
    assert (report["lines"], report["error"]) == (0, None)
    mapping = {"prompt": "q", "answers": ["one", "two"], "label": "vote", "annotator": "who"}
    done = bring_in(lines(row), mapping=mapping)
    assert (done.report["dialect"], done.report["judgements"], done.report["needs"]) == ("columns", 1, None)
    assert "ann@" not in (done.folder / "batch.parquet").read_bytes().decode("latin-1")


def test_what_the_user_names_is_checked(bring_in):
    assert "no dialect 'x'" in bring_in(lines(*pairs(1)), dialect="x").report["error"]
    assert "name at least the prompt" in bring_in(lines(*pairs(1)), mapping={}).report["error"]
    done = bring_in(lines(*pairs(2)), dialect="prompts")
    assert (done.report["dialect"], done.report["accepted"], done.report["judgements"]) == ("prompts", 2, 0)


@pytest.mark.parametrize(("bad", "needs"), [(10, None), (11, "--accept-rejects")])
def test_more_than_a_fifth_of_rejects_asks(bring_in, bad, needs):
    done = bring_in(lines(*pairs(51 - bad)) + lines(*({"prompt": "", "chosen": "a", "rejected": "b"},) * bad))
    assert done.report["needs"] == needs
    assert done.conserved()
    assert done.report["reasons"] == {"empty_prompt": bad}


def test_a_short_file_may_have_many_rejects(bring_in):
    done = bring_in(lines(*pairs(2)) + "\n\n\n")
    assert (done.report["needs"], done.report["reasons"]) == (None, {"blank_line": 3})


@pytest.mark.rule("R20")
def test_a_file_of_faults_is_told_line_by_line(bring_in):
    good = lines(*pairs(60)).splitlines(keepends=True)
    faults = {
        "blank_line": b"\n",
        "bad_utf8": b'{"prompt": "\xff"}\n',
        "bad_json": b'{"prompt": \n',
        "nul_char": b'{"prompt": "\\u0000"}\n',
        "missing_field": b'{"prompt": "x", "chosen": "y"}\n',
        "wrong_type": b'{"prompt": "x", "chosen": 1, "rejected": "z"}\n',
        "identical_answers": b'{"prompt": "x", "chosen": "y", "rejected": " y\\n"}\n',
        "empty_answer": b'{"prompt": "x", "chosen": " ", "rejected": "y"}\n',
    }
    data = "".join(good).encode() + b"".join(faults.values())
    done = bring_in(data)
    assert done.conserved()
    assert [r["reason"] for r in done.rejects] == list(faults)
    assert [r["line"] for r in done.rejects] == list(range(61, 69))
    columns = {r["reason"]: r["column"] for r in done.rejects}
    assert (columns["missing_field"], columns["empty_answer"]) == ("rejected", "chosen")
    assert all(r["file"] == "rows.jsonl" and len(r["excerpt"]) <= 80 for r in done.rejects)


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (b"", "rows.jsonl", "no rows"),
        (b'[{"a": 1},', "rows.json", "not valid JSON at byte"),
        (b"hello\nworld\n", "rows.jsonl", "no line is a JSON object"),
        (b"PAR1", "rows.parquet", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(bring_in, data, name, says):
    report = bring_in(data, name).report
    assert says in report["error"]
    assert name in report["error"]


@pytest.mark.rule("S29")
def test_a_tiny_parquet_file_that_unpacks_to_much_is_refused(bring_in, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "bomb.parquet"
    big = pa.ListArray.from_arrays(pa.array([0, 2**24], pa.int32()), pa.repeat(True, 2**24))
    pq.write_table(pa.table({"prompt": ["x"], "label": big}), path, compression="zstd")
    assert path.stat().st_size < 100_000
    report = bring_in(path, child=True).report
    assert "unpack" in report["error"]


@pytest.mark.rule("R20")
def test_a_line_of_100_mb_passes_by_in_bounded_memory(bring_in, tmp_path):
    path = tmp_path / "long.jsonl"
    with path.open("wb") as out:
        out.write(lines(*pairs(1)).encode() + b'{"prompt": "')
        for _ in range(100):
            out.write(b"x" * 2**20)
        out.write(b'"}\n' + lines(*pairs(1, 1)).encode())
    done = bring_in(path, child=True)
    assert (done.report["accepted"], done.report["reasons"]) == (2, {"line_too_long": 1})


def test_answers_without_labels_follow_the_tasks(bring_in):
    row = {"prompt": "q", "responses": ["a", "b", "c"]}
    assert sorted(len(r["candidates"]) for r in bring_in(lines(row), tasks=["pair"]).rows) == [2, 2, 2]
    assert sorted(len(r["candidates"]) for r in bring_in(lines(row), tasks=["thumb"]).rows) == [1, 1, 1]
    assert [len(r["candidates"]) for r in bring_in(lines({"prompt": "q"})).rows] == [0]


def test_the_same_file_gives_the_same_batch(bring_in):
    batches = [bring_in(lines(*pairs(5))) for _ in range(2)]
    assert [row["key"] for row in batches[0].rows] == [row["key"] for row in batches[1].rows]


def test_real_trees_and_pairwise_exports(realdata, bring_in):
    trees = bring_in(realdata / "open-assistant/en_100_tree.jsonl")
    assert (trees.report["dialect"], trees.report["lines"], trees.report["items"]) == ("oasst", 30, 59)
    assert sum(len(r["candidates"]) * (len(r["candidates"]) - 1) // 2 for r in trees.rows) == 217
    studio = bring_in(realdata / "synthetic-shapes/label-studio-pairwise-export.json")
    assert (studio.report["dialect"], studio.report["reasons"]) == ("label_studio", {"empty_answer": 1})


def test_real_chinese_rows_keep_what_was_broken_before(realdata, bring_in):
    done = bring_in(realdata / "llama-factory/dpo_zh_demo.json")
    assert done.report["notes"] == {"replacement_character": 2}


def test_a_fault_of_the_program_names_the_line(bring_in, monkeypatch):
    read = registry.DIALECTS["trl_preference"].read

    def fault(row):
        return read(row) if row.fields["prompt"] != "Q2" else {}["missing"]

    monkeypatch.setattr(registry.DIALECTS["trl_preference"], "read", fault)
    monkeypatch.setattr(registry, "fits", lambda dialect, row: dialect is registry.DIALECTS["trl_preference"])
    report = bring_in(lines(*pairs(5))).report
    assert report["error"].endswith("line 3: a fault of the program, KeyError: 'missing'")
