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

UNSAID = {"said": None, "fold": 0}


def item(number: int, *answers: str, **rest: Any) -> dict[str, Any]:
    told = {"prompt": json.dumps(turns(f"tell me about {TOPICS[number]}")), "form": "chat"}
    candidates = json.dumps([{"messages": said(answer), "source": None} for answer in answers])
    return (
        {"item": number, "candidates": candidates, "control": number == 1, "unseen": number != 1} | UNSAID | told | rest
    )


@pytest.fixture
def job(tmp_path, scorer):
    def make(*rows: dict[str, Any], model: Path = scorer, base: Path | None = None) -> Path:
        folder = tmp_path / "000001"
        folder.mkdir()
        said = pa.array([row.pop("said") for row in rows], pa.float32())
        pq.write_table(pa.Table.from_pylist(list(rows)).append_column("said", said), folder / "items.parquet")
        place = {"name": "judge", "path": str(model), "base_path": None}
        under = base and {"name": "base", "path": str(base), "base_path": None, "kind": "causal"}
        write_json(folder / "config.json", {"model": place, "base": under, "items": "items.parquet"})
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


def labelled(n: int) -> list[dict[str, Any]]:
    """The friendlier answer is better; every tenth label is turned round, every fifth is of no model's learning."""
    rows = []
    for i in range(n):
        answers, better = (" ".join(words[i % 3 :]) for words in (FRIENDLY, FORMAL)), i % 2
        texts = list(answers)[:: -1 if better else 1]
        rows.append(item(i % len(TOPICS), *texts, item=i, unseen=i % 5 == 4, fold=i % len(TOPICS) % 5))
        rows[-1]["said"] = float(1 - better if i % 10 else better)
    return rows


def test_what_the_model_has_learnt_a_probe_judges_that_has_not(job, tiny):
    folder = job(*labelled(120), base=tiny)
    assert score(folder, Reporter(folder))
    found = {row["item"]: row["crossed"] for row in rows_of(folder)}
    assert [i for i, p in found.items() if p is None] == [i for i in range(120) if i % 5 == 4]
    against = [i for i, p in found.items() if p is not None and (p > 0.5) != (i % 2 == (i % 10 == 0))]
    assert against == list(range(0, 120, 10))


@pytest.mark.parametrize(("n", "has_base"), [(120, False), (20, True)])
def test_without_a_base_or_enough_labels_nobody_judges(job, tiny, n, has_base):
    folder = job(*labelled(n), base=tiny if has_base else None)
    assert score(folder, Reporter(folder))
    assert {row["crossed"] for row in rows_of(folder)} == {None}


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
