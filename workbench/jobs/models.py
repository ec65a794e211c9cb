"""Which models this home can use, read from their folders without torch. Leaves out loading them (`training.model`)."""

import re
import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from workbench.errors import ModelError, NotFound
from workbench.settings import DEMO

UNSAFE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".mdl", ".joblib", ".py")
RUN = re.compile(r"run-(\d+)")


Shape = TypeVar("Shape")


class Config(BaseModel):
    """What we ask of config.json or adapter_config.json; the rest is kept to be searched for code."""

    model_config = ConfigDict(extra="allow")
    architectures: list[str] | None = None
    base_model_name_or_path: str | None = None
    task_type: str | None = None


class Made(BaseModel):
    """What workbench.json says of a model: where it came from."""

    method: str | None = None
    base: str | None = None
    snapshot: str | None = None
    hparams: dict[str, bool | int | float | str | None] = {}
    metrics: dict[str, Any] = {}
    hub: dict[str, str | None] = {}


class Index(BaseModel):
    weight_map: dict[str, str]


class Tensor(BaseModel):
    """An entry of a safetensors header."""

    shape: list[int]
    data_offsets: tuple[int, int]


@dataclass(frozen=True)
class Model:
    """A folder of weights. `base_path` is set for an adapter alone; `reason` says why the model cannot be used."""

    name: str
    path: str
    kind: Literal["causal", "reward", "adapter"] = "causal"
    base: str | None = None
    base_path: str | None = None
    parameters: int = 0
    chat: bool = False
    run: int | None = None
    method: str | None = None
    reason: str | None = None


def scan(folder: Path, name: str | None = None) -> Model:
    """Look a model folder over; `ModelError` names the file that is missing, cut or not safe to load."""
    name = name or folder.name
    if not folder.is_dir():
        raise ModelError(f"model {name}: {folder} is not a folder")
    unsafe = sorted(p.name for p in folder.iterdir() if p.suffix in UNSAFE)
    if unsafe:
        raise ModelError(
            f"model {name}: {unsafe[0]} may run code when it is loaded: only safetensors, and no .py files"
        )
    if (folder / "adapter_config.json").exists():
        return _adapter(folder, name)
    config = _config(folder, name, "config.json")
    parameters = sum(_parameters(p, name) for p in _shards(folder, name))
    if not any((folder / f).exists() for f in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"model {name}: no tokenizer (tokenizer.json) in {folder}")
    kind = "reward" if any("SequenceClassification" in a for a in config.architectures or []) else "causal"
    return Model(name, str(folder), kind=kind, parameters=parameters, chat=_chat(folder, name))


def all(home: Path) -> list[Model]:
    """The demo model, every folder under models/, and every finished run; unusable ones with their reason."""
    folders = _folders(home)
    return [_described(name, folder, folders) for name, folder in folders.items()]


def _folders(home: Path) -> dict[str, Path]:
    folders = {"demo-tiny": DEMO / "model"} if (DEMO / "model").is_dir() else {}
    folders |= {p.name: p for p in sorted((home / "models").glob("[!.]*/"))}
    return folders | {
        f"run-{int(p.parent.name)}": p for p in sorted((home / "runs").glob("[0-9]*/out")) if _finished(p)
    }


def untaught(home: Path, model: Model) -> Model | None:
    """The model, else the nearest one that it came from, that no label of this house has formed; None if it is gone."""
    folders = _folders(home)
    while made_of(Path(model.path), model.name).snapshot is not None:
        place = _folder_of(model.base, folders)
        if place is None:
            return None
        model = _described(model.base, Path(place), folders)
        if model.reason:
            return None
        folders = {name: path for name, path in folders.items() if str(path) != place}  # so that no circle is walked
    return model


def get(home: Path, name: str) -> Model:
    """The usable model of that name; `NotFound` lists what there is, `ModelError` says what is wrong with it."""
    models = {m.name: m for m in all(home)}
    if name not in models:
        raise NotFound(f"no model {name!r}; there are: {', '.join(models) or 'none'}")
    if models[name].reason:
        raise ModelError(models[name].reason)
    return models[name]


def _finished(out: Path) -> bool:
    return (out / "workbench.json").exists()


def _described(name: str, folder: Path, folders: dict[str, Path]) -> Model:
    """A model with what its run wrote about it, and an adapter with the folder of its base; what is odd is a reason."""
    try:
        return _traced(scan(folder, name), folder, folders)
    except ModelError as error:
        return Model(name, str(folder), reason=error.message)
    except OSError as error:
        return Model(name, str(folder), reason=f"model {name}: {folder} cannot be read ({error.strerror})")


def made_of(folder: Path, name: str) -> Made:
    return _read(folder / "workbench.json", Made, name) or Made()


def _traced(model: Model, folder: Path, folders: dict[str, Path]) -> Model:
    name, made = model.name, made_of(folder, model.name)
    run = RUN.fullmatch(name)
    model = replace(model, run=int(run[1]) if run else None, method=made.method)
    if made.method == "rm":
        model = replace(model, kind="reward")
    base = made.base or model.base
    if not (folder / "adapter_config.json").exists():
        return replace(model, base=base)
    path = model.base_path or _folder_of(base, folders)
    if path is None:
        return replace(
            model,
            base=base,
            reason=f"model {name}: its base {base} is not here; add it with: workbench models add {base}",
        )
    whole = scan(Path(path), base).parameters + model.parameters
    return replace(model, base=base, base_path=path, parameters=whole)


def _folder_of(base: str | None, folders: dict[str, Path]) -> str | None:
    """By the name it has here, or by the Hub id it was fetched under, whose last word is then its name."""
    if base in folders:
        return str(folders[base])
    name = (base or "").rpartition("/")[2]
    fetched = name in folders and made_of(folders[name], name).hub.get("id") == base
    return str(folders[name]) if fetched else None


def _adapter(folder: Path, name: str) -> Model:
    config = _config(folder, name, "adapter_config.json")
    weights = folder / "adapter_model.safetensors"
    if not weights.exists():
        raise ModelError(f"model {name}: adapter_model.safetensors is missing in {folder}")
    base = config.base_model_name_or_path
    path = base if base and Path(base).is_dir() else None
    return Model(
        name,
        str(folder),
        "reward" if config.task_type == "SEQ_CLS" else "adapter",
        base=base,
        base_path=path,
        parameters=_parameters(weights, name),
        chat=_chat(folder, name),
    )


def _read(path: Path, shape: type[Shape], name: str) -> Shape | None:
    """A JSON file of a model folder, None when it is not there; `ModelError` says what in it is not as it should be."""
    try:
        return _parsed(path.read_bytes(), shape, f"model {name}: {path.name}")
    except FileNotFoundError:
        return None


def _parsed(text: bytes, shape: type[Shape], what: str) -> Shape:
    try:
        return TypeAdapter(shape).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ModelError(f"{what} is damaged ({where + ': ' if where else ''}{first['msg']})") from None


def _config(folder: Path, name: str, file: str) -> Config:
    config = _read(folder / file, Config, name)
    if config is None:
        raise ModelError(f"model {name}: {file} is missing in {folder}")
    if found := _remote_code(config.model_dump()):
        raise ModelError(f"model {name}: {file} asks for code of its own ({found}); such models are not loaded")
    return config


def _remote_code(config: Any) -> str | None:
    if isinstance(config, dict):
        own = next((k for k in ("auto_map", "trust_remote_code", "custom_pipelines") if config.get(k)), None)
        return own or next(filter(None, map(_remote_code, config.values())), None)
    return next(filter(None, map(_remote_code, config)), None) if isinstance(config, list) else None


def _shards(folder: Path, name: str) -> list[Path]:
    index = _read(folder / "model.safetensors.index.json", Index, name)
    files = sorted(set(index.weight_map.values())) if index else ["model.safetensors"]
    missing = [f for f in files if Path(f).name != f or not (folder / f).exists()]
    if missing:
        raise ModelError(f"model {name}: missing {', '.join(missing)} in {folder}")
    return [folder / f for f in files]


def _parameters(file: Path, name: str) -> int:
    """Count from the safetensors header; a header that promises more bytes than the file has is a cut file."""
    with file.open("rb") as source:
        head = source.read(8)
        size = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
        total = file.stat().st_size
        if not 0 < size <= min(total - 8, 100_000_000):
            raise ModelError(f"model {name}: {file.name} is not a safetensors file")
        header = _parsed(source.read(size), dict[str, dict[str, Any]], f"model {name}: the header of {file.name}")
    header.pop("__metadata__", None)
    try:
        tensors = [Tensor.model_validate(entry) for entry in header.values()]
    except ValidationError:
        raise ModelError(f"model {name}: the header of {file.name} is damaged") from None
    if max((tensor.data_offsets[1] for tensor in tensors), default=0) + 8 + size != total:
        raise ModelError(f"model {name}: {file.name} is cut short: copy it again")
    return sum(prod(tensor.shape) for tensor in tensors)


def _chat(folder: Path, name: str) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    return bool((_read(folder / "tokenizer_config.json", dict[str, Any], name) or {}).get("chat_template"))
