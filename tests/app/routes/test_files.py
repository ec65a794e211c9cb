"""Downloads by id: whose they are, and that nothing else of the disk comes out."""

import csv
import io
from typing import Any
from urllib.parse import quote

import pytest

from workbench.app.routes.files import offer
from workbench.store import audit

TRICKS = [
    "/etc/passwd", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "x%00",
    "..\\..\\etc\\passwd", "/proc/self/environ", "workbench.duckdb", "../workbench.duckdb", "journal/000001.jsonl",
    "../server.json", "C:\\boot.ini", "....//....//etc/passwd", "~/.ssh/id_rsa", "%252e%252e%252fetc%252fpasswd",
]  # fmt: skip


def test_a_file_comes_to_its_owner_only(house_app: Any, as_user: Any) -> None:
    path = house_app.house.home / "exports" / "answers.jsonl"
    path.write_text("{}\n")
    address = offer(house_app.house, "lea", path)
    answer = as_user("lea").get(address)
    assert answer.text == "{}\n"
    assert 'filename="answers.jsonl"' in answer.headers["content-disposition"]
    assert as_user("ada").get(address).status_code == 404
    path.unlink()
    assert as_user("lea").get(address).status_code == 404


def test_a_folder_is_no_file(house_app: Any, as_user: Any) -> None:
    folder = house_app.house.home / "exports" / "dataset-1"
    folder.mkdir()
    assert as_user("lea").get(offer(house_app.house, "lea", folder)).status_code == 404


@pytest.mark.rule("S01")
@pytest.mark.parametrize("trick", TRICKS)
def test_no_path_gets_a_file(as_user: Any, trick: str) -> None:
    for prefix in ("/api/file/", "/assets/", "/assets/public/", "/assets/i18n/", "/app/assets/", "/app/static/",
                   "/app/gradio_api/file=", "/app/file/"):  # fmt: skip
        for address in (prefix + trick, prefix + quote(trick, safe="")):
            answer = as_user("ada").get(address)
            assert answer.status_code in (400, 404, 422), address
            assert "root:" not in answer.text
            assert "genesis" not in answer.text


@pytest.mark.rule("S12")
def test_the_log_as_a_table_holds_no_formula(house_app: Any, as_user: Any) -> None:
    audit.note(house_app.house.store, "lea", "=cmd|' /C calc'!A0", title="@SUM(1)")
    table = as_user("ada").get("/api/audit.csv?who=lea")
    assert table.headers["content-type"].startswith("text/csv")
    [row] = [line for line in csv.reader(io.StringIO(table.text)) if "cmd" in line[2]]
    assert row[1:] == ["lea", "'=cmd|' /C calc'!A0", '{"title": "@SUM(1)"}']
    assert as_user("ada").get("/api/audit.csv?who=nobody").text.count("\n") == 1
    assert as_user("lea").get("/api/audit.csv").status_code == 403


@pytest.mark.rule("S26")
def test_what_is_offered_lies_in_the_home(house_app: Any, tmp_path: Any) -> None:
    with pytest.raises(AssertionError):
        offer(house_app.house, "lea", tmp_path)
