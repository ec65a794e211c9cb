"""The training methods: what each needs, its knobs, its presets. One entry adds a method. Leaves out the formulas."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import UsageError
from workbench.training.hparams import hp

TINY = 20_000_000  # parameters below which the presets of the bundled model hold
SMALL = 1_000_000_000  # parameters up to which full fine-tuning is proposed where LoRA is unpublished
Data = Literal["demonstrations", "pairs", "thumbs", "rankings", "prompts"]


def truncation(default: str) -> Any:
    return hp(
        default,
        "Rows that are too long: cut the end, cut the oldest turns, drop them, or refuse",
        choices=("keep_start", "keep_recent", "drop", "error"),
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class Training:
    """What every method has. Presets give the learning rate and the sizes that fit method and model."""

    learning_rate: float = hp(5e-6, "Step size at the peak of the schedule", low=1e-9, high=1.0)
    epochs: int = hp(1, "Passes over the training rows", low=1, high=1000)
    units_per_step: int = hp(64, "Pairs or answers per optimiser step", low=1, high=65536)
    tuning: str = hp(
        "lora",
        "Train all weights, or small adapters beside them; qlora keeps the base in 4 bits, on an NVIDIA GPU only",
        choices=("lora", "qlora", "full"),
    )
    lora_r: int = hp(16, "Rank of the adapters", low=1, high=1024, advanced=True)
    lora_alpha: int = hp(32, "Scale of the adapters: alpha / rank", low=1, high=4096, advanced=True)
    schedule: str = hp(
        "cosine",
        "After warm-up: cosine to a tenth, linear to zero, or constant",
        choices=("cosine", "linear", "constant"),
        advanced=True,
    )
    warmup: float = hp(0.1, "Share of all steps in which the learning rate rises", low=0.0, high=0.9, advanced=True)
    max_length: int = hp(0, "Most tokens of prompt and answer; 0 fits 99 % of the rows", low=0, advanced=True)
    truncation: str = truncation("keep_start")
    empty: str = hp("drop", "Blank answers: drop, keep, or refuse", choices=("drop", "keep", "error"), advanced=True)
    max_steps: int = hp(0, "Stop after so many steps; 0 trains all epochs", low=0, advanced=True)
    early_stopping: int = hp(
        0, "Stop after so many evaluations without a lower loss; 0 never does", low=0, advanced=True
    )
    weight_decay: float = hp(0.0, "AdamW weight decay", low=0.0, high=1.0, advanced=True)
    max_grad_norm: float = hp(1.0, "Gradients are clipped to this norm", low=0.001, high=1000.0, advanced=True)
    precision: str = hp(
        "auto",
        "Arithmetic: bf16 on a GPU that has it, else float32",
        choices=("auto", "bf16", "float32"),
        advanced=True,
    )
    allow: str = hp("", "Data checks that may not stop the start, for example D06", advanced=True)
    seed: int = hp(0, "Seed of the order of rows and of new weights", low=0, high=2**31 - 1, advanced=True)


def beta(default: float, help: str = "Strength of the pull towards the reference") -> Any:
    return hp(default, help, low=0.001, high=50.0)


def nll(default: float) -> Any:
    return hp(default, "Weight of imitating the chosen answer", low=0.0, high=10.0)


@dataclass(frozen=True, kw_only=True)
class SFT(Training):
    loss_on: str = hp("completion", "Learn the answer only, or the prompt too", choices=("completion", "all"))
    reduce: str = hp("token", "Weigh tokens or answers alike", choices=("token", "example"), advanced=True)


@dataclass(frozen=True, kw_only=True)
class Preference(Training):
    """Methods whose labels may be noisy: `p` is the chance that the chosen answer is truly the better one."""

    label_smoothing: float = hp(0.0, "Share of labels believed flipped", low=0.0, high=0.49)
    targets: str = hp(
        "hard",
        "Labels as certain, as the share of votes, or as the chance after weighing annotators",
        choices=("hard", "share", "posterior"),
        advanced=True,
    )

    def __post_init__(self) -> None:
        if self.label_smoothing and self.targets != "hard":
            raise UsageError("label_smoothing and targets both soften the labels: set one of them")


@dataclass(frozen=True, kw_only=True)
class RM(Preference):
    truncation: str = truncation("drop")
    center_coef: float = hp(0.01, "Pull of the scores towards zero", low=0.0, high=1.0)
    margin_map: str = hp(
        "auto",
        "Margin from the strength of a vote: none, a third of it, all of it; auto is small when most pairs have one",
        choices=("auto", "none", "small", "large"),
    )
    ties: str = hp("drop", "Tied pairs: leave out, or pull together", choices=("drop", "half"))


@dataclass(frozen=True, kw_only=True)
class DPO(Preference):
    beta: float = beta(0.1)
    loss: str = hp(
        "sigmoid",
        "Shape of the loss",
        choices=("sigmoid", "robust", "ipo", "hinge", "sigmoid_norm"),
    )
    nll_coef: float = nll(0.0)
    ipo_length_norm: bool = hp(True, "IPO only: average over tokens, not sum", advanced=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss == "robust" and self.label_smoothing > 0.45:
            raise UsageError(f"label_smoothing = {self.label_smoothing}: at most 0.45 with the robust loss")


@dataclass(frozen=True, kw_only=True)
class KTO(Training):
    units_per_step: int = hp(32, "Answers per optimiser step; its reference point needs many", low=2, high=65536)
    beta: float = beta(0.1)
    kto_weights: str = hp("auto", "Balance good and bad answers by their number", choices=("auto", "manual"))
    desirable_weight: float = hp(1.0, "Weight of good answers (manual)", low=0.001, high=100.0, advanced=True)
    undesirable_weight: float = hp(1.0, "Weight of bad answers (manual)", low=0.001, high=100.0, advanced=True)
    targets: str = hp("hard", "Labels as certain, or as the share of votes", choices=("hard", "share"), advanced=True)


@dataclass(frozen=True, kw_only=True)
class CPO(Preference):
    beta: float = beta(0.1, "Sharpness of the comparison")
    loss: str = hp("sigmoid", "Shape of the loss", choices=("sigmoid", "hinge", "ipo"))
    nll_coef: float = nll(1.0)


@dataclass(frozen=True, kw_only=True)
class ORPO(Preference):
    lambda_or: float = hp(0.1, "Weight of the odds ratio beside imitation", low=0.001, high=5.0)
    nll_scope: str = hp(
        "completion",
        "Imitate the chosen answer, or prompt and answer",
        choices=("completion", "sequence"),
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class SimPO(Preference):
    beta: float = beta(2.0, "Sharpness of the comparison")
    gamma_beta_ratio: float = hp(0.5, "Target margin, as a share of beta", low=0.0, high=2.0)
    nll_coef: float = nll(0.0)


@dataclass(frozen=True)
class Method:
    """One way to train. `loss` names a function of `losses.py`, `variants` one for each value of the `loss` knob."""

    name: str
    title: str
    paper: str
    url: str
    data: Data
    hparams: type
    loss: str | None
    reference: bool
    summary: str
    presets: dict[str, dict[str, Any]]
    variants: dict[str, str] = field(default_factory=dict)


def row(lr: float, epochs: int, warmup: float, units: int, **rest: Any) -> dict[str, Any]:
    return {"learning_rate": lr, "epochs": epochs, "warmup": warmup, "units_per_step": units, **rest}


def tiny(lr: float, epochs: int, units: int = 8, **rest: Any) -> dict[str, Any]:
    return row(lr, epochs, 0.1, units, schedule="linear", **rest)


METHODS: dict[str, Method] = {
    m.name: m
    for m in (
        Method(
            name="sft",
            title="SFT",
            paper="Ouyang et al. 2022, Training language models to follow instructions with human feedback",
            url="https://arxiv.org/abs/2203.02155",
            data="demonstrations",
            hparams=SFT,
            loss="sft_loss",
            reference=False,
            summary="Imitates good answers, word by word. Needs written or edited answers.",
            presets={"full": row(2e-5, 2, 0.1, 32), "lora": row(1e-4, 2, 0.1, 32), "tiny": tiny(6e-4, 6)},
        ),
        Method(
            name="rm",
            title="Reward model",
            paper="Ouyang et al. 2022; Touvron et al. 2023, Llama 2",
            url="https://arxiv.org/abs/2203.02155",
            data="pairs",
            hparams=RM,
            loss="rm_rank_loss",
            reference=False,
            summary="Learns to score answers the way your annotators choose. It does not write; it judges.",
            presets={"full": row(9e-6, 1, 0.03, 64), "lora": row(1e-4, 1, 0.03, 64), "tiny": tiny(3e-4, 3)},
        ),
        Method(
            name="dpo",
            title="DPO",
            paper="Rafailov et al. 2023, Direct Preference Optimization",
            url="https://arxiv.org/abs/2305.18290",
            data="pairs",
            hparams=DPO,
            loss="dpo_loss",
            reference=True,
            summary="Makes chosen answers likelier than rejected ones, held near the start model. The usual choice.",
            presets={"full": row(5e-7, 1, 0.1, 64), "lora": row(5e-6, 1, 0.1, 64), "tiny": tiny(6e-4, 6, nll_coef=1.0)},
            variants={
                "sigmoid": "dpo_loss",
                "robust": "dpo_robust_loss",
                "ipo": "dpo_ipo_loss",
                "hinge": "dpo_hinge_loss",
                "sigmoid_norm": "dpo_norm_loss",
            },
        ),
        Method(
            name="kto",
            title="KTO",
            paper="Ethayarajh et al. 2024, Model Alignment as Prospect Theoretic Optimization",
            url="https://arxiv.org/abs/2402.01306",
            data="thumbs",
            hparams=KTO,
            loss="kto_loss",
            reference=True,
            summary="Learns from single answers marked good or bad; no pairs needed, imbalance is fine.",
            presets={"full": row(1e-6, 1, 0.1, 32), "lora": row(5e-6, 1, 0.1, 32), "tiny": tiny(6e-4, 6, 16)},
        ),
        Method(
            name="cpo",
            title="CPO",
            paper="Xu et al. 2024, Contrastive Preference Optimization",
            url="https://arxiv.org/abs/2401.08417",
            data="pairs",
            hparams=CPO,
            loss="cpo_loss",
            reference=False,
            summary="Compares without a reference and imitates the chosen answer. Good for near-twin pairs.",
            presets={"full": row(1e-6, 1, 0.1, 64), "lora": row(1e-5, 1, 0.1, 64), "tiny": tiny(6e-4, 6)},
            variants={"sigmoid": "cpo_loss", "hinge": "cpo_hinge_loss", "ipo": "cpo_ipo_loss"},
        ),
        Method(
            name="orpo",
            title="ORPO",
            paper="Hong et al. 2024, Monolithic Preference Optimization without Reference Model",
            url="https://arxiv.org/abs/2403.07691",
            data="pairs",
            hparams=ORPO,
            loss="orpo_loss",
            reference=False,
            summary="Imitation and comparison in one stage. For a base model that was never instruction-tuned.",
            presets={"full": row(5e-6, 3, 0.1, 32), "lora": row(2e-5, 3, 0.1, 32), "tiny": tiny(6e-4, 6)},
        ),
        Method(
            name="simpo",
            title="SimPO",
            paper="Meng et al. 2024, Simple Preference Optimization",
            url="https://arxiv.org/abs/2405.14734",
            data="pairs",
            hparams=SimPO,
            loss="simpo_loss",
            reference=False,
            summary="Compares by likelihood per token, with a margin. Less drawn to length; keep the rate low.",
            presets={"full": row(5e-7, 1, 0.1, 128), "lora": row(5e-6, 1, 0.1, 128), "tiny": tiny(6e-4, 6)},
        ),
    )
}


def kto_weights(good: float, bad: float) -> tuple[float, float]:
    """(lambda_D, lambda_U) such that lambda_D good / (lambda_U bad) lies in [1, 4/3]; counts are of training rows.

    30 good and 120 bad: (4, 1). 120 good and 30 bad: (1, 3). Source: arXiv:2402.01306, Eq. 8.
    """
    if not good or not bad:
        return 1.0, 1.0
    ratio = good / bad
    if ratio < 1:
        return 1 / ratio, 1.0
    return 1.0, max(1.0, 0.75 * ratio)


def preset(method: str, *, tuning: str | None, parameters: int, units: int) -> dict[str, Any]:
    """The values a form starts from: by method, way of tuning and size of the model, with steps that fit few rows.

    Sources of the figures stand in the papers named above and their authors' code; `tiny` was measured on the
    bundled model. `tuning` None picks full for a tiny model (and for SimPO up to a billion parameters), else LoRA.
    """
    entry, small = METHODS[method], parameters < TINY
    tuning = tuning or ("full" if small or (method == "simpo" and parameters < SMALL) else "lora")
    values = dict(entry.presets["tiny" if small else "full" if tuning == "full" else "lora"])
    if small and tuning != "full":
        imitates = method not in ("kto", "simpo")  # what holds an answer to its topic at a high rate
        values |= {"learning_rate": 5e-3 if imitates else 2e-3, "lora_alpha": 16}
    least = 16 if method == "kto" else 8
    fitting = max(least, 2 ** int(math.log2(max(units, 25) / 25)))
    return values | {"tuning": tuning, "units_per_step": min(values["units_per_step"], fitting)}
