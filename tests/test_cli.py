"""Commands on a home of their own and through a running server: same words, same values, same exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from workbench import cli
from workbench.app import commands, remote
from workbench.errors import Conflict, HomeUnusable, NotFound, StoreDamaged, WorkbenchError
from workbench.jobs.folder import read_json
from workbench.settings import Settings, own_address
from workbench.store.db import Store
from workbench.training.hparams import knobs
from workbench.training.methods import METHODS

ROWS = 24
SERVE = [sys.executable, "-m", "workbench.cli", "serve"]


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


Workbench = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "a home"


@pytest.fixture
def workbench(home: Path, capsys: pytest.CaptureFixture[str]) -> Workbench:
    def run(*words: str) -> Said:
        try:
            code = cli.main([*words, "--home", str(home)])
        except SystemExit as end:
            code = end.code
        return Said(code, *capsys.readouterr())

    return run


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    rows = [
        {"prompt": f"What is {i} + 1?", "chosen": f"It is {i + 1}!", "rejected": f"No idea {i}."} for i in range(ROWS)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(params=["own", "server"])
def anywhere(request: pytest.FixtureRequest, home: Path, workbench: Workbench) -> Workbench:
    """The same commands with and without a server."""
    if request.param == "server":
        request.getfixturevalue("start_server")(home)
    return workbench


def test_data_in_and_out(anywhere: Workbench, pairs: Path, tmp_path: Path) -> None:
    empty = anywhere("snapshot")
    assert (empty.code, empty.out) == (2, "")
    assert empty.err == "workbench: say which --project: there are none yet; make one: workbench project create NAME\n"

    made = anywhere("project", "create", "tour", "--task", "pair", "--eval-share", "0.2", "--json").value
    assert (made["name"], made["tasks"], made["eval_share"]) == ("tour", ["pair"], 0.2)
    assert "tour" in anywhere("project", "list").out

    guideline = tmp_path / "guideline.md"
    guideline.write_text("Short beats long.")
    changed = anywhere("project", "change", "tour", "--guideline", str(guideline), "--archive", "--json").value
    assert (changed["guideline"], changed["archived"]) == ("Short beats long.", True)
    assert anywhere("project", "list").out == "none yet\n"
    assert "tour" in anywhere("project", "list", "--archived").out
    assert anywhere("project", "change", "tour", "--no-archive").code == 0
    unsaid = anywhere("project", "change", "tour")
    assert (unsaid.code, "say what changes in tour" in unsaid.err) == (2, True)

    dry = anywhere("import", str(pairs), "--dry-run", "--json").value
    assert dry["report"]["dialect"] == "trl_preference"
    assert anywhere("snapshot", "--json").value["rows"].get("pairs", 0) == 0
    stored = anywhere("import", str(pairs), "--json").value
    assert (stored["import"]["items"], stored["import"]["judgements"]) == (ROWS, ROWS)
    again = anywhere("import", str(pairs), "--json").value
    assert (again["import"]["items"], again["import"]["merged"]) == (0, ROWS)

    frozen = anywhere("snapshot", "--json").value
    assert frozen["rows"]["pairs"] == ROWS
    assert frozen["hash"] in anywhere("snapshot").out
    out = tmp_path / "out put"
    exported = anywhere("export", "--out", str(out), "--license", "apache-2.0", "--json").value
    assert Path(exported["folder"]) == out
    assert list(out.rglob("*.parquet"))
    assert "apache-2.0" in (out / "README.md").read_text()

    assert anywhere("runs", "list", "--json").value == {"runs": []}
    invited = anywhere("users", "add", "ann", "--role", "lead", "--json").value
    assert invited["link"].startswith("http://127.0.0.1:")
    assert "/welcome#" in invited["link"]
    assert "lead" in anywhere("users", "list").out
    assert anywhere("users", "disable", "ann").code == 0
    assert anywhere("users", "list", "--json").value["users"][0]["disabled"]
    assert anywhere("users", "enable", "ann").code == 0
    assert "annotator" in anywhere("users", "role", "ann", "annotator").out
    assert anywhere("fsck", "--json").value == {"wrong": []}

    for words, code, named in (
        (("snapshot", "--project", "other"), 1, "tour"),
        (("project", "create", "tour"), 1, "tour"),
        (("runs", "show", "7"), 1, "7"),
        (("export", "--snapshot", "abc"), 1, "abc"),
        (("import", str(tmp_path / "none.jsonl")), 1, "none.jsonl"),
        (("train", "dpo", "--model", "no-such-model"), 1, "no-such-model"),
        (("compare", "one"), 2, "one"),
        (("import", str(pairs), "--map", "{"), 2, "--map"),
        (("export", "--form", "merged"), 2, "--form"),
        (("export", "--run", "1", "--snapshot", frozen["hash"]), 2, "--snapshot"),
        (("export", "--public"), 2, "--public"),
    ):
        said = anywhere(*words)
        assert (said.code, said.out, said.err.count("\n")) == (code, "", 1), said
        assert named in said.err


def test_an_invitation_leads_where_others_find_the_server(
    workbench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_HOST", "0.0.0.0")
    for words in (("add", "ann"), ("reset", "ann")):
        link = workbench("users", *words, "--json").value["link"]
        assert link.startswith(f"http://{own_address()}:7860/welcome#")
        assert not link.startswith("http://127.")
    for host, found in (("10.1.2.3", "10.1.2.3"), ("fd00::5", "[fd00::5]"), ("localhost", "localhost")):
        assert Settings(host=host).team_url == Settings(host=host).url == f"http://{found}:7860"
    refused = workbench("users", "add", "two words")
    assert (refused.code, "'two words': 1 to 64 letters" in refused.err) == (2, True)


def test_a_project_gets_rules_people_and_programs(workbench: Workbench, tmp_path: Path) -> None:
    guideline = tmp_path / "harmless.md"
    guideline.write_text("The **safer** one.")
    assert workbench("project", "create", "tour", "--task", "rank").code == 0
    assert "/welcome#" in workbench("users", "add", "ann").out
    change = ("project", "change", "tour")
    words = "--member ann --overlap 0.3 --quota 50 --deadline 2030-01-01 --pause --best-worst --write --names hold"
    axes = [part for name in ("harmless", "kind") for part in ("--axis", f"{name}={guideline}")]
    made = workbench(*change, *words.split(), *axes, "--json").value
    told = {
        key: made[key] for key in ("members", "overlap", "quota", "deadline", "paused", "best_worst", "write", "names")
    }
    assert told == {"members": ["ann"], "overlap": 0.3, "quota": 50, "deadline": "2030-01-01", "paused": True,
                    "best_worst": True, "write": True, "names": "hold"}  # fmt: skip
    words = "--everybody --quota 0 --deadline none --no-pause --axis kind="
    made = workbench(*change, *words.split(), "--json").value
    assert (made["members"], made["quota"], made["deadline"], made["paused"]) == (None, None, None, False)
    assert (made["axes"], made["overlap"], made["version"]) == ({"harmless": "The **safer** one."}, 0.3, 2)
    wrongs = (
        (("--member", "eve"), "eve"),
        (("--gold", "0.9"), "gold"),
        (("--axis", "kind"), "kind=FILE"),
        ((), "--help"),
    )
    for wrong, named in wrongs:
        said = workbench(*change, *wrong)
        assert (said.code > 0, said.err.count("\n"), named in said.err) == (True, 1, True), said

    assert workbench("users", "add", "kim", "--project", "tour").code == 0
    token = workbench("tokens", "add", "ci", "--user", "ann", "--days", "7", "--json").value["token"]
    listed = workbench("tokens", "list").out
    assert "ann" in listed
    assert token not in listed
    assert workbench("tokens", "revoke", "1").code == 0
    assert workbench("tokens", "list", "--json").value == {"tokens": []}
    found = workbench("audit", "--who", "local", "--json").value["entries"]
    acts = ["token_revoke", "token_add", "user_add", *["project_change"] * 2, "user_add", "project_create"]
    assert [entry["act"] for entry in found] == acts
    assert token not in workbench("audit").out
    assert workbench("audit", "--what", "token_add", "--limit", "1").out.count("\n") == 2


def test_training_is_followed_or_left(workbench: Workbench, pairs: Path) -> None:
    assert workbench("import", str(pairs), "--project", "tour").code == 0
    refused = workbench("train", "dpo", "--beta", "99")
    assert (refused.code, refused.err) == (2, "workbench: beta = '99': must be 0.001 to 50\n")

    done = workbench("train", "dpo", "--max-steps", "2", "--title", "first", "--json").value
    assert (done["run"], done["model"], done["status"]["state"]) == (1, "run-1", "done")
    left = workbench("train", "rm", "--epochs", "20", "--detach", "--json").value
    assert left["status"]["state"] in {"starting", "running"}
    assert workbench("runs", "stop", "2").code == 0
    listed = workbench("runs", "list", "--json").value["runs"]
    assert [(run["id"], run["method"], run["title"]) for run in listed] == [(2, "rm", None), (1, "dpo", "first")]
    assert workbench("runs", "show", "1").out.startswith("run 1 dpo: done, step 2 of 2, loss ")
    assert workbench("runs", "show", "1", "--json").value["config"]["hparams"]["max_steps"] == 2
    model = workbench("export", "--run", "1", "--json").value
    assert (Path(model["folder"]) / "model.safetensors").exists()
    assert "run-1" in workbench("models", "list").out


@pytest.mark.rule("R16")
def test_a_run_that_died_is_told_and_resumed(workbench: Workbench, pairs: Path, home: Path) -> None:
    assert workbench("import", str(pairs), "--project", "tour").code == 0
    assert workbench("train", "rm", "--max-steps", "2", "--detach").code == 0
    os.kill(read_json(home / "runs" / "000001" / "child.json")["pid"], signal.SIGKILL)
    assert "interrupted" in workbench("runs", "show", "1").out
    done = workbench("runs", "resume", "1", "--json").value
    assert (done["status"]["state"], done["status"]["step"], done["model"]) == ("done", 2, "run-1")
    shown, report = workbench("runs", "show", "1").out, workbench("runs", "show", "1", "--json").value["report"]
    assert f"of {report['accuracy']['n']} comparisons\nstrength  agreement  low" in shown
    assert report["step"] == 2
    again = workbench("runs", "resume", "1")
    assert (again.code, again.err) == (1, "workbench: run 1 is done: only a run that ended early can be resumed\n")


def test_a_model_answers_for_labelling(anywhere: Workbench, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "How do I keep basil alive?"}\n{"prompt": "Any tips for better sleep?"}\n')
    assert anywhere("project", "create", "tour", "--task", "pair", "--eval-share", "0").code == 0
    assert anywhere("import", str(prompts)).code == 0
    few = ("--prompts", "1", "--max-new-tokens", "24", "--temperature", "1.2", "--seed", "3")
    made = anywhere("generate", "--model", "demo-tiny", "--per-prompt", "3", *few, "--json").value
    assert (made["prompts"], made["items"] > 0) == (1, True)
    assert anywhere("generate", "--model", "demo-tiny", *few).out.endswith(" from 1 prompts\n")
    refused = anywhere("generate", "--model", "demo-tiny", "--temperature", "9")
    assert (refused.code, "sampling.temperature" in refused.err) == (2, True)


def test_import_says_what_it_needs_and_makes_the_project(workbench: Workbench, pairs: Path, home: Path) -> None:
    with pairs.open("a") as out:
        out.write("not json\n" * 100)
    refused = workbench("import", str(pairs), "--project", "new")
    assert refused.code == 1
    assert "100 rejected" in refused.err
    assert refused.err.endswith("nothing is stored, go on with --accept-rejects\n")
    assert workbench("import", str(pairs), "--project", "new", "--dry-run").code == 0
    assert workbench("import", str(home), "--project", "new").code == 1
    assert not list((home / "imports").iterdir())
    assert workbench("project", "list", "--json").value == {"projects": []}
    stored = workbench("import", str(pairs), "--project", "new", "--accept-rejects")
    assert stored.code == 0, stored.err
    assert f"{ROWS} new items" in stored.out


def test_a_home_in_use_is_left_alone(workbench: Workbench, home: Path) -> None:
    with Store.open(home):
        said = workbench("project", "list")
    assert said.code == 3
    assert f"is open in process {os.getpid()}" in said.err
    assert workbench("project", "list").code == 0


@pytest.mark.rule("R8")
def test_a_damaged_store_names_the_command_that_rebuilds_it(workbench: Workbench, pairs: Path, home: Path) -> None:
    assert workbench("import", str(pairs), "--project", "tour").code == 0
    assert workbench("fsck").out == "the store is whole\n"
    (home / "workbench.duckdb").write_bytes(b"junk" * 5000)
    refused = workbench("fsck")
    assert (refused.code, refused.err.count("\n")) == (5, 1)
    command = refused.err.strip().rpartition("rebuild it with: workbench ")[2]
    assert command == f"recover --home {home}"
    mended = workbench("recover")
    assert (mended.code, mended.out) == (0, "the store is whole\n")
    assert workbench("snapshot", "--json").value["rows"]["pairs"] == ROWS
    assert workbench("recover", "--json").value == {"wrong": []}
    [kept] = (home / "quarantine").iterdir()
    assert (kept / "workbench.duckdb").read_bytes()[:4] == b"junk"


def test_nothing_is_not_exported(workbench: Workbench, tmp_path: Path) -> None:
    assert workbench("project", "create", "tour").code == 0
    said = workbench("export", "--out", str(tmp_path / "out"))
    assert (said.code, said.out) == (2, "")
    assert "nothing to export" in said.err
    assert list(tmp_path.glob("*out*")) == []


def test_the_demo_plays_in_a_new_folder_only(workbench: Workbench, home: Path) -> None:
    assert workbench("project", "create", "mine").code == 0
    said = workbench("demo")
    assert (said.code, said.out) == (2, "")
    assert str(home) in said.err


@pytest.mark.parametrize("port", ["99999", "-1", "http"])
def test_a_port_that_cannot_be_is_refused(workbench: Workbench, home: Path, port: str) -> None:
    said = workbench("serve", f"--port={port}")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert f"--port {port}" in said.err
    assert not home.exists()


def test_a_home_that_cannot_be(workbench: Workbench, home: Path) -> None:
    home.write_text("a file")
    said = workbench("project", "list")
    assert (said.code, said.err.count("\n")) == (7, 1)
    assert str(home) in said.err


def test_a_fault_is_one_line_and_its_details_are_kept(
    workbench: Workbench, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "table", lambda *_: {}["missing"])
    said = workbench("project", "list")
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "KeyError: 'missing'" in said.err
    assert "Traceback" in (home / "logs" / "command.log").read_text()


@pytest.mark.parametrize("method", METHODS)
def test_every_knob_is_a_flag(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", method, "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for knob in knobs(METHODS[method].hparams):
        assert f"--{knob.name.replace('_', '-')} VALUE" in words
        assert " ".join(knob.help.split()[:3]) in words


def test_defaults_are_told_by_preset() -> None:
    found = {k.name: cli.default_of(k, METHODS["dpo"]) for k in knobs(METHODS["dpo"].hparams)}
    assert found["learning_rate"] == "default 5e-07 full, 5e-06 lora, 0.0006 tiny"
    assert found["beta"] == "default 0.1"
    assert found["seed"] == "default 0"
    assert found["ipo_length_norm"] == "default yes"


@pytest.mark.parametrize(
    ("answer", "status", "kind"),
    [
        ({"error": "x", "code": "store_damaged"}, 503, StoreDamaged),
        ({"error": "x", "code": "home_unusable"}, 400, HomeUnusable),
        ({"error": "x", "code": "uid_reused"}, 409, Conflict),
        ({"error": "x"}, 404, NotFound),
        ({"error": "x", "code": "fault"}, 500, WorkbenchError),
    ],
)
def test_an_error_of_the_server_keeps_its_exit_code(answer: dict, status: int, kind: type) -> None:
    error = remote.error_of(status, answer)
    assert (type(error), error.message, error.exit_code) == (kind, "x", kind.exit_code)


LATE = """
import sys
from workbench.cli import main
code = main(sys.argv[1:])
print(sorted({"torch", "transformers", "gradio", "fastapi", "datasets"} & set(sys.modules)), file=sys.stderr)
sys.exit(code)
"""


def test_export_pays_for_neither_torch_nor_gradio(workbench: Workbench, home: Path) -> None:
    assert workbench("project", "create", "p").code == 0
    start = time.monotonic()
    command = [sys.executable, "-c", LATE, "export", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "[]", done.stderr
    assert time.monotonic() - start < 10


@pytest.mark.rule("R6")
def test_a_second_server_leaves_the_first_alone_and_a_killed_one_is_none(
    home: Path, tmp_path: Path, start_server: Callable[..., Any], workbench: Workbench
) -> None:
    server = start_server(home)
    link = tmp_path / "a link"
    link.symlink_to(home)
    for words in (
        ["--home", str(link), "--port", "0"],
        ["--home", str(home), "--port", server.base.rpartition(":")[2]],
    ):
        second = subprocess.run([*SERVE, *words], capture_output=True, text=True, timeout=60)
        assert second.returncode == 3, second.stderr
        assert f"is open in process {server.process.pid}" in second.stderr
    assert workbench("project", "list").code == 0

    server.process.kill()
    server.process.wait()
    assert (home / "server.json").exists()
    assert workbench("project", "list").code == 0


@pytest.mark.rule("R7")
def test_a_busy_port_leaves_the_home_alone(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        command = [*SERVE, "--home", str(home), "--port", port]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1), refused
    assert port in refused.stderr
    assert not home.exists()


def test_a_table_of_ones_own_is_mapped(workbench: Workbench, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("question,a,b,vote\nWhat is 1 + 1?,2,3,a\n")
    assert workbench("project", "create", "tour").code == 0
    unknown = workbench("import", str(table))
    assert unknown.code == 1
    assert "columns: question, a, b, vote; nothing is stored, go on with --dialect, or say with --map" in unknown.err
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"prompt": "question", "answers": ["a", "b"], "label": "vote"}')
    assert "1 items, 1 judgements" in workbench("import", str(table), "--map", str(mapping)).out
