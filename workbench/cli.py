"""The command line: the acts of the pages for scripts, through the running server or on the home itself.

Here are flags, exit codes and how errors are told; what a command does is in `app.commands`, imported late.
"""

import argparse
import contextlib
import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from workbench.errors import INTERRUPTED, HomeUnusable, UsageError, WorkbenchError
from workbench.schema import ROLES, Task
from workbench.settings import Settings
from workbench.training.hparams import Knob, knobs
from workbench.training.methods import METHODS, Method

TASKS, NAMES = get_args(Task), ("mask", "warn", "hold")

if TYPE_CHECKING:
    from workbench.app.outcome import Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. An error is one line for people, never a traceback."""
    args = parser().parse_args(arguments)
    try:
        return args.run(args)
    except WorkbenchError as error:
        return fail(error.message, error.exit_code)
    except KeyboardInterrupt:
        return fail("interrupted", INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        return fail(str(error), HomeUnusable.exit_code)
    except Exception as error:
        return fail(f"a fault of the program: {type(error).__name__}: {error}{kept(args)}", 1)


def fail(message: str, code: int) -> int:
    print(f"workbench: {message}", file=sys.stderr)
    return code


def kept(args: argparse.Namespace) -> str:
    """Keep the traceback for whoever mends the fault, and say where."""
    with contextlib.suppress(OSError, WorkbenchError):
        path = settings(args).home / "logs" / "command.log"
        path.write_text(traceback.format_exc())
        return f" (details in {path})"
    return ""


def settings(args: argparse.Namespace) -> Settings:
    given = {name: value for name, value in vars(args).items() if name in Settings.model_fields and value is not None}
    try:
        return Settings(**given)
    except ValueError as error:
        first = error.errors()[0]
        raise UsageError(f"--{first['loc'][0]} {first['input']}: {first['msg']}") from None


def act(args: argparse.Namespace) -> int:
    """Run a command on the acts of its home, and print what it found."""
    from workbench.app import commands
    from workbench.app.remote import open_acts

    with open_acts(settings(args)) as acts:
        outcome = getattr(commands, args.command)(acts, args)
    return tell(outcome, args)


def tell(outcome: "Outcome", args: argparse.Namespace) -> int:
    print(json.dumps(outcome.value, ensure_ascii=False, indent=1) if args.json else outcome.words)
    return outcome.code


def serve(args: argparse.Namespace) -> int:
    from workbench.app.front import serve

    return serve(settings(args))


def recover(args: argparse.Namespace) -> int:
    from workbench.app.commands import checked
    from workbench.store.db import Store
    from workbench.store.fsck import fsck

    with Store.open(settings(args).home, rebuild=True) as store:
        return tell(checked(fsck(store)), args)


def demo(args: argparse.Namespace) -> int:
    from workbench.app.outcome import lines
    from workbench.demo import play, rlhf

    if args.home and args.home.exists():
        raise UsageError(f"--home {args.home} exists already: the demo plays in a new folder, or in a temporary one")
    figures = (rlhf if args.rlhf else play).play(args.home, say=lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(figures, ensure_ascii=False) if args.json else lines(figures))  # one line: scripts read the last
    return 0


class Commands:
    """The commands below one word. Every one knows --home and --json, those about a project --project."""

    def __init__(self, parent: argparse.ArgumentParser) -> None:
        self.below = parent.add_subparsers(required=True, metavar="COMMAND")

    def group(self, name: str, help: str) -> "Commands":
        return Commands(self.below.add_parser(name, help=help, description=help))

    def add(self, name: str, command: str, help: str, *, project: bool = False) -> argparse.ArgumentParser:
        made = self.below.add_parser(name, help=help, description=help)
        made.set_defaults(run=act, command=command)
        home_flag(made)
        made.add_argument("--json", action="store_true", help="print the result as JSON")
        if project:
            made.add_argument("--project", help="name or number; needed when there are several")
        return made


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="workbench", description="Label preferences, train on them, compare, export.")
    top = Commands(made)
    serving(top)
    data(top)
    training(top)
    answers(top)
    people(top)
    upkeep(top)
    return made


def home_flag(it: argparse.ArgumentParser) -> None:
    it.add_argument("--home", type=Path, help="the folder that holds everything (also WORKBENCH_HOME)")


def serving(top: Commands) -> None:
    it = top.below.add_parser("serve", help="start the server", description="Start the server and print its address.")
    it.set_defaults(run=serve)
    home_flag(it)
    it.add_argument("--host", help="address to listen on (default 127.0.0.1: this machine only)")
    it.add_argument("--port", help="port to listen on (default 7860)")
    it = top.add("demo", "demo", "play the whole loop by itself in a new or temporary home and print the figures")
    it.set_defaults(run=demo)
    it.add_argument("--rlhf", action="store_true", help="the three stages of RLHF instead")


def upkeep(top: Commands) -> None:
    top.add("fsck", "fsck", "check that the store is whole: every label in the database and in the journal")
    it = top.add("recover", "recover", "rebuild a damaged store from its whole half; the damaged files are kept")
    it.set_defaults(run=recover)


def data(top: Commands) -> None:
    project = top.group("project", "list, create and change projects")
    it = project.add("list", "project_list", "list the projects")
    it.add_argument("--archived", action="store_true", help="those that were archived")
    it = project.add("create", "project_create", "create a project")
    it.add_argument("name")
    it.add_argument("--task", dest="tasks", action="append", choices=TASKS, help="may be repeated")
    it.add_argument("--eval-share", type=float, help="share of prompts held out for evaluation, 0 to 0.2 (default 0.1)")

    rules(project)

    it = top.add("import", "import_", "import a file of prompts, answers or preferences", project=True)
    it.add_argument("path", type=Path)
    it.add_argument("--dialect", help="what the file is, when it is not clear by itself")
    it.add_argument("--map", metavar="JSON", help="which column is what: a JSON object, or a file with one")
    it.add_argument("--dry-run", action="store_true", help="only show what would be stored")
    it.add_argument("--accept-rejects", action="store_true", help="store the rest when lines are rejected")

    it = top.add("snapshot", "snapshot", "freeze what the labels say now", project=True)
    off_on = argparse.BooleanOptionalAction
    it.add_argument("--both-bad-to-thumbs", action=off_on, help="two bad answers are two bad thumbs (default yes)")
    it.add_argument("--pairs-to-thumbs", action=off_on, help="a chosen answer is a good thumb, a rejected one bad")
    it.add_argument("--axis", help="the labels of a further axis (default overall)")
    it.add_argument("--rankings", choices=("all", "adjacent", "best_vs_rest"), help="which pairs a ranking gives")
    it.add_argument("--edits", action=off_on, help="a better text wins against what it improves (default yes)")
    it.add_argument("--without", action="append", metavar="NAME", help="leave out somebody's labels; may be repeated")
    it.add_argument("--min-agreement", type=float, metavar="SHARE", help="least share of votes for the side taken")
    it.add_argument("--min-strength", type=float, metavar="N", help="least mean strength, 0 to 3")

    it = top.add("export", "export", "write a data set or a trained model as a Hub folder", project=True)
    it.add_argument("--snapshot", help="export this snapshot (default: a new one)")
    it.add_argument("--run", dest="of_run", type=int, metavar="N", help="export the model of run N instead")
    it.add_argument(
        "--form",
        choices=("adapter", "merged"),
        help="with --run: an adapter alone, or merged with its base (default: as it was trained)",
    )
    it.add_argument("--out", type=Path, metavar="DIR", help="write here (default: exports/ of the home)")
    it.add_argument("--license", help="licence for the card, for example apache-2.0")
    it.add_argument("--push", metavar="REPO", help="upload to this Hub repository; reads HF_TOKEN")
    it.add_argument("--public", action="store_true", help="with --push: make a new repository public")


def rules(project: Commands) -> None:
    off_on = argparse.BooleanOptionalAction
    it = project.add("change", "project_change", "change what a project asks, of whom, and by which rules")
    it.add_argument("project", metavar="NAME_OR_NUMBER")
    it.add_argument("--name", help="the new name")
    it.add_argument("--guideline", type=Path, metavar="FILE", help="the text that annotators read beside each item")
    axis = "a further axis with its guideline, or NAME= to end it; may be repeated"
    it.add_argument("--axis", dest="axes", action="append", metavar="NAME=FILE", help=axis)
    it.add_argument("--task", dest="tasks", action="append", choices=TASKS, help="what is asked; may be repeated")
    it.add_argument("--member", dest="members", action="append", metavar="NAME", help="only those named label here")
    it.add_argument("--everybody", action="store_true", help="no members: open to all annotators")
    it.add_argument("--overlap", type=float, metavar="SHARE", help="share of items that two people label, 0 to 1")
    it.add_argument("--gold", type=float, metavar="SHARE", help="share of views whose answer is known, 0 to 0.2")
    it.add_argument("--repeats", type=float, metavar="SHARE", help="share of own items shown again, 0 to 0.2")
    it.add_argument("--calibrate", action=off_on, help="newcomers first answer gold items and are told what was right")
    it.add_argument("--best-worst", action=off_on, help="of several answers only the best and the worst")
    it.add_argument("--write", action=off_on, help="where all answers are bad, somebody writes a good one")
    it.add_argument("--names", choices=NAMES, help="what happens to answers in which a model names itself")
    it.add_argument("--quota", type=int, metavar="N", help="most labels per person and day; 0 for no limit")
    it.add_argument("--deadline", metavar="YYYY-MM-DD", help="last day; none takes it back")
    it.add_argument("--pause", dest="paused", action=off_on, help="nobody gets new items, or they do again")
    it.add_argument("--archive", dest="archived", action=off_on, help="put away, or bring back")


def training(top: Commands) -> None:
    models = top.group("models", "list and add models")
    models.add("list", "models_list", "list the models of the home")
    it = models.add("add", "models_add", "copy a model folder, or fetch one from the Hub")
    it.add_argument("source", metavar="FOLDER_OR_HUB_ID")
    it.add_argument("--name", help="name in this home (default: last part of the source)")

    train = top.group("train", "train a model on the labels")
    for method in METHODS.values():
        method_flags(train, method)

    rlhf = top.group("rlhf", "three stages: imitate (SFT), learn to judge (reward model), learn from the judge (PPO)")
    rlhf.add("show", "rlhf_show", "how the three stages and their rounds stand, and what is next", project=True)
    it = rlhf.add("run", "rlhf_run", "run the stages that are due, one after another, or one stage", project=True)
    it.add_argument("--stage", choices=("sft", "rm", "ppo"), help="run this one, due or not")
    it.add_argument("--model", help="start the first of them from this model (default: from what came before)")
    judge = "with PPO: a reward model; may be repeated, with its weight as NAME=0.5"
    it.add_argument("--reward", dest="rewards", action="append", metavar="MODEL", help=judge)
    it = rlhf.add("answers", "rlhf_answers", "new answers of the newest policy, for the next round", project=True)
    it.add_argument("--prompts", type=int, metavar="N", help="answer at most so many prompts")
    it.add_argument("--per-prompt", type=int, metavar="N", help="answers to each prompt (default 2)")
    it.add_argument("--seed", type=int, help="the same seed draws the same answers (default 0)")

    runs = top.group("runs", "look at training runs, stop and resume them")
    runs.add("list", "runs_list", "list the runs of a project", project=True)
    runs.add("show", "runs_show", "show one run").add_argument("number", type=int, metavar="N")
    it = runs.add("stop", "runs_stop", "end a run after its current step")
    it.add_argument("number", type=int, metavar="N")
    it.add_argument("--no-save", dest="save", action="store_false", help="without a checkpoint")
    it = runs.add("resume", "runs_resume", "go on from the last checkpoint")
    it.add_argument("number", type=int, metavar="N")
    it.add_argument("--detach", action="store_true", help="do not wait for the end")


def method_flags(train: Commands, method: Method) -> None:
    it = train.add(method.name, "train", f"{method.title}: {method.summary}".replace("%", "%%"), project=True)
    it.set_defaults(method=method.name)
    it.add_argument("--model", default="demo-tiny", help="the model to start from (default demo-tiny)")
    it.add_argument("--title", help="a word for yourself")
    it.add_argument("--snapshot", dest="snapshot_hash", help="train on this snapshot (default: a new one)")
    it.add_argument("--detach", action="store_true", help="do not wait for the end")
    if method.draws:
        judge = "a reward model that scores the answers; may be repeated, with its weight as NAME=0.5"
        it.add_argument("--reward", dest="rewards", action="append", default=[], metavar="MODEL", help=judge)
        it.add_argument("--reference", metavar="MODEL", help="what the policy is held near (default: the start model)")
    groups = {advanced: it.add_argument_group(title) for advanced, title in ((False, "usual"), (True, "advanced"))}
    for knob in knobs(method.hparams):
        flag, name = "--" + knob.name.replace("_", "-"), f"knob_{knob.name}"
        words = f"{knob.help} ({default_of(knob, method)}; {knob.range})".replace("%", "%%")
        groups[knob.advanced].add_argument(flag, dest=name, metavar="VALUE", default=argparse.SUPPRESS, help=words)


def default_of(knob: Knob, method: Method) -> str:
    """The default in words: presets give some knobs a value by the model's size and the way of tuning."""
    if knob.name == "tuning":
        return "default by the size of the model"
    values = {size: preset.get(knob.name, knob.default) for size, preset in method.presets.items()}
    said = {size: ("yes" if v else "no") if isinstance(v, bool) else v or repr(v) for size, v in values.items()}
    if len(set(said.values())) == 1:
        return f"default {said['full']}"
    return "default " + ", ".join(f"{value} {size}" for size, value in said.items())


def answers(top: Commands) -> None:
    it = top.add("generate", "generate", "let models answer the prompts of a project, for labelling", project=True)
    it.add_argument("--model", action="append", required=True, help="may be repeated")
    it.add_argument("--per-prompt", type=int, metavar="N", help="answers of each model to each prompt (default 2)")
    sampling(it)
    it = top.add("compare", "compare", "queue blind pairs of two models, or show how the votes stand", project=True)
    it.add_argument("models", nargs="*", metavar="MODEL", help="two models; none shows the results")
    sampling(it)


def sampling(it: argparse.ArgumentParser) -> None:
    it.add_argument("--prompts", type=int, metavar="N", help="ask at most so many prompts")
    it.add_argument("--temperature", type=float, help="0 always takes the likeliest word (default 0.8)")
    it.add_argument("--top-p", type=float, help="draw from the likeliest words up to this share (default 1)")
    it.add_argument("--max-new-tokens", type=int, metavar="N", help="longest answer (default 160)")
    it.add_argument("--seed", type=int, help="the same seed draws the same answers (default 0)")


def people(top: Commands) -> None:
    users = top.group("users", "list people, invite them, change their roles")
    users.add("list", "users_list", "list the accounts")
    it = users.add("add", "users_add", "invite somebody: prints a link that works once")
    it.add_argument("name")
    it.add_argument("--role", choices=ROLES, help="(default annotator)")
    it.add_argument("--project", help="also make an annotator a member of it")
    it = users.add("role", "users_change", "change a role")
    it.add_argument("name")
    it.add_argument("role", choices=ROLES)
    it = users.add("reset", "users_reset", "sign somebody out: prints a link for a new password")
    it.add_argument("name")
    for name, disabled in (("disable", True), ("enable", False)):
        it = users.add(name, "users_change", f"{name} an account")
        it.set_defaults(disabled=disabled)
        it.add_argument("name")

    tokens = top.group("tokens", "list, make and revoke tokens by which programs act for people")
    tokens.add("list", "tokens_list", "list the tokens, never their secrets")
    it = tokens.add("add", "tokens_add", "make a token and print it, this once")
    it.add_argument("title", help="what it is for")
    it.add_argument("--user", required=True, help="whom its program acts for")
    it.add_argument("--days", type=int, metavar="N", help="how long it is good (default 90)")
    tokens.add("revoke", "tokens_revoke", "end a token").add_argument("number", type=int, metavar="N")

    it = top.add("audit", "audit", "who did what, newest first")
    it.add_argument("--who", metavar="NAME", help="only what this person did")
    it.add_argument("--what", metavar="ACT", help="only this kind, for example project_change")
    it.add_argument("--limit", type=int, metavar="N", help="at most so many lines (default 50)")


if __name__ == "__main__":
    sys.exit(main())
