"""Which models this home can use, read from their folders without torch. Leaves out loading them (`training.model`)."""

import json
import re
import struct
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

from workbench.errors import ModelError, NotFound
from workbench.jobs.folder import read_json
from workbench.settings import DEMO

UNSAFE = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".mdl", ".joblib", ".py")
RUN = re.compile(r"run-(\d+)")


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
            f"model {name}: {unsafe[0]} can run code when it is loaded; convert the weights to safetensors first"
        )
    if (folder / "adapter_config.json").exists():
        return _adapter(folder, name)
    config = _config(folder, name, "config.json")
    parameters = sum(_parameters(p, name) for p in _shards(folder, name))
    if not any((folder / f).exists() for f in ("tokenizer.json", "tokenizer.model", "vocab.json")):
        raise ModelError(f"model {name}: no tokenizer (tokenizer.json) in {folder}")
    kind = "reward" if any("SequenceClassification" in a for a in config.get("architectures") or []) else "causal"
    return Model(name, str(folder), kind=kind, parameters=parameters, chat=_chat(folder))


def all(home: Path) -> list[Model]:
    """The demo model, every folder under models/, and every finished run; unusable ones with their reason."""
    folders = {"demo-tiny": DEMO / "model"} if (DEMO / "model").is_dir() else {}
    folders |= {p.name: p for p in sorted((home / "models").glob("[!.]*/"))}
    folders |= {f"run-{int(p.parent.name)}": p for p in sorted((home / "runs").glob("[0-9]*/out")) if _finished(p)}
    return [_described(name, folder, folders) for name, folder in folders.items()]


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
    """A model with what its run wrote about it, and an adapter with the folder of its base."""
    try:
        model = scan(folder, name)
    except ModelError as error:
        return Model(name, str(folder), reason=error.message)
    made = read_json(folder / "workbench.json") or {}
    run = RUN.fullmatch(name)
    model = replace(model, run=int(run[1]) if run else None, method=made.get("method"))
    if made.get("method") == "rm":
        model = replace(model, kind="reward")
    if not made and model.base is None:
        return model
    base = made.get("base") or model.base
    if not (folder / "adapter_config.json").exists():
        return replace(model, base=base)
    path = model.base_path or (str(folders[base]) if base in folders else None)
    if path is None:
        return replace(
            model,
            base=base,
            reason=f"model {name}: its base {base} is not here; add it with: workbench models add {base}",
        )
    whole = _described(base, Path(path), folders).parameters + model.parameters
    return replace(model, base=base, base_path=path, parameters=whole)


def _adapter(folder: Path, name: str) -> Model:
    config = _config(folder, name, "adapter_config.json")
    weights = folder / "adapter_model.safetensors"
    if not weights.exists():
        raise ModelError(f"model {name}: adapter_model.safetensors is missing in {folder}")
    base = config.get("base_model_name_or_path")
    path = base if base and Path(base).is_dir() else None
    return Model(
        name,
        str(folder),
        "adapter",
        base=base,
        base_path=path,
        parameters=_parameters(weights, name),
        chat=_chat(folder),
    )


def _config(folder: Path, name: str, file: str) -> dict[str, Any]:
    try:
        config = read_json(folder / file)
    except ValueError as error:
        raise ModelError(f"model {name}: {file} is not JSON ({error})") from None
    if not isinstance(config, dict):
        raise ModelError(f"model {name}: {file} is missing in {folder}")
    if found := _remote_code(config):
        raise ModelError(f"model {name}: {file} asks for code of its own ({found}); such models are not loaded")
    return config


def _remote_code(config: Any) -> str | None:
    if isinstance(config, dict):
        own = next((k for k in ("auto_map", "trust_remote_code", "custom_pipelines") if config.get(k)), None)
        return own or next(filter(None, map(_remote_code, config.values())), None)
    return next(filter(None, map(_remote_code, config)), None) if isinstance(config, list) else None


def _shards(folder: Path, name: str) -> list[Path]:
    index = read_json(folder / "model.safetensors.index.json")
    files = sorted(set(index["weight_map"].values())) if index else ["model.safetensors"]
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
        try:
            header = json.loads(source.read(size))
        except ValueError:
            raise ModelError(f"model {name}: {file.name} has a damaged header") from None
    tensors = [t for k, t in header.items() if k != "__metadata__"]
    if max((t["data_offsets"][1] for t in tensors), default=0) + 8 + size != total:
        raise ModelError(f"model {name}: {file.name} is cut short: copy it again")
    return sum(prod(t["shape"]) for t in tensors)


def _chat(folder: Path) -> bool:
    if (folder / "chat_template.jinja").exists():
        return True
    return bool((read_json(folder / "tokenizer_config.json") or {}).get("chat_template"))
