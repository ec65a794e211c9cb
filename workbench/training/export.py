"""The trained model as a folder others can load: written aside, loaded again and compared, then put in place.

`python -m workbench.training.export --job FOLDER` answers config.json {run, out, form, license, base} with result.json.
Leaves out the upload (`formats.push`).
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from workbench.errors import ModelError, UsageError, WorkbenchError
from workbench.formats.cards import model_card
from workbench.jobs.folder import aside, read_json, sha256, write_json
from workbench.training import checkpoint
from workbench.training.data import Stops
from workbench.training.hparams import RunConfig
from workbench.training.model import base_of, load_plain, tokenizer_of
from workbench.training.policy import Kind, Policy

TEXTS = (
    "How do I make an apple pie?",
    "Where is Paris?",
    "1, 2, 3, 4, 5, 6, 7",
    "你好，请问今天天气怎么样？",
    "def add(a, b):\n    return a + b",
    "Dear Sir or Madam,",
    "The quick brown fox jumps over the lazy dog.",
    "🙂 ok",
)
CLOSE = {torch.float32: 1e-4}


def save_trained(policy: Policy, config: RunConfig, stop: Stops, out: Path, metrics: dict[str, Any]) -> None:
    """The final model of a run: an adapter when its base lies on disk as it was trained on, else whole weights."""
    start, base = Path(config.model_path), config.base_path
    with aside(out) as part, checkpoint.disk_errors():
        if policy.adapted and not base and base_of(start) is None:
            policy.model.save_pretrained(part, selected_adapters=["default"])
            (part / "README.md").unlink()
        else:
            _save_whole(_merged(policy), part, dtype_of(Path(base or start)), stop)
        _describe(part, policy.tokenizer, facts(config) | {"metrics": metrics})


def tell_metrics(out: Path, more: dict[str, Any]) -> None:
    """Add figures to those that a saved model tells of itself."""
    made = read_json(out / "workbench.json")
    write_json(out / "workbench.json", made | {"metrics": made["metrics"] | more})


def _merged(policy: Policy) -> Any:
    """The model without adapters: merged in float32, as in half precision small changes are lost in the sum."""
    return policy.model.to("cpu", torch.float32).merge_and_unload() if policy.adapted else policy.model


def export(run: Path, out: Path, form: str, license: str | None, base: Path | None = None) -> dict[str, Any]:
    """Copy, or merge, the model of a run into `out`; it is loaded again and compared before it takes its place.

    base   where the base of an adapter lies, when that is known better than the adapter itself does
    """
    config, source = RunConfig.model_validate(read_json(run / "config.json")), run / "out"
    if not (source / "workbench.json").exists():
        raise UsageError(f"run {config.run} has no finished model yet")
    out = out.resolve()
    _may_replace(out)
    base = base or base_of(source)
    made = read_json(source / "workbench.json") | {"form": form, "license": license}
    made |= {"base_model": (_hub(base or Path(config.model_path)) or {}).get("id")}
    with aside(out) as part, checkpoint.disk_errors():
        if form == "adapter":
            _copy_adapter(source, part, base, config)
        else:
            made["reload_difference"] = _merge(source, part, config, base)
        _card(part, made, license)
        _describe(part, tokenizer_of(source), made)
    return {"folder": str(out), "form": form}


def _may_replace(out: Path) -> None:
    """Refuse a place that holds anything but an earlier export; the model of a run and a fetched one are none."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    try:
        made = read_json(out / "workbench.json", {})
        ours = "form" in made and "hub" not in made
    except (OSError, ValueError, TypeError):
        ours = False
    if not ours:
        raise UsageError(f"{out} is not empty and not an earlier export: choose an empty or new folder")


def _merge(source: Path, part: Path, config: RunConfig, base: Path | None) -> float:
    """Whole weights, merged in float32; how far the stored ones are from the trained ones.

    They keep the precision of the base where it can hold them, else float32.
    """
    kind: Kind = "reward" if config.method == "rm" else "causal"
    trained = load_plain(source, kind, torch.float32, base)
    for dtype in dict.fromkeys((dtype_of(base or source), torch.float32)):
        _save_whole(load_plain(source, kind, torch.float32, base), _fresh(part), dtype, None)
        reloaded = load_plain(part, kind, torch.float32)
        difference, most = compare(trained, reloaded, source), CLOSE.get(dtype, 2e-2)
        if difference <= most:
            break
    else:
        raise ModelError(f"the exported model differs from the trained one by {difference:.2g} (at most {most:g})")
    if kind == "causal":
        reloaded.generate(torch.tensor([tokenizer_of(source)(TEXTS[0])["input_ids"]]), max_new_tokens=2)
    return difference


def facts(config: RunConfig) -> dict[str, Any]:
    """What workbench.json says of a model; names, never paths."""
    return {
        "method": config.method,
        "base": config.model,
        "tuning": config.hparams["tuning"],
        "snapshot": config.snapshot,
        "run": config.run,
        "hparams": config.hparams,
        "code": config.code,
    } | (_judged(config) if config.judges else {})


def _judged(config: RunConfig) -> dict[str, Any]:
    reference = config.reference.name if config.reference else config.model
    return {"rewards": {judge.name: judge.weight for judge in config.judges}, "reference": reference}


def dtype_of(folder: Path) -> torch.dtype:
    """The precision a model is stored in; of an adapter, its base's."""
    return AutoConfig.from_pretrained(base_of(folder) or folder, local_files_only=True).dtype or torch.float32


@torch.no_grad()
def compare(trained: Any, reloaded: Any, folder: Path) -> float:
    """Largest difference over eight fixed texts: mean log-prob of their tokens, or the score of a reward model."""
    tokenizer, worst = tokenizer_of(folder), 0.0
    for text in TEXTS:
        ids = torch.tensor([tokenizer(text)["input_ids"]])
        a, b = (m.eval()(ids, use_cache=False).logits.float() for m in (trained, reloaded))
        if a.shape[-1] > 1:
            a, b = (x[0, :-1].log_softmax(-1).gather(1, ids[0, 1:, None]) for x in (a, b))
        worst = max(worst, (a - b).abs().mean().item() if a.numel() else 0.0)
    return worst


def _save_whole(model: Any, part: Path, dtype: torch.dtype, stop: Stops | None) -> None:
    generation = getattr(model, "generation_config", None)
    if generation and stop:
        generation.eos_token_id = sorted(stop.ids)
    model.to(dtype).save_pretrained(part, max_shard_size="5GB")


def _copy_adapter(source: Path, part: Path, base: Path | None, config: RunConfig) -> None:
    if base is None:
        raise UsageError(f"run {config.run} trained all weights, there is no adapter: export the merged form")
    hub = _hub(base)
    if not hub:
        raise UsageError(
            f"the adapter of run {config.run} belongs to {config.model}, which has no address on the Hub: "
            "export the merged form (--form merged)"
        )
    shutil.copy(source / "adapter_model.safetensors", part)
    adapter = read_json(source / "adapter_config.json")
    adapter |= {"base_model_name_or_path": hub["id"], "revision": hub.get("commit")}
    (part / "adapter_config.json").write_text(json.dumps(adapter, indent=1))


def _hub(base: Path) -> dict[str, Any] | None:
    """Where a model was fetched from: {"id", "commit"}."""
    return read_json(base / "workbench.json", {}).get("hub")


def _card(part: Path, made: dict[str, Any], license: str | None) -> None:
    (part / "README.md").write_text(model_card(made, license=license))


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _describe(part: Path, tokenizer: Any, made: dict[str, Any]) -> None:
    """Tokenizer, then what the model is and the hashes of all files."""
    tokenizer.save_pretrained(part)
    files = {p.name: sha256(p) for p in sorted(part.iterdir())}
    write_json(part / "workbench.json", made | {"files": files})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=Path, required=True)
    job = parser.parse_args().job
    config = read_json(job / "config.json")
    try:
        base = Path(config["base"]) if config.get("base") else None
        result = export(Path(config["run"]), Path(config["out"]), config["form"], config.get("license"), base)
    except WorkbenchError as error:
        result = {"error": error.message}
    write_json(job / "result.json", result)


if __name__ == "__main__":
    main()
