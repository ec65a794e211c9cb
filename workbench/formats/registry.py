"""The dialects, the more specific first, and which one a file speaks. A dialect is a module with detect and read."""

from typing import Any, Protocol

from workbench.formats.dialects import (
    alpaca_eval,
    arena,
    argilla1,
    argilla2,
    axolotl,
    columns,
    demonstrations,
    helpsteer,
    hh_rlhf,
    label_studio,
    llamafactory,
    ms_swift,
    nectar,
    oasst,
    open_webui,
    openai_dpo,
    pandalm,
    pku_safe,
    prodigy,
    prompts,
    rankings,
    shp,
    stack_paired,
    summarize_comparisons,
    trl_implicit,
    trl_preference,
    trl_unpaired,
    ultrafeedback_bin,
    ultrafeedback_raw,
    webgpt,
)
from workbench.formats.reading import Reading
from workbench.formats.row import Row
from workbench.formats.strict import CONTENT, Reject


class Dialect(Protocol):
    """`detect`: the keys that tell this dialect are there. `read`: what the row says, or `Reject`."""

    def detect(self, row: Row) -> bool: ...
    def read(self, row: Row) -> list[Reading]: ...


DIALECTS: dict[str, Any] = {
    "hh_rlhf": hh_rlhf,
    "ultrafeedback_bin": ultrafeedback_bin,
    "ultrafeedback_raw": ultrafeedback_raw,
    "shp": shp,
    "summarize_comparisons": summarize_comparisons,
    "webgpt": webgpt,
    "openai_dpo": openai_dpo,
    "llamafactory": llamafactory,
    "ms_swift": ms_swift,
    "axolotl": axolotl,
    "demonstrations": demonstrations,
    "argilla2": argilla2,
    "argilla1": argilla1,
    "arena": arena,
    "helpsteer": helpsteer,
    "nectar": nectar,
    "oasst": oasst,
    "pku_safe": pku_safe,
    "label_studio": label_studio,
    "prodigy": prodigy,
    "open_webui": open_webui,
    "stack_paired": stack_paired,
    "pandalm": pandalm,
    "alpaca_eval": alpaca_eval,
    "rankings": rankings,
    "trl_preference": trl_preference,
    "trl_implicit": trl_implicit,
    "trl_unpaired": trl_unpaired,
    "prompts": prompts,
    "columns": columns,
}
ENOUGH = 0.90
AHEAD = 0.10


def fits(dialect: Dialect, row: Row) -> bool:
    """The row has the shape of the dialect; faults of content are not faults of shape."""
    try:
        return dialect.detect(row) and bool(dialect.read(row))
    except Reject as reject:
        return reject.reason in CONTENT


def scores(sample: list[Row]) -> dict[str, float]:
    """Share of the sample that each dialect reads, zeros left out."""
    found = {name: sum(fits(d, row) for row in sample) / len(sample) for name, d in DIALECTS.items()}
    return {name: score for name, score in found.items() if score}


def winner(found: dict[str, float]) -> str | None:
    """The dialect that is clear: 0.90 or more, every other one 0.10 behind, or not better and less specific."""
    order = list(DIALECTS)
    for name, score in found.items():
        others = (o for o in found if o != name)
        if score >= ENOUGH and all(
            found[o] <= score - AHEAD or (found[o] <= score and order.index(o) > order.index(name)) for o in others
        ):
            return name
    return None
