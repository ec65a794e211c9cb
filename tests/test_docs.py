"""The README says what the program does: its tables come from the program, its commands run.

`python tests/test_docs.py` writes the tables anew.
"""

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from workbench import cli, errors
from workbench.schema import Judgement
from workbench.store import items, projects
from workbench.store.db import Store, uid
from workbench.training.methods import METHODS

README = Path(__file__).resolve().parent.parent / "README.md"


def methods_table() -> str:
    rows = ["| command | method | learns from | what it does | paper |", "|---|---|---|---|---|"]
    for m in METHODS.values():
        rows.append(f"| `workbench train {m.name}` | {m.title} | {m.data} | {m.summary} | [{m.paper}]({m.url}) |")
    return "\n".join(rows)


def commands_table() -> str:
    rows = ["| command | what it does |", "|---|---|"]
    for words, made in commands(cli.parser()):
        positional = [
            a for a in made._actions if not a.option_strings and not isinstance(a, argparse._SubParsersAction)
        ]
        names = " ".join(["workbench", *words, *(f"[{n}]" if a.nargs else n for a in positional for n in [shown(a)])])
        flags = sorted(f for a in made._actions for f in a.option_strings[:1] if f not in COMMON)
        said = f" ({' '.join(f'`{f}`' for f in flags)})" if flags else ""
        rows.append(f"| `{names}` | {made.description}{said} |")
    return "\n".join(rows)


COMMON = {"-h", "--home", "--json", "--project"}
TABLES = {"methods": methods_table, "commands": commands_table}


def shown(action: argparse.Action) -> str:
    return action.metavar if isinstance(action.metavar, str) else action.dest.upper()


def commands(parser: argparse.ArgumentParser) -> Iterator[tuple[list[str], argparse.ArgumentParser]]:
    """Every command with its words; training methods have a table of their own and stand here as one."""
    [below] = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    for name, made in below.choices.items():
        if any(isinstance(a, argparse._SubParsersAction) for a in made._actions) and name != "train":
            yield from (([name, *words], inner) for words, inner in commands(made))
        elif name == "train":
            yield ["train", "METHOD"], argparse.ArgumentParser(description=made.description, add_help=False)
        else:
            yield [name], made


def written(text: str) -> str:
    """The README with its tables as the program has them."""
    for name, table in TABLES.items():
        between = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        assert between.search(text), f"the README has no place for the table of {name}"
        text = between.sub(lambda m, table=table: f"{m[1]}{table()}\n{m[2]}", text)
    return text


def test_the_tables_are_those_of_the_program() -> None:
    assert README.read_text() == written(README.read_text()), "run: python tests/test_docs.py"


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_there(method: str) -> None:
    assert f"`workbench train {method}`" in README.read_text()


def test_every_command_and_exit_code_is_there() -> None:
    text = README.read_text()
    for words, _ in commands(cli.parser()):
        assert f"workbench {' '.join(words)}" in text
    codes = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.WorkbenchError)}
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)} == codes | {0, cli.INTERRUPTED}


def test_links_lead_somewhere() -> None:
    text = README.read_text()
    anchors = {
        re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors
        elif not target.startswith("https://"):
            assert (README.parent / target).exists(), target


def blocks(language: str) -> list[list[str]]:
    """The commands of the README's code blocks, as words."""
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True) for block in found for line in block.splitlines()]


def test_the_commands_of_launch_are_commands() -> None:
    found = blocks("bash")
    assert ["python", "launch.py"] in found
    for python, launch, *words in found:
        assert (python, launch) == ("python", "launch.py")
        cli.parser().parse_args(words or ["serve"])


def label(home: Path, limit: int = 24) -> None:
    """What a person would do in the browser at this point of the README."""
    with Store.open(home) as store:
        project = projects.get(store, "tour").id
        pairs = [row.id for row in items.iter_ids(store, project) if row.n_candidates == 2][:limit]
        store.append(*(Judgement(uid(), item, "ann", "pair", {"choice": 0, "strength": 2}) for item in pairs))


def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("WORKBENCH_HOME", str(home))
    monkeypatch.chdir(README.parent)
    for words in blocks("sh"):
        if words:
            assert words[0] == "workbench"
            assert cli.main(words[1:]) == 0, (words, capfd.readouterr())
        else:
            label(home)
    assert (home / "exports" / "run-1-merged" / "model.safetensors").exists()


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
