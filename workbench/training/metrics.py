"""What each logged figure means, in one sentence, and how that differs by method. Leaves out how it is computed."""

from workbench.training.methods import Method

METRICS: dict[str, str] = {
    "loss": "What training makes smaller; compare it only within one method.",
    "grad_norm": "Length of the gradient before clipping; sudden spikes are a warning.",
    "learning_rate": "Step size at this step of the schedule.",
    "rewards/chosen": "How much likelier chosen answers became than under the start model, times beta; up is good.",
    "rewards/rejected": "The same for rejected answers; it should fall below the chosen one.",
    "rewards/margins": "Chosen minus rejected reward; it should rise.",
    "rewards/accuracies": "Share of pairs whose chosen answer has the higher reward; it is not a win rate.",
    "ranking/accuracy": "Share of pairs whose chosen answer is likelier under the model itself.",
    "accuracy": "Share of pairs the reward model puts in the annotators' order.",
    "ref_accuracy": "Share of pairs whose chosen answer is already likelier under the reference.",
    "margin": "Mean score difference between chosen and rejected answers.",
    "mean_reward": "Mean score; far from zero it has drifted.",
    "min_reward": "Lowest score.",
    "max_reward": "Highest score.",
    "ece": "Gap between the reward model's confidence and how often it is right; below 0.1 is good.",
    "accuracy_length_matched": "Accuracy on pairs of nearly equal length; far below accuracy, it learnt length.",
    "length_corr": "Rank correlation of score and length; high means the scores measure length.",
    "logps/chosen": "Log-probability of chosen answers (sum, or mean per token in SimPO and ORPO).",
    "logps/rejected": "Log-probability of rejected answers, in the same unit.",
    "logps_per_token/chosen": "Mean log-probability per token of chosen answers; a deep fall means odd answers.",
    "logps_per_token/rejected": "Mean log-probability per token of rejected answers.",
    "length/chosen": "Mean tokens of chosen answers.",
    "length/rejected": "Mean tokens of rejected answers.",
    "kl": "KTO's reference point: how far the model has moved on answers to other prompts.",
    "nll_loss": "Negative log-likelihood per token of chosen answers; lower is closer imitation.",
    "perplexity": "exp(loss): among how many tokens the model hesitates.",
    "log_odds_ratio": "ORPO's comparison term before its weight; it should rise towards zero.",
    "log_odds_chosen": "Log odds of chosen over rejected answers; it should rise.",
    "entropy": "How undecided the model is at each token; a collapse means few forms of answer.",
    "mean_token_accuracy": "Share of tokens where the model's first choice is the written one.",
    "examples_per_second": "Rows trained per second.",
    "tokens_per_second": "Real tokens trained per second.",
    "num_tokens": "Real tokens seen so far, a prompt once for each of its answers.",
    "num_tokens_computed": "Tokens that went through the model so far: fewer, where answers share a prompt.",
    "padding_share": "Share of computed tokens that were padding.",
    "peak_memory_mb": "Highest memory use so far.",
    "objective/scores": "Mean score of drawn answers, in units of the reference's own spread; it should rise.",
    "objective/score_std": "How far the scores of one rollout lie apart; at 0 there is nothing to learn from.",
    "objective/scores_raw": "Mean score as the reward model gives it.",
    "objective/kl": "How far answers have moved from the reference, in nats per answer; far and fast is a warning.",
    "objective/kl_coef": "Strength of the pull towards the reference.",
    "objective/entropy": "How unlikely the drawn answers were, in nats per answer.",
    "objective/non_score_reward": "What the pull towards the reference took off the reward.",
    "objective/rlhf_reward": "Score less the pull towards the reference: what PPO makes larger.",
    "objective/length": "Mean tokens of drawn answers; scores that rise with length are a warning.",
    "objective/eos_rate": "Share of drawn answers that end by themselves.",
    "watching": "Score of a reward model that is not trained on; when it falls while scores rise, stop.",
    "policy/approxkl_avg": "How far one update moved the policy; small is safe.",
    "policy/clipfrac_avg": "Share of tokens whose update was cut off; above 0.3 the step size is too high.",
    "policy/entropy_avg": "How undecided the policy is at each token; near 0 all answers are alike.",
    "loss/policy_avg": "The policy's loss in the updates of a rollout; it has no meaning of its own.",
    "loss/value_avg": "Squared error of the expected reward; lower is better.",
    "val/clipfrac_avg": "Share of values whose update was cut off.",
    "val/ratio": "How much likelier drawn answers became while learning from them; about 1.",
    "val/ratio_var": "How that ratio differs between updates.",
    "val/num_eos_tokens": "Drawn answers that end by themselves.",
    "val/explained_var": "Share of the rewards' spread that the value model foresees; below 0 it is of no help.",
    "val/sampler_logp_gap": "Difference between drawing and scoring, per token; above 0.05 something disagrees.",
    "episode": "Answers drawn so far.",
    "rollout_tokens_per_second": "Tokens drawn per second.",
    "update_tokens_per_second": "Tokens learnt from per second, each pass counted.",
    "time/rollout": "Share of the time that drawing answers takes.",
    "time/score": "Share of the time that scoring takes.",
    "time/update": "Share of the time that the updates take.",
}

SCORES = {
    "rewards/chosen": "Mean score of chosen answers.",
    "rewards/rejected": "Mean score of rejected answers; it should fall below that of the chosen.",
    "rewards/margins": "Chosen minus rejected score; it should rise.",
    "rewards/accuracies": "Share of pairs whose chosen answer has the higher score.",
}
LIKELY = {
    "rewards/chosen": "How likely the model finds chosen answers, times beta (a mean per token in SimPO and ORPO).",
    "rewards/rejected": "The same for rejected answers; it should fall below the chosen one.",
    "rewards/accuracies": "Share of pairs whose chosen answer the model finds likelier; it is not a win rate.",
}


def meaning(metric: str, method: Method) -> str:
    """The sentence beside a chart of this method: a reward is a score, or relative to a reference, or just likely."""
    own = SCORES if method.name == "rm" else {} if method.reference else LIKELY
    return own.get(metric, METRICS[metric])
