"""What a command found, in words for people: tables, a run, a report, progress. Leaves out finding it (`commands`)."""

import sys
import time
from typing import Any, NamedTuple

LOG_SECONDS = 10


class Outcome(NamedTuple):
    """What a command found: the value for `--json`, the words for people, the exit code."""

    value: dict[str, Any]
    words: str
    code: int = 0


class Progress:
    """One line on stderr that a terminal sees change and a log sees now and then."""

    def __init__(self) -> None:
        self.live, self.said, self.at = sys.stderr.isatty(), "", float("-inf")

    def show(self, line: str) -> None:
        if self.live:
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        elif line != self.said and time.monotonic() - self.at > LOG_SECONDS:
            print(line, file=sys.stderr, flush=True)
            self.said, self.at = line, time.monotonic()

    def close(self) -> None:
        if self.live:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def described(number: int, found: dict[str, Any]) -> str:
    """A run in one line."""
    status, last = found["status"], (found["metrics"] or [{}])[-1]
    parts = [f"run {number} {found['config']['method']}: {status['state']}"]
    if status.get("steps"):
        parts.append(f"step {status['step']} of {status['steps']}")
    if isinstance(last.get("loss"), float):
        parts.append(f"loss {last['loss']:.4f}")
    if isinstance(last.get("objective/scores"), float):
        parts.append(f"score {last['objective/scores']:.3g}, KL {last['objective/kl']:.3g}")
    if status.get("left_out") or status.get("cut"):
        parts.append(f"{status['left_out']} rows left out and {status['cut']} cut (dropped.jsonl says why)")
    if status["state"] == "running" and status.get("eta_s"):
        parts.append(f"{status['eta_s'] / 60:.1f} min left")
    return ", ".join(parts) + (f": {status['message']}" if status.get("message") else "")


def reported(found: dict[str, Any]) -> str:
    """How far to trust a reward model."""
    right = "held-out accuracy {value:.3f}, 95 % interval {low:.3f} to {high:.3f}, of {n} comparisons"
    rows = [row | {"strength": row["level"] or "none", "agreement": row["value"]} for row in found["strength"]]
    return right.format(**found["accuracy"]) + "\n" + table(rows, "strength", "agreement", "low", "high", "n")


def told(report: dict[str, Any]) -> str:
    """An import report in one line."""
    if not report["dialect"]:
        return f"{report['file']}: not a known dialect; columns: {', '.join(report['columns'])}"
    said = f"{report['file']} ({report['dialect']}): {report['lines']} lines, {report['accepted']} accepted"
    said += f", {report['items']} items, {report['judgements']} judgements"
    return said + (f", {report['rejected']} rejected ({counts(report['reasons'])})" if report["rejected"] else "")


def counts(found: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in found.items() if number) or "nothing"


def lines(found: dict[str, Any]) -> str:
    return "\n".join(f"  {name}: {cell(value)}" for name, value in found.items() if value is not None)


def table(rows: list[dict[str, Any]], *columns: str) -> str:
    """Aligned columns; what is missing stays blank."""
    if not rows:
        return "none yet"
    grid = [columns, *([cell(row.get(c)) for c in columns] for row in rows)]
    widths = [max(len(row[i]) for row in grid) for i in range(len(columns))]
    return "\n".join("  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip() for row in grid)


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ",".join(map(cell, value))
    if isinstance(value, dict):
        return " ".join(f"{k}={cell(v)}" for k, v in value.items())
    return "" if value is None else str(value)
