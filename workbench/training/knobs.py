"""The hyper-parameters of the methods: one line makes a knob. Leaves out which method has which (`methods`)."""

from dataclasses import dataclass
from typing import Any

from workbench.errors import UsageError
from workbench.training.hparams import hp


def truncation(default: str) -> Any:
    return hp(
        default,
        "Rows that are too long: cut the end, cut the oldest turns, drop them, or refuse",
        choices=("keep_start", "keep_recent", "drop", "error"),
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every method has. Presets give the learning rate and the sizes that fit method and model."""

    learning_rate: float = hp(5e-6, "Step size at the peak of the schedule", low=1e-9, high=1.0)
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
    max_length: int = hp(0, "Most tokens of prompt and answer; 0 leaves it to the data", low=0, advanced=True)
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


@dataclass(frozen=True, kw_only=True)
class Training(Common):
    """What every method that learns from labelled rows has."""

    epochs: int = hp(1, "Passes over the training rows", low=1, high=1000)
    units_per_step: int = hp(64, "Pairs or answers per optimiser step", low=1, high=65536)
    truncation: str = truncation("keep_start")
    empty: str = hp("drop", "Blank answers: drop, keep, or refuse", choices=("drop", "keep", "error"), advanced=True)
    max_steps: int = hp(0, "Stop after so many steps; 0 trains all epochs", low=0, advanced=True)
    early_stopping: int = hp(
        0, "Stop after so many evaluations without a lower loss; 0 never does", low=0, advanced=True
    )


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


@dataclass(frozen=True, kw_only=True)
class PPO(Common):
    """Learning from drawn answers that reward models score. One step is one rollout."""

    def steps(self, prompts: int) -> int:
        """Rollouts in all, for so many prompts to ask."""
        return self.rollouts or max(1, min(20 * prompts, 20_000) // self.rollout_batch)

    rollouts: int = hp(0, "Rollouts in all; 0 draws twenty answers for each prompt there is, at most 20,000", low=0)
    rollout_batch: int = hp(128, "Answers drawn before each update", low=2, high=65536)
    samples_per_prompt: int = hp(1, "Answers drawn to one prompt", low=1, high=64, advanced=True)
    max_new_tokens: int = hp(128, "Most tokens of an answer", low=1, high=4096)
    temperature: float = hp(0.7, "Sampling temperature, also of the log-probs that are compared", low=0.05, high=2.0)
    kl_coef: float = hp(0.05, "Strength of the pull towards the reference, per token", low=0.0, high=2.0)
    adaptive_kl: bool = hp(False, "Let the coefficient follow a target", advanced=True)
    kl_target: float = hp(6.0, "KL per answer that the coefficient is to reach", low=0.01, high=1000.0, advanced=True)
    kl_horizon: int = hp(10_000, "Answers over which the coefficient adapts", low=1, advanced=True)
    kl_limit: float = hp(0.0, "Stop when the KL per answer passes it; 0 never does", low=0.0, high=10_000.0)
    ppo_epochs: int = hp(4, "Passes over each rollout", low=1, high=100)
    num_mini_batches: int = hp(1, "Optimiser steps in one pass", low=1, high=1024, advanced=True)
    gamma: float = hp(1.0, "Discount of later rewards", low=0.0, high=1.0, advanced=True)
    lam: float = hp(0.95, "GAE: how far an advantage looks ahead", low=0.0, high=1.0, advanced=True)
    cliprange: float = hp(0.2, "How far a token's ratio may move in one rollout", low=0.001, high=1.0, advanced=True)
    cliprange_value: float = hp(0.2, "How far a value may move in one rollout", low=0.001, high=1.0, advanced=True)
    vf_coef: float = hp(0.1, "Weight of the value loss", low=0.0, high=1.0, advanced=True)
    target_kl_update: float = hp(0.0, "End the passes when approxkl exceeds it; 0 never does", low=0.0, advanced=True)
    score_norm: str = hp(
        "ref",
        "Scores in units of the reference's own (mean 0, deviation 1), only centred, or raw",
        choices=("ref", "center", "none"),
        advanced=True,
    )
    score_clip: float = hp(10.0, "Scores are clipped to this size", low=0.1, high=1000.0, advanced=True)
    missing_eos: str = hp(
        "subtract",
        "An answer that does not end: subtract a penalty, replace its score by -1, or neither",
        choices=("subtract", "replace", "none"),
        advanced=True,
    )
    missing_eos_penalty: float = hp(1.0, "What is subtracted", low=0.0, high=100.0, advanced=True)
    value_init: str = hp(
        "rm",
        "The value model starts from the reward model, or from the policy",
        choices=("rm", "policy"),
        advanced=True,
    )
    whiten_advantages: bool = hp(True, "Advantages with mean 0 and deviation 1 over a rollout", advanced=True)
    whiten_rewards: bool = hp(False, "Rewards with deviation 1 over a rollout", advanced=True)
    scored_as: str = hp(
        "tokens",
        "Reward models read the tokens that were drawn, or the text in tokens and template of their own",
        choices=("tokens", "text"),
        advanced=True,
    )
    guards: bool = hp(True, "Stop when the reward is being gamed, answers do not end, or scores say nothing")
