"""The three stages of RLHF played by themselves: demonstrations, comparisons, prompts; then a blind comparison.

The people who wrote the demonstrations answer in either style; those who compare want one. Leaves out the server and
the annotators (`play`).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.demo.corpus import intents, seeded
from workbench.demo.play import ANNOTATORS, Player, Stages, compared, playing
from workbench.errors import EngineError

PROJECT = "Demo"
DEMONSTRATIONS = 120
FRIENDLY = 0.2  # of them; the rest is formal
EACH = 60  # comparisons of one annotator
SCORE, SPREAD, KL = "eval_objective/scores", "eval_objective/score_std", "objective/kl"


def play(home: Path | None = None, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Play in `home`, or in a temporary one. Returns what PPO won, how far it went for it, and the seconds it took."""
    with playing(home, say) as played:
        return _stages(*played)


def _stages(home: Path, base: str, token: str, stages: Stages) -> dict[str, Any]:
    admin = Player(base, token, "demo")
    project = admin.do("demo_create")["project"]
    team = [Player(base, admin.do("user_add", name=n)["link"].split("#")[1], n) for n in ANNOTATORS]
    stages("demonstrations", lambda: demonstrate(home))
    sft = stages("train sft", lambda: command(home, "rlhf", "run", "--stage", "sft"))
    stages("compare answers", lambda: sum(p.label(project, "pair", EACH) for p in team))
    stages("train rm", lambda: command(home, "rlhf", "run", "--stage", "rm"))
    ppo = stages("train ppo", lambda: command(home, "rlhf", "run", "--stage", "ppo"))
    rate = stages("blind comparison", lambda: compared(admin, team, project, ppo, f"run-{sft}"))
    found = admin.do("run", number=ppo)
    told = gains(found["metrics"], found["config"]["hparams"]["kl_limit"])
    return told | {"win_rate": rate, "seconds": round(sum(stages.seconds.values()), 1)}


def gains(lines: list[dict[str, Any]], kl_limit: float) -> dict[str, float]:
    """Mean score of answers to held-out prompts before and after, its spread before, and the furthest KL on the way.

    In units of the spread that the SFT model's scores have on the prompts it learns from.
    """
    told = [line for line in lines if SCORE in line]
    return {
        "reward_before": told[0][SCORE],
        "reward_after": told[-1][SCORE],
        "reward_std_base": told[0][SPREAD],
        "kl": max(line[KL] for line in lines if KL in line),
        "kl_limit": kl_limit,
    }


def demonstrate(home: Path) -> None:
    """Import answers that people might have written, each in the style that came to mind."""
    rng = seeded(0)
    asked = rng.sample(list(intents()), DEMONSTRATIONS)
    rows = [
        {
            "prompt": rng.choice(i.prompts),
            "completion": i.draw("friendly" if rng.random() < FRIENDLY else "formal", rng),
        }
        for i in asked
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl", encoding="utf-8") as file:
        file.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        file.flush()
        run(home, "import", file.name)


def command(home: Path, *words: str) -> int:
    """A stage as anybody would run it; the number of its run."""
    return json.loads(run(home, *words))["runs"][-1]["run"]


def run(home: Path, *words: str) -> str:
    asked = [sys.executable, "-m", "workbench.cli", *words, "--home", str(home), "--project", PROJECT, "--json"]
    done = subprocess.run(asked, capture_output=True, text=True)
    if done.returncode:
        raise EngineError(f"workbench {' '.join(words)} ended with {done.returncode}: {done.stderr[-300:]}")
    return done.stdout
