"""Hyper-parameters: one line makes a knob; forms, flags and checks come from it. Leaves out which method has which."""

import hashlib
from dataclasses import dataclass, field, fields
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from workbench.errors import UsageError


def hp(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    advanced: bool = False,
) -> Any:
    """A dataclass field that knows what it means and what it may be."""
    facts = {"help": help, "low": low, "high": high, "choices": choices, "advanced": advanced}
    return field(default=default, metadata=facts)


@dataclass(frozen=True)
class Knob:
    """One hyper-parameter as a form or a command line shows it. Bounds are inclusive."""

    name: str
    type: type
    default: Any
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] | None = None
    advanced: bool = False

    @property
    def range(self) -> str:
        """What is acceptable, in words: `0.001 to 50`, `one of full, lora`, `yes or no`."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.type is bool:
            return "yes or no"
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return {int: "a whole number", float: "a number", str: "text"}[self.type]

    def check(self, value: Any) -> Any:
        """The value in the knob's type; `UsageError` names knob, value and range."""
        try:
            made = _as(self.type, value)
        except (TypeError, ValueError):
            made = None
        if (
            made is None
            or (self.choices and made not in self.choices)
            or (self.low is not None and not made >= self.low)
            or (self.high is not None and not made <= self.high)
        ):
            raise UsageError(f"{self.name} = {value!r}: must be {self.range}")
        return made


def knobs(cls: type) -> list[Knob]:
    """The knobs of a hyper-parameter dataclass, in the order they are written."""
    return [Knob(f.name, f.type, f.default, **f.metadata) for f in fields(cls)]


def make(cls: type, values: dict[str, Any]) -> Any:
    """An instance of `cls` from checked values; text from a command line is read as the knob's type."""
    known = {k.name: k for k in knobs(cls)}
    if strange := [name for name in values if name not in known]:
        raise UsageError(f"no hyper-parameter {strange[0]!r}; there are: {', '.join(known)}")
    return cls(**{name: known[name].check(value) for name, value in values.items()})


def _as(kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, str):
            return {"true": True, "yes": True, "false": False, "no": False}.get(value.lower())
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
        return None
    if kind is int:
        number = float(value)
        return int(number) if number.is_integer() else None
    return kind(value)


@cache
def code_version() -> str:
    """Names the training code: a run whose code differs from its first attempt resumes, but not bit by bit."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(p.read_bytes() for p in sources)).hexdigest()[:12]


class Place(BaseModel):
    """A model by name and folder. `base_path`: where the base of an adapter lies, which may name an older place."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    path: str
    base_path: str | None = None


class JudgeAt(Place):
    """A reward model, and how much its word weighs; one that weighs nothing only watches."""

    weight: float = Field(1.0, ge=0.0, allow_inf_nan=False)


class RunConfig(BaseModel):
    """config.json of a run folder: everything needed to repeat the run.

    base_path   where the base of the start model lies, when that is an adapter: its own config may name an older place
    judges      the reward models of a method that draws its answers, and the reference where it is not the start model
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    run: int
    project: int
    method: str
    hparams: dict[str, Any]
    model: str
    model_path: str
    base_path: str | None = None
    snapshot: str
    snapshot_path: str
    judges: list[JudgeAt] = []
    reference: Place | None = None
    seed: int = 0
    code: str = Field(default_factory=code_version)
