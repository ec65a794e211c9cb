"""What is asked of the generation child: models, prompts, sampling. No torch: both sides of the folder read it."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workbench.errors import UsageError


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Part):
    """How answers are drawn. Temperature 0 takes the likeliest token; n answers per model and prompt."""

    temperature: float = Field(0.8, ge=0.0, le=2.0)
    top_p: float = Field(1.0, gt=0.0, le=1.0)
    max_new_tokens: int = Field(160, ge=1, le=4096)
    seed: int = 0
    n: int = Field(1, ge=1, le=64)


class Source(Part):
    """A model's folder; of an adapter also the folder of its base."""

    name: str
    path: Path
    base_path: Path | None = None


class Turn(Part):
    role: str
    content: str


class Prompt(Part):
    """Messages to answer, or with form `text` a string to continue."""

    id: str
    messages: tuple[Turn, ...] = Field(min_length=1)
    form: Literal["chat", "text"] = "chat"


class Request(Part):
    id: str
    models: tuple[Source, ...] = Field(min_length=1)
    prompts: tuple[Prompt, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()


def checked(values: dict[str, Any] | str) -> Request:
    """A request out of plain values or JSON; `UsageError` names the field that is wrong."""
    try:
        is_json = isinstance(values, str)
        return Request.model_validate_json(values) if is_json else Request.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
