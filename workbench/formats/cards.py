"""The README of a data set and of a model on the Hub, generated from what is known. Leaves out names of people."""

import json
import re
from typing import Any

from workbench.errors import UsageError
from workbench.training.methods import METHODS, kto_weights

SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"), (10**6, "100K<n<1M"), (10**7, "1M<n<10M"))
USE = {
    "preference": "TRL DPO, CPO, ORPO, SimPO",
    "implicit": "TRL Reward",
    "unpaired": "TRL KTO",
    "demonstrations": "SFT",
    "rankings": "ranking losses",
}
NO_LICENSE = "No licence was chosen: nobody but the owner may use this until one is added."


def license_id(license: str | None) -> str | None:
    """A licence as the Hub spells it, such as `cc-by-4.0`."""
    if license and not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{0,40}", license):
        raise UsageError(f"license {license!r}: give its short id, such as cc-by-4.0, apache-2.0, mit or other")
    return license or None


def dataset_card(
    title: str,
    license: str | None,
    rows: dict[str, dict[str, int]],
    extra: dict[str, int],
    frozen: dict[str, Any],
    figures: dict[str, Any],
    languages: list[str],
) -> str:
    """YAML for the Hub, then what it is, how to load it, how it came about, and what it cannot tell."""
    name = frozen["hash"][:12]
    head = [
        *([f"license: {license}"] if license else []),
        *([f"language: [{', '.join(languages)}]"] if languages else []),
        f"pretty_name: {json.dumps(title, ensure_ascii=False)}",
        "task_categories: [text-generation]",
        "tags: [preference, human-feedback, dpo, kto, trl]",
        f"size_categories: [{size(sum(sum(splits.values()) for splits in rows.values()))}]",
        *(["configs:", *_configs(rows)] if rows else []),
    ]
    parts = [
        f"# {_plain(title)}",
        "Preferences collected with Preference Workbench: which answer of a language model is better, or good or bad.",
        "## Contents\n\n" + _counts(rows),
        "`extra/` has the chat rows of `train` as other tools take them: " + ", ".join(f"`{f}`" for f in extra)
        if extra
        else "",
        "## Load it\n\n" + _load(rows),
        "## How the labels came about\n\n" + _labels(figures, frozen),
        "## Sources\n\n" + _sources(frozen),
        "## Limits\n\n" + _limits(figures),
        f"## Licence\n\n{_licence(license)} Prompts and answers keep the licences of their sources.",
        f"## Version\n\nSnapshot `{name}`: the same labels and policy give the same snapshot, and that gives the same "
        f"bytes. `manifest.json` has the hash of every file. Rebuild it in the workbench it came from with "
        f"`workbench export --snapshot {name}`.",
    ]
    return "---\n" + "\n".join(head) + "\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _licence(license: str | None) -> str:
    return f"`{license}`." if license else NO_LICENSE


def size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "n>10M")


def _configs(rows: dict[str, dict[str, int]]) -> list[str]:
    """Only configs and splits that have rows: an empty one makes loading fail."""
    lines = []
    for at, (name, splits) in enumerate(rows.items()):
        lines += [f"- config_name: {name}", *(["  default: true"] if at == 0 else []), "  data_files:"]
        lines += [f"  - {{split: {split}, path: {name}/{split}-*.parquet}}" for split in splits]
    return lines


def _counts(rows: dict[str, dict[str, int]]) -> str:
    lines = ["| config | train | test | made for |", "|---|---|---|---|"]
    for name, splits in rows.items():
        use = USE[name.removesuffix("_text")]
        lines.append(f"| `{name}` | {splits.get('train', 0)} | {splits.get('test', 0)} | {use} |")
    text = "Configs that end in `_text` hold plain strings to be continued; the others hold chat messages."
    return "\n".join(lines) + (f"\n\n{text}" if any(name.endswith("_text") for name in rows) else "")


def _load(rows: dict[str, dict[str, int]]) -> str:
    calls = [
        f'{name} = load_dataset("<this repository>", "{name}", split="{next(iter(splits))}")'
        for name, splits in rows.items()
    ]
    return "\n".join(["```python", "from datasets import load_dataset", "", *calls, "```"])


def _labels(figures: dict[str, Any], frozen: dict[str, Any]) -> str:
    policy, lines = frozen.get("policy", {}), []
    if figures["pairs"]:
        lines.append(
            f"- {figures['pairs']} pairs from {figures['votes']} votes; {figures['ties']} are ties and left out."
        )
    if figures["twice"]:
        share = 100 * figures["agree"] / figures["of"]
        lines.append(
            f"- {figures['twice']} pairs have two or more votes; {share:.1f} % of their votes are for the side taken."
        )
    lines += _agreement(frozen.get("labels") or {})
    if figures["good"] or figures["bad"]:
        good, bad = figures["good"], figures["bad"]
        lines.append(f"- {good} single answers are labelled good, {bad} bad. {_kto(good, bad)}")
    lines.append(
        f"- Split by prompt group: about {100 * policy.get('eval_share', 0.1):.0f} % of the groups are `test`, and no "
        "group is in both splits. Adding labels never moves a group."
    )
    lines.append(f"- Votes used: {', '.join(policy.get('purposes', [])) or 'all'}.")
    if policy.get("both_bad_to_thumbs"):
        lines.append("- Pairs judged both bad appear as two bad answers in `unpaired`.")
    if left := {k: v for k, v in (frozen.get("left_out") or {}).items() if v}:
        lines.append(f"- Left out: {', '.join(f'{k} {v}' for k, v in left.items())}.")
    return "\n".join(lines)


def _agreement(labels: dict[str, Any]) -> list[str]:
    """How far annotators agree and what that says of one label, as far as it is known, with 95 % intervals."""

    def told(name: str, by: float, unit: str) -> str:
        value, low, high = (by * labels[name][key] for key in ("value", "low", "high"))
        digits = 1 if unit else 2
        return f"{value:.{digits}f}{unit} ({low:.{digits}f} to {high:.{digits}f})"

    def known(name: str) -> bool:
        return labels.get(name, {}).get("value") is not None

    lines = []
    if known("A"):
        alpha = f"; Krippendorff's alpha is {told('alpha', 1, '')}" if known("alpha") else ""
        lines.append(f"- Two annotators agree on {told('A', 100, ' %')} of {labels['n']} items{alpha}.")
    if labels and not known("eps"):
        lines.append(
            "- `p_share` and `p_posterior` are null: they need 50 items that two people labelled and agreed on."
        )
    if known("eps"):
        lines.append(
            f"- So {told('eps', 100, ' %')} of single labels are flipped, by error or taste. `p_share` is the chance "
            "that the next annotator agrees with a row, `p_posterior` that it is right."
        )
    return lines


def _kto(good: int, bad: int) -> str:
    """The weights that our own trainer takes for so many answers of each kind."""
    if not good or not bad:
        return "KTO needs both kinds."
    desirable, undesirable = (round(weight, 2) for weight in kto_weights(good, bad))
    return f"For KTO: `desirable_weight={desirable:g}`, `undesirable_weight={undesirable:g}`."


def _sources(frozen: dict[str, Any]) -> str:
    lines = [
        f"- {_plain(done['file'])} ({done['dialect']}): {done['accepted']} rows taken, {done['rejected']} refused"
        for done in frozen.get("imports", [])
    ]
    return "\n".join(lines) or "- Prompts and answers were made in the workbench."


def _limits(figures: dict[str, Any]) -> str:
    lines = ["- A label is one person's view; in the workbench a lot draws the side on which an answer stands."]
    if not figures["twice"]:
        lines.append("- No pair has two votes, so nothing here says how far annotators agree.")
    return "\n".join([*lines, "- Answers may be wrong or offensive; they were not filtered."])


def _plain(text: str) -> str:
    """A name inside Markdown, without a life of its own."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~$])", r"\\\1", " ".join(text.split()))


SCORING = """Its scores compare answers to one prompt; between prompts they mean nothing. A score is read at the token
that ends the answer, so cut what a chat template writes after it:

```python
text = tokenizer.apply_chat_template([*prompt, answer], tokenize=False).rstrip()
ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
score = model(**ids).logits[0, 0].item()
```"""


def model_card(made: dict[str, Any], *, license: str | None = None) -> str:
    """The card of a trained model. `made` is its workbench.json; `base_model` there is the base's id on the Hub."""
    license, method = license_id(license), METHODS[made["method"]]
    adapter, reward, hub = made.get("form") == "adapter", made["method"] == "rm", made.get("base_model")
    head = [
        *([f"license: {license}"] if license else []),
        *([f"base_model: {hub}", f"base_model_relation: {'adapter' if adapter else 'finetune'}"] if hub else []),
        f"library_name: {'peft' if adapter else 'transformers'}",
        f"pipeline_tag: {'text-classification' if reward else 'text-generation'}",
        f"tags: [{made['method']}, preference-workbench{', reward-model' if reward else ''}]",
    ]
    parts = [
        f"# {_plain(str(hub or made['base']).rsplit('/', 1)[-1])} after {method.title}",
        f"Trained with Preference Workbench: {method.title} ([{method.paper}]({method.url})), "
        f"from `{hub or made['base']}`, tuning {made.get('tuning')}. {method.summary}",
        SCORING if reward else "",
        f"## Data\n\nSnapshot `{str(made.get('snapshot'))[:12]}` of the labels; run {made.get('run')}.",
        _rewarded(made) if made.get("rewards") else "",
        "## Hyper-parameters\n\n" + _table("name", made.get("hparams") or {}),
        "## Last values\n\n" + _table("metric", made["metrics"]) if made.get("metrics") else "",
        "## Limits\n\nThe model reflects the labels of a few people on a few prompts. It was not tested for safety, "
        "for languages or tasks outside its data, or against misuse.",
        f"## Licence\n\n{_licence(license)} The licence of the base model applies as well.",
    ]
    return "---\n" + "\n".join(head) + "\n---\n\n" + "\n\n".join(part for part in parts if part) + "\n"


def _rewarded(made: dict[str, Any]) -> str:
    """Who scored the answers that a model learnt from, and what it was held near."""
    judges = ", ".join(f"`{name}` (weight {weight:g})" for name, weight in made["rewards"].items())
    return f"## Reward\n\nScored by {judges}; held near `{made['reference']}`."


def _table(name: str, values: dict[str, Any]) -> str:
    rows = [f"| `{key}` | {_value(value)} |" for key, value in sorted(values.items()) if value not in (None, "")]
    return "\n".join([f"| {name} | value |", "|---|---|", *rows])


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
