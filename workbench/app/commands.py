"""What each command does: ask for an act, and say what came of it. Leaves out flags and exit codes (`cli`)."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

from workbench.app.outcome import Outcome, Progress, counts, described, lines, reported, table, told
from workbench.app.remote import Acts
from workbench.errors import INTERRUPTED, InputError, StoreDamaged, UsageError
from workbench.jobs.folder import END_STATES

START_SECONDS = 5
POLICY = ("axis", "both_bad_to_thumbs", "pairs_to_thumbs", "rankings", "edits", "without")
POLICY += ("min_agreement", "min_strength")
STARTING = ("title", "snapshot_hash", "rewards", "reference")
SAMPLING = ("temperature", "top_p", "max_new_tokens", "seed")
ACCEPT = "--accept-rejects"
WAYS = {"--dialect": "--dialect, or say with --map which column is what"}
RULES = ("name", "tasks", "members", "overlap", "gold", "repeats", "calibrate", "best_worst", "write", "names")
RULES += ("quota", "deadline", "paused", "archived")
Args = argparse.Namespace


def project_list(acts: Acts, args: Args) -> Outcome:
    found = acts.do("projects", archived=args.archived)
    return Outcome(found, table(found["projects"], "id", "name", "tasks", "eval_share"))


def project_create(acts: Acts, args: Args) -> Outcome:
    made = acts.do("project_create", name=args.name, **given(args, "tasks", "eval_share"))
    return Outcome(made, f"project {made['id']} {made['name']!r}: {', '.join(made['tasks'])}")


def project_change(acts: Acts, args: Args) -> Outcome:
    """None of something (`--quota 0`) is null in the act, where what is not named stays."""
    asked = given(args, *RULES) | {key: None for key in ("members",) if args.everybody}
    asked |= {key: None for key, none in (("quota", 0), ("deadline", "none")) if asked.get(key) == none}
    if args.guideline:
        asked["guideline"] = args.guideline.read_text(encoding="utf-8")
    if args.axes:
        asked["axes"] = axes(acts, args)
    if not asked:
        raise UsageError(f"say what changes in {args.project}: see workbench project change --help")
    made = acts.do("project_change", project=args.project, **asked)
    told = {key: made[key] for key in RULES if made[key] not in (None, False)}
    return Outcome(made, f"project {made['id']}, guidelines version {made['version']}\n{lines(told)}")


def axes(acts: Acts, args: Args) -> dict[str, str]:
    """The further axes of a project after `--axis NAME=FILE`, or `NAME=` which ends one."""
    every = [p for archived in (False, True) for p in acts.do("projects", archived=archived)["projects"]]
    found = next((p["axes"] for p in every if args.project in (str(p["id"]), p["name"])), {})
    for text in args.axes:
        name, equals, file = text.partition("=")
        if not equals:
            raise UsageError(f"--axis {text}: give {text}=FILE, its guideline, or {text}= to end it")
        found |= {name: Path(file).read_text(encoding="utf-8") if file else None}
    return {name: text for name, text in found.items() if text is not None}


def import_(acts: Acts, args: Args) -> Outcome:
    """Nothing asks: what would stop the page ends with exit 1 and the flag that goes on."""
    project = project_of(acts, args, new=True)
    where = {"project": project, "path": str(args.path.resolve()), "mapping": mapping(args.map)}
    parsed = acts.do("import_file", **where, **given(args, "dialect"))
    report, this = parsed["report"], {"project": project, "number": parsed["import"]}
    needs = None if args.accept_rejects and report["needs"] == ACCEPT else report["needs"]
    if args.dry_run or report["error"] or needs:
        acts.do("import_discard", **this)
    if report["error"]:
        raise InputError(report["error"])
    if args.dry_run:
        return Outcome(parsed, told(report))
    if needs:
        raise InputError(f"{told(report)}; nothing is stored, go on with {WAYS.get(needs, needs)}")
    if project is None:
        this["project"] = acts.do("project_create", name=args.project)["id"]
    stored = acts.do("import_confirm", **this, accept_rejects=args.accept_rejects)
    words = f"{told(report)}\nimport {stored['id']}: {stored['items']} new items, {stored['merged']} known ones"
    return Outcome({"report": report, "import": stored}, words)


def snapshot(acts: Acts, args: Args) -> Outcome:
    made = acts.do("snapshot", project=project_of(acts, args), **given(args, *POLICY))
    return Outcome(made, f"snapshot {made['hash']}: {counts(made['rows'])}")


def export(acts: Acts, args: Args) -> Outcome:
    for flag, stray, way in (
        ("--form", args.form and args.of_run is None, "says how to write a model: give --run N with it"),
        ("--snapshot", args.snapshot and args.of_run is not None, "names a data set: leave out --run, or it"),
        ("--public", args.public and not args.push, "makes a repository public: give --push REPO with it"),
    ):
        if stray:
            raise UsageError(f"{flag} {way}")
    asked = given(args, "license", "push", "public")
    if args.out:
        asked["out"] = str(args.out.resolve())
    if args.of_run is None:
        made = acts.do("export_dataset", project=project_of(acts, args), **given(args, "snapshot"), **asked)
        what = f"data set, {counts(made['rows'])}"
    else:
        made = acts.do("export_model", run=args.of_run, **given(args, "form"), **asked)
        what = f"model of run {args.of_run}, {made['form']}"
    pushed = f"\npushed to {made['pushed']}" if made["pushed"] else ""
    return Outcome(made, f"{what}: {made['folder']}{pushed}")


def models_list(acts: Acts, args: Args) -> Outcome:
    found = acts.do("models")
    return Outcome(found, table(found["models"], "name", "kind", "parameters", "method", "base", "reason"))


def models_add(acts: Acts, args: Args) -> Outcome:
    folder = Path(args.source)
    source = str(folder.resolve()) if folder.is_dir() else args.source
    added = acts.do("model_add", source=source, **given(args, "name"))
    return Outcome(added, f"model {added['name']}: {added['parameters']:,} parameters")


def train(acts: Acts, args: Args) -> Outcome:
    knobs = {name.removeprefix("knob_"): value for name, value in vars(args).items() if name.startswith("knob_")}
    asked = {"method": args.method, "model": args.model, "hparams": knobs}
    made = acts.do("train", project=project_of(acts, args), **asked, **given(args, *STARTING))
    return attend(acts, made["run"], detach=args.detach)


def attend(acts: Acts, number: int, *, detach: bool) -> Outcome:
    """See a run start, and unless detached end; Ctrl-C leaves it running."""
    enough = END_STATES | ({"starting", "running"} if detach else set())
    end = time.monotonic() + (START_SECONDS if detach else float("inf"))
    progress = Progress()
    try:
        while (found := acts.do("run", number=number))["status"]["state"] not in enough and time.monotonic() < end:
            progress.show(described(number, found))
            time.sleep(0.5)
    except KeyboardInterrupt:
        goes_on = f"run {number} goes on; look with: workbench runs show {number}"
        return Outcome({"run": number}, goes_on, INTERRUPTED)
    finally:
        progress.close()
    state = found["status"]["state"]
    value = {"run": number, "status": found["status"], "model": f"run-{number}" if state == "done" else None}
    return Outcome(value, described(number, found), int(state in END_STATES - {"done", "stopped"}))


def rlhf_show(acts: Acts, args: Args) -> Outcome:
    found = acts.do("rlhf", project=project_of(acts, args))
    rows = [{"stage": name, **shown_stage(stage)} for name, stage in found["stages"].items()]
    words = [table(rows, "stage", "learns_from", "start", "run", "state", "next")]
    if found["rounds"]:
        rounds = [{"round": i, **made} for i, made in enumerate(found["rounds"], 1)]
        words.append(table(rounds, "round", "run", "start", "rewards", "accuracy", "before", "after", "kl", "state"))
    words.append(f"next: workbench rlhf run ({found['due']})" if found["due"] else "nothing is due")
    return Outcome(found, "\n\n".join(words))


def shown_stage(stage: dict[str, Any]) -> dict[str, Any]:
    newest = stage["run"] or {}
    return stage | {"learns_from": stage["units"], "run": newest.get("run"), "state": newest.get("state")}


def rlhf_run(acts: Acts, args: Args) -> Outcome:
    """Stage after stage until none is due or one fails; Ctrl-C leaves the one that runs going on."""
    project, made, ran = project_of(acts, args), [], set()
    asked = given(args, "model", "rewards")
    stage = args.stage or acts.do("rlhf", project=project)["due"]
    while stage and stage not in ran:  # labels that come in meanwhile are for the next call
        fitting = {name: value for name, value in asked.items() if name != "rewards" or stage == "ppo"}
        started = acts.do("rlhf_start", project=project, stage=stage, **fitting)
        outcome = attend(acts, started["run"], detach=False)
        made.append(outcome)
        ran.add(stage)
        if args.stage or not outcome.value.get("model"):
            break
        asked.pop("model", None)
        stage = acts.do("rlhf", project=project)["due"]
    if not made:
        return Outcome({"runs": []}, "nothing is due: workbench rlhf show says what each stage waits for")
    return Outcome({"runs": [one.value for one in made]}, "\n".join(one.words for one in made), made[-1].code)


def rlhf_answers(acts: Acts, args: Args) -> Outcome:
    made = acts.do("rlhf_answers", project=project_of(acts, args), **given(args, "prompts", "per_prompt", "seed"))
    return Outcome(made, f"{made['items']} new items of {made['model']} wait on the Label page")


def runs_list(acts: Acts, args: Args) -> Outcome:
    found = acts.do("runs", project=project_of(acts, args))
    rows = [run | {"state": run["status"]["state"]} for run in found["runs"]]
    return Outcome(found, table(rows, "id", "method", "model", "state", "snapshot", "title"))


def runs_show(acts: Acts, args: Args) -> Outcome:
    found = acts.do("run", number=args.number)
    config = {key: found["config"][key] for key in ("model", "snapshot", "hparams")}
    last = (found["metrics"] or [{}])[-1]
    told = [described(args.number, found), lines(config), lines(last)]
    return Outcome(found, "\n".join(told + ([reported(found["report"])] if found["report"] else [])))


def runs_stop(acts: Acts, args: Args) -> Outcome:
    found = acts.do("run_stop", number=args.number, save=args.save)
    return Outcome(found, f"run {args.number} is asked to stop" + (", with a checkpoint" if args.save else ""))


def runs_resume(acts: Acts, args: Args) -> Outcome:
    acts.do("run_resume", number=args.number)
    return attend(acts, args.number, detach=args.detach)


def generate(acts: Acts, args: Args) -> Outcome:
    asked = given(args, "per_prompt", "prompts") | {"sampling": given(args, *SAMPLING)}
    made = acts.do("generate", project=project_of(acts, args), models=args.model, **asked)
    return Outcome(made, f"{made['items']} new items from {made['prompts']} prompts")


def compare(acts: Acts, args: Args) -> Outcome:
    """Two models: blind pairs for the queue. None: how the votes stand."""
    project = project_of(acts, args)
    if not args.models:
        found = acts.do("compare_results", project=project)
        shown = ("a", "b", "win_rate", "low", "high", "wins", "losses", "ties", "both_bad")
        return Outcome(found, table(found["results"], *shown))
    if len(args.models) != 2:
        raise UsageError(f"compare takes two models, or none for the results so far; got {' '.join(args.models)}")
    asked = given(args, "prompts") | {"sampling": given(args, *SAMPLING)}
    made = acts.do("compare_set", project=project, models=args.models, **asked)
    same = f"; {made['same']} answers were equal" if made["same"] else ""
    return Outcome(made, f"{made['items']} blind pairs wait on the Label page{same}")


def users_list(acts: Acts, args: Args) -> Outcome:
    found = acts.do("users")
    return Outcome(found, table(found["users"], "name", "role", "disabled", "pending"))


def users_add(acts: Acts, args: Args) -> Outcome:
    added = acts.do("user_add", name=args.name, **given(args, "role", "project"))
    added["link"] = added.pop("server") + added["link"]
    return Outcome(added, f"{added['name']} ({added['role']}) chooses a password here, once:\n{added['link']}")


def users_reset(acts: Acts, args: Args) -> Outcome:
    made = acts.do("user_reset", name=args.name)
    made["link"] = made.pop("server") + made["link"]
    return Outcome(made, f"{made['name']} chooses a new password here, once:\n{made['link']}")


def users_change(acts: Acts, args: Args) -> Outcome:
    found = acts.do("user_change", name=args.name, **given(args, "role", "disabled"))
    rows = [user for user in found["users"] if user["name"] == args.name]
    return Outcome(found, table(rows, "name", "role", "disabled"))


def tokens_list(acts: Acts, args: Args) -> Outcome:
    found = acts.do("tokens", everybody=True)
    return Outcome(found, table(found["tokens"], "id", "owner", "title", "expires", "used"))


def tokens_add(acts: Acts, args: Args) -> Outcome:
    made = acts.do("token_add", title=args.title, **given(args, "user", "days"))
    return Outcome(made, f"token {made['id']} of {made['owner']}, good until {made['expires']}:\n{made['token']}")


def tokens_revoke(acts: Acts, args: Args) -> Outcome:
    return Outcome(acts.do("token_revoke", number=args.number), f"token {args.number} is no longer good")


def audit(acts: Acts, args: Args) -> Outcome:
    found = acts.do("audit", **given(args, "who", "what", "limit"))
    return Outcome(found, table(found["entries"], "at", "who", "act", "on"))


def fsck(acts: Acts, args: Args) -> Outcome:
    return checked(acts.do("fsck")["wrong"])


def checked(wrong: list[str]) -> Outcome:
    """What `fsck` found; anything at all ends as a damaged store does."""
    return Outcome({"wrong": wrong}, "\n".join(wrong) or "the store is whole", StoreDamaged.exit_code if wrong else 0)


def given(args: Args, *names: str) -> dict[str, Any]:
    """The flags that were used; the rest keep the defaults of the act."""
    return {name: value for name in names if (value := getattr(args, name, None)) is not None}


def project_of(acts: Acts, args: Args, *, new: bool = False) -> str | int | None:
    """The project that --project names, None when it is not there and may be `new`, else the only one there is."""
    found = acts.do("projects")["projects"]
    if args.project is None:
        if len(found) != 1:
            names = ", ".join(p["name"] for p in found) or "none yet; make one: workbench project create NAME"
            raise UsageError(f"say which --project: there are {names}")
        return found[0]["id"]
    if new and args.project not in {str(p[key]) for p in found for key in ("id", "name")}:
        return None
    return args.project


def mapping(text: str | None) -> dict[str, Any] | None:
    """--map: a JSON object, or a file that holds one."""
    if text is None:
        return None
    try:
        value = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--map {text}: neither a JSON object nor a file with one ({error})") from None
    if not isinstance(value, dict):
        raise UsageError(f"--map {text}: must be a JSON object")
    return value
