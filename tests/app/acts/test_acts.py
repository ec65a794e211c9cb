"""Acts check what they are given, and say what is missing, before anything is stored or started."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workbench.app.actions import ACTIONS
from workbench.app.house import House
from workbench.errors import InputError, ModelError, NotAllowed, NotFound, UsageError
from workbench.settings import Settings
from workbench.store import imports


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    opened = House.open(Settings(home=tmp_path / "home"))
    yield opened
    opened.close()


@pytest.fixture
def project(house: House) -> int:
    return do(house, "project_create", name="herbs")["id"]


def do(house: House, act: str, actor: str = "local", **values: Any) -> dict[str, Any]:
    return ACTIONS[act](house, actor, **values)


def pairs(path: Path, good: int, broken: int = 0) -> Path:
    lines = [json.dumps({"prompt": f"Question {n}?", "chosen": f"Yes {n}", "rejected": f"No {n}"}) for n in range(good)]
    path.write_text("\n".join(lines + ["{broken"] * broken) + "\n")
    return path


def test_every_act_names_its_role() -> None:
    assert {act.role for act in ACTIONS.values()} == {"annotator", "lead", "admin"}


def test_a_wrong_value_is_named_with_what_was_given(house: House) -> None:
    with pytest.raises(UsageError, match=r"eval_share: .*0\.2.*got 0\.9"):
        do(house, "project_create", name="herbs", eval_share=0.9)
    with pytest.raises(UsageError, match="colour"):
        do(house, "project_create", name="herbs", colour="green")


def test_nothing_counts_before_it_is_confirmed(house: House, project: int, tmp_path: Path) -> None:
    parsed = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 20))
    assert parsed["report"]["accepted"] == 20
    assert do(house, "data", project=project)["items"]["pair"] == 0
    stored = do(house, "import_confirm", project=project, number=parsed["import"])
    assert (stored["items"], stored["judgements"]) == (20, 20)
    assert do(house, "data", project=project)["units"]["pairs"] == 20
    with pytest.raises(UsageError, match="stored already"):
        do(house, "import_confirm", project=project, number=parsed["import"])


def test_many_broken_lines_ask_for_consent(house: House, project: int, tmp_path: Path) -> None:
    parsed = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 40, broken=20))
    number = parsed["import"]
    with pytest.raises(UsageError, match="--accept-rejects"):
        do(house, "import_confirm", project=project, number=number)
    assert imports.all(house.store, project) == []
    assert do(house, "import_confirm", project=project, number=number, accept_rejects=True)["items"] == 40


def test_discarded_imports_are_gone(house: House, project: int, tmp_path: Path) -> None:
    for _ in range(2):
        number = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 3))["import"]
        do(house, "import_discard", project=project, number=number)
        with pytest.raises(NotFound, match=f"no parsed import {number}"):
            do(house, "import_confirm", project=project, number=number)


def test_a_stored_import_cannot_be_discarded_through_another_project(
    house: House, project: int, tmp_path: Path
) -> None:
    other = do(house, "project_create", name="other")["id"]
    number = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 3))["import"]
    with pytest.raises(NotFound, match="in this project"):
        do(house, "import_confirm", project=other, number=number)
    do(house, "import_confirm", project=project, number=number)
    for asked in (project, other):
        with pytest.raises((UsageError, NotFound)):
            do(house, "import_discard", project=asked, number=number)
    assert (house.home / "imports" / f"{number:06d}" / "batch.parquet").exists()


def test_the_same_labels_are_the_same_snapshot(house: House, project: int, tmp_path: Path) -> None:
    number = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 12))["import"]
    do(house, "import_confirm", project=project, number=number)
    first, second = do(house, "snapshot", project=project), do(house, "snapshot", project=project)
    assert (first["new"], second["new"], second["hash"]) == (True, False, first["hash"])


def test_training_says_how_many_labels_are_missing(house: House, project: int) -> None:
    with pytest.raises(UsageError, match="label at least 9 more"):
        do(house, "train", project=project, method="dpo", model="demo-tiny")
    plan = do(house, "plan", project=project, method="dpo", model="demo-tiny")
    assert (plan["needs"], plan["missing"], plan["preset"]["tuning"]) == ("more", 9, "full")
    assert house.runs.numbers() == []


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"method": "dpo", "model": "nobody"}, "demo-tiny"),
        ({"method": "magic", "model": "demo-tiny"}, "simpo"),
        ({"method": "dpo", "model": "demo-tiny", "hparams": {"beta": -1}}, "beta"),
    ],
)
def test_a_start_that_cannot_be_leaves_no_run(
    house: House, project: int, tmp_path: Path, values: dict[str, Any], said: str
) -> None:
    number = do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 20))["import"]
    do(house, "import_confirm", project=project, number=number)
    with pytest.raises((UsageError, NotFound), match=said):
        do(house, "train", project=project, **values)
    assert house.runs.numbers() == []


@pytest.mark.rule("S25")
def test_only_the_own_command_line_names_folders_of_the_server(house: House, tmp_path: Path) -> None:
    with pytest.raises(NotAllowed, match="command line"):
        do(house, "model_add", actor="ada", source=str(tmp_path))


@pytest.mark.rule("S22")
def test_a_pickled_model_is_refused_before_anything_is_copied(house: House, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelError, match=r"pytorch_model\.bin"):
        do(house, "model_add", source=str(folder))
    assert not (house.home / "models" / "pickled").exists()


def test_the_demo_is_made_once(house: House) -> None:
    first = do(house, "demo_create")
    assert first["items"] > 500
    assert do(house, "demo_create") == {"project": first["project"]}


def test_a_missing_file_is_named(house: House, project: int, tmp_path: Path) -> None:
    with pytest.raises((NotFound, InputError), match=r"gone\.jsonl"):
        do(house, "import_file", project=project, path=tmp_path / "gone.jsonl")


def test_a_reader_that_takes_too_long_is_ended_and_says_so(
    house: House, project: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workbench.app.acts.data.PARSE_SECONDS", 0)
    with pytest.raises(InputError, match=r"a\.jsonl: reading it took longer than 0 minutes"):
        do(house, "import_file", project=project, path=pairs(tmp_path / "a.jsonl", 3))
