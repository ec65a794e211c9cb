"""The files for other tools: read back by our own dialects, they say what the snapshot says."""

import json

import pytest
from frozen import pair, said, snapshot, thumb, write

from workbench.formats.extra import write_extra

PAIRS = {(f"Question {at}?", f" Yes {at}.", 0) for at in range(3)}
THUMBS = {("Question 6?", " So 6.", True), ("Question 7?", " So 7.", False)}
FILES = {
    "llamafactory/preference.json": ("llamafactory", PAIRS),
    "llamafactory/kto.json": ("llamafactory", THUMBS),
    "ms_swift/preference.jsonl": ("ms_swift", PAIRS),
    "ms_swift/kto.jsonl": ("ms_swift", THUMBS),
    "openai_dpo/preference.jsonl": ("openai_dpo", PAIRS),
}


@pytest.mark.parametrize("file", FILES)
def test_each_file_comes_back(tmp_path, bring_in, file):
    dialect, expected = FILES[file]
    counts = write_extra(snapshot(tmp_path / "snap"), tmp_path / "extra")
    assert counts == {name: len(rows) for name, (_, rows) in FILES.items()}
    done = bring_in(tmp_path / "extra" / file)
    assert (done.report["dialect"], done.report["rejected"]) == (dialect, 0)
    told = set()
    for row in done.rows:
        [payload] = [vote["payload"] for vote in row["judgements"]]
        better = row["candidates"][payload.get("choice", 0)]["messages"][0]["content"]
        told.add((row["prompt"][0]["content"], better, payload.get("label", 0)))
    assert told == expected


def test_rows_that_a_tool_cannot_take_are_listed(tmp_path):
    two = [*said("assistant", "a"), *said("user", "b"), *said("assistant", "c")]
    tables = {
        "pairs": [pair(1), pair(2, chosen=two), pair(3, prompt=said("user", "a") + said("user", "b"))],
        "thumbs": [thumb(4, True, prompt=said("system", "Be brief.") + said("user", "q"))],
    }
    counts = write_extra(write(tmp_path / "snap", tables), tmp_path / "extra")
    assert counts["llamafactory/preference.json"] == 1
    assert counts["ms_swift/preference.jsonl"] == counts["openai_dpo/preference.jsonl"] == 2
    skipped = [json.loads(line) for line in (tmp_path / "extra/skipped.jsonl").read_text().splitlines()]
    assert {line["reason"] for line in skipped} == {"answer_of_several_messages", "turns_do_not_alternate"}
    [row] = json.loads((tmp_path / "extra/llamafactory/kto.json").read_text())
    assert (row["system"], [t["from"] for t in row["conversations"]]) == ("Be brief.", ["human", "gpt"])


def test_without_rows_there_is_no_folder(tmp_path):
    assert write_extra(write(tmp_path / "snap", {}), tmp_path / "extra") == {}
    assert not (tmp_path / "extra").exists()
