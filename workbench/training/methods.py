"""The training methods: what each needs, its knobs, its presets. One entry adds a method. Leaves out the formulas."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.training.knobs import CPO, DPO, KTO, ORPO, PPO, RM, SFT, SimPO

TINY = 20_000_000  # parameters below which the presets of the bundled model hold
SMALL = 1_000_000_000  # parameters up to which full fine-tuning is proposed where LoRA is unpublished
ENDS = {"missing_eos_penalty": 2.0, "kl_limit": 20.0}  # for short answers of a model that can soon say anything
Data = Literal["demonstrations", "pairs", "thumbs", "rankings", "prompts"]


@dataclass(frozen=True)
class Method:
    """One way to train. `loss` names a function of `losses.py`, `variants` one for each value of the `loss` knob.

    Without a loss there (PPO) a method has its own loop, draws its answers itself and is given reward models.
    """

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

    @property
    def draws(self) -> bool:
        """Whether it learns from answers that it draws itself, and that reward models score."""
        return self.data == "prompts"

    @property
    def batch(self) -> str:
        """The knob that says how much one step takes."""
        return "rollout_batch" if self.draws else "units_per_step"


def row(lr: float, epochs: int, warmup: float, units: int, **rest: Any) -> dict[str, Any]:
    return {"learning_rate": lr, "epochs": epochs, "warmup": warmup, "units_per_step": units, **rest}


def drawing(lr: float, **rest: Any) -> dict[str, Any]:
    return {"learning_rate": lr, "warmup": 0.0, "schedule": "linear", "rollout_batch": 128, **rest}


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
            summary="Imitates good answers, word by word: written, edited, called good, or clearly better.",
            presets={"full": row(2e-5, 2, 0.1, 32), "lora": row(1e-4, 2, 0.1, 32), "tiny": tiny(3e-4, 3)},
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
        Method(
            name="ppo",
            title="PPO",
            paper="Schulman et al. 2017, Proximal Policy Optimization; Ouyang et al. 2022",
            url="https://arxiv.org/abs/1707.06347",
            data="prompts",
            hparams=PPO,
            loss=None,
            reference=True,
            summary="Draws answers, has reward models score them, and makes the good ones likelier. The last of three "
            "stages: SFT, reward model, PPO.",
            presets={
                "full": drawing(3e-6),
                "lora": drawing(1e-5),
                "tiny": drawing(
                    3e-4,
                    schedule="constant",
                    rollout_batch=64,
                    rollouts=20,
                    ppo_epochs=2,
                    num_mini_batches=2,
                    temperature=1.0,
                    **ENDS,
                ),
            },
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
        imitates = method not in ("kto", "simpo", "ppo")  # what holds an answer to its topic at a high rate
        values |= {"learning_rate": 5e-3 if imitates else 2e-3, "lora_alpha": 16}
    steps = 1 if entry.draws else 25  # that one pass should at least have
    least = 16 if method == "kto" else 8
    fitting = max(least, 2 ** int(math.log2(max(units, steps) / steps)))
    return values | {"tuning": tuning, entry.batch: min(values[entry.batch], fitting)}
