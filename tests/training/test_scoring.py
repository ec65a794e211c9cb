"""The child that scores: its scores are those of the model itself, and it says how far it is and why it failed."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from tests.training.conftest import FORMAL, FRIENDLY, TOPICS, said, turns
from workbench.jobs.folder import Reporter, read_json, write_json
from workbench.training import scoring
from workbench.training.scoring import main, score


def item(number: int, *answers: str, **rest: Any) -> dict[str, Any]:
    told = {"prompt": json.dumps(turns(f"tell me about {TOPICS[number]}")), "form": "chat"}
    candidates = json.dumps([{"messages": said(answer), "source": None} for answer in answers])
    return {"item": number, "candidates": candidates, "control": number == 1, "unseen": number != 1} | told | rest


@pytest.fixture
def job(tmp_path, scorer):
    def make(*rows: dict[str, Any], model: Path = scorer) -> Path:
        folder = tmp_path / "000001"
        folder.mkdir()
        pq.write_table(pa.Table.from_pylist(list(rows)), folder / "items.parquet")
        place = {"name": "judge", "path": str(model), "base_path": None}
        write_json(folder / "config.json", {"model": place, "items": "items.parquet", "out": f"{folder}.parquet"})
        return folder

    return make


@pytest.fixture
def directly(scorer, words):
    """What the model itself says of a prompt and an answer, alone."""
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(scorer).eval(), words()

    @torch.no_grad()
    def of(number: int, answer: str) -> float:
        text = tokenizer.apply_chat_template([*turns(f"tell me about {TOPICS[number]}"), *said(answer)], tokenize=False)
        ids = tokenizer(text.rstrip("\n"), add_special_tokens=False, return_tensors="pt").input_ids
        return model(input_ids=ids).logits.item()

    return of


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return pq.read_table(folder.with_suffix(".parquet")).to_pylist()


def test_scores_are_those_of_the_model_itself(job, directly, monkeypatch):
    monkeypatch.setattr(scoring, "AT_ONCE", 2)
    answers = {1: [" ".join(FRIENDLY), FORMAL[0]], 2: [FORMAL[1], "sure", "fun hey sure"], 3: [" ".join(FORMAL), "hey"]}
    folder = job(*(item(number, *texts) for number, texts in answers.items()))
    assert score(folder, Reporter(folder))
    found = rows_of(folder)
    assert [row["item"] for row in found] == [1, 2, 3]
    assert [(row["control"], row["unseen"]) for row in found] == [(True, False), (False, True), (False, True)]
    for row in found:
        assert row["scores"] == pytest.approx([directly(row["item"], a) for a in answers[row["item"]]], abs=1e-4)


def test_what_the_model_cannot_be_told_has_no_score(job):
    calls = json.dumps([*turns("tell me"), {"role": "tool", "content": "4", "extra": {}}])
    endless = json.dumps(turns(" ".join(["tell"] * 5000)))
    folder = job(item(1, "hey", "sure"), item(2, "hey", "sure", prompt=calls), item(3, "hey", "sure", prompt=endless))
    assert score(folder, Reporter(folder))
    assert [row["item"] for row in rows_of(folder)] == [1]


def run(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr("sys.argv", ["scoring", "--job", str(folder)])
    main()
    return read_json(folder / "status.json")


def test_it_says_how_far_it_came(job, monkeypatch):
    status = run(job(item(1, "hey", "sure"), item(2, "fun", "hey")), monkeypatch)
    assert [status[name] for name in ("state", "step", "steps", "scored")] == ["done", 2, 2, 2]


def test_it_stops_when_asked_and_leaves_nothing(job, monkeypatch):
    folder = job(item(1, "hey", "sure"))
    write_json(folder / "control.json", {"action": "stop"})
    assert run(folder, monkeypatch)["state"] == "stopped"
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_model_that_cannot_score_is_named(job, tiny, monkeypatch):
    status = run(job(item(1, "hey", "sure"), model=tiny), monkeypatch)
    assert status["state"] == "failed"
    assert "cannot score answers" in status["message"]
