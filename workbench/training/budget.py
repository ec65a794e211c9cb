"""What training costs, by arithmetic alone: bytes of state and rows, FLOPs, and how long a row may be.

From the config.json of a model, without loading it. Leaves out measuring, and what any machine has.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from workbench.errors import EngineError

Tuning = Literal["full", "lora", "qlora"]
Group = tuple[int, Sequence[int]]  # tokens of a prompt, tokens of each of its completions

CPU_SHARE, GPU_SHARE = 0.6, 0.9  # of free memory; what exceeds it on a CPU ends the process, on a GPU only the row
CPU_CEILING, GPU_CEILING = 1_024, 32_768  # tokens of a row beyond which only memory is spent, no time won
GPU_LEAST = 8_192  # tokens of a row below which a GPU idles
NO_GRAD = 4  # without gradient a row may be so many times longer
FINE = (0.85, 1.1)  # measured over computed: within this nothing is planned anew
CPU_KEPT = 256 << 20  # bytes of the head's probabilities that a CPU keeps for the backward pass; a GPU recomputes them
NF4 = 0.52  # bytes of a weight in 4 bits with its scales
WRITTEN_OUT = 8  # bytes per head, query and key where softmax is written out and autograd keeps its steps
UNGATED = {"bloom", "codegen", "falcon", "gpt2", "gpt_neo", "gpt_neox", "gptj", "nemotron", "opt", "phi", "starcoder2"}
FOUR_NORMS = ("gemma2", "gemma3", "gemma4", "glm4")


@dataclass(frozen=True)
class Shape:
    """Sizes of a decoder.

    queries, keys   width of all query heads, of all key heads
    mlp             intermediate width that one token goes through; of experts, the chosen ones together
    linear          weights of the layers' matrices that one token goes through, without the head
    parameters      all weights, idle experts and embeddings too
    adapted         sum of inputs and outputs of all matrices: adapter weights per rank
    softcap         attention scores are capped, so that softmax is written out
    """

    layers: int
    width: int
    heads: int
    queries: int
    keys: int
    mlp: int
    vocabulary: int
    linear: int
    parameters: int
    adapted: int
    norms: int = 2
    qk_norm: bool = False
    softcap: bool = False


class Flops(NamedTuple):
    """Of one pass, by what is multiplied: weights, attention scores, the head."""

    linear: float
    attention: float
    head: float


@dataclass(frozen=True)
class RowPlan:
    """Most tokens in one row with gradient, and how many layers are computed again instead of kept."""

    tokens: int
    checkpointed: int = 0


def shape_of(config: dict[str, Any], parameters: int | None = None) -> Shape:
    """From a config.json as a dict, also of a model with a text part; `parameters`: the exact count, if known.

    Raises EngineError where depth, width or vocabulary are not told. What else is missing counts as in a Llama.
    """
    text = config.get("text_config") or config
    layers = _size(text, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    width = _size(text, "hidden_size", "n_embd", "d_model")
    vocabulary = _size(text, "vocab_size")
    heads = _size(text, "num_attention_heads", "n_head", "num_heads", "n_heads", default=1)
    groups = _size(text, "num_key_value_heads", "num_kv_heads", default=heads)
    head = _size(text, "head_dim", default=width // heads)
    kind = str(text.get("model_type", ""))
    mlp, idle = _mlp(text, width)
    matrices = 2 if kind in UNGATED else 3
    q, k = heads * head, groups * head
    per_layer = 2 * width * (q + k) + matrices * width * mlp
    ends = vocabulary * width * (1 if text.get("tie_word_embeddings", config.get("tie_word_embeddings")) else 2)
    return Shape(
        layers=layers,
        width=width,
        heads=heads,
        queries=q,
        keys=k,
        mlp=mlp,
        vocabulary=vocabulary,
        linear=layers * per_layer,
        parameters=parameters or layers * (per_layer + matrices * width * idle) + ends,
        adapted=layers * (4 * width + 2 * (q + k) + matrices * (width + mlp)),
        norms=4 if kind.startswith(FOUR_NORMS) else 2,
        qk_norm=kind.startswith(("qwen3", "gemma3", "gemma4", "olmo2", "olmo3")) or bool(text.get("use_qk_norm")),
        softcap=bool(text.get("attn_logit_softcapping")) or kind == "gpt_oss",
    )


def _size(text: dict[str, Any], *names: str, default: int | None = None) -> int:
    """The first of these that the config tells; of a list with one value per layer the largest."""
    value = next((text[name] for name in names if text.get(name)), default)
    if value is None:
        raise EngineError(f"config.json tells no {names[0]}: the need for memory cannot be computed")
    return int(max(value) if isinstance(value, list) else value)


def _mlp(text: dict[str, Any], width: int) -> tuple[int, int]:
    """Intermediate width that a token goes through, and that of the experts it leaves out."""
    dense = _size(text, "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", default=4 * width)
    experts = _size(text, "num_local_experts", "num_experts", "n_routed_experts", default=0)
    if not experts:
        return dense, 0
    each = _size(text, "moe_intermediate_size", default=dense)
    chosen = _size(text, "num_experts_per_tok", "moe_topk", default=1)
    shared = _size(text, "shared_expert_intermediate_size", default=each * _size(text, "n_shared_experts", default=0))
    return chosen * each + shared, (experts - chosen) * each


def state_bytes(shape: Shape, tuning: Tuning, lora_r: int = 16, *, element: int = 4) -> int:
    """Bytes of weights, gradients and AdamW's two moments; `element`: bytes of a number in the forward pass.

    Full: 16 per weight, all in float32, and where the pass is narrower a narrow copy of the matrices for autocast.
    LoRA: the frozen weights once, and 16 per adapter weight.
    """
    if tuning == "full":
        return 16 * shape.parameters + (element * shape.linear if element < 4 else 0)
    matrices = NF4 if tuning == "qlora" else element
    ends = shape.vocabulary * shape.width  # embeddings stay as wide as they are
    return int(matrices * (shape.parameters - ends) + element * ends + 16 * lora_r * shape.adapted)


def layer_bytes(shape: Shape, element: int, longest: int = 0) -> int:
    """Bytes that one layer keeps of one token for the backward pass.

    element*(4d + 2q + 2k + 4I) + 8d per norm, + (4 + element)(q + k) with norms on queries and keys,
    + 8 per head and key where softmax is written out; `longest`: tokens that a query may look back on.
    """
    kept = element * (4 * shape.width + 2 * shape.queries + 2 * shape.keys + 4 * shape.mlp)
    kept += 8 * shape.norms * shape.width
    kept += (4 + element) * (shape.queries + shape.keys) * shape.qk_norm
    return kept + WRITTEN_OUT * shape.heads * longest * shape.softcap


def token_bytes(shape: Shape, element: int, *, checkpointed: int = 0, longest: int = 0) -> int:
    """Bytes kept of one token: `checkpointed` layers keep their input, and one of them lives while it is redone.

    Qwen2.5-0.5B in bf16: 1.55 MB, with all layers checkpointed 0.108 MB.
    """
    layer = layer_bytes(shape, element, longest)
    whole = shape.layers - checkpointed + (1 if checkpointed else 0)
    return whole * layer + checkpointed * element * shape.width


def head_tile(vocabulary: int, *, on_gpu: bool) -> int:
    """Tokens whose logits exist at once. On a CPU products are no faster with more than 256."""
    return max(1, 2**27 // vocabulary if on_gpu else min(256, 2**24 // vocabulary))


def head_bytes(shape: Shape, tuning: Tuning, *, on_gpu: bool, scored: int, element: int) -> int:
    """Bytes at the head: two tiles of logits, `scored` hidden states and their slopes; what its own gradient adds.

    A trained head has one more float32 gradient and, where the pass is narrower, a narrow copy of its weights; on a
    CPU it keeps tiles of probabilities.
    """
    tile = min(scored, head_tile(shape.vocabulary, on_gpu=on_gpu))
    found = 4 * shape.vocabulary * 2 * tile + 2 * scored * shape.width * element
    if tuning == "full":
        found += (4 + (element if element < 4 else 0)) * shape.vocabulary * shape.width
        found += 0 if on_gpu else min(CPU_KEPT, 4 * shape.vocabulary * scored)
    return found


def row_bytes(
    shape: Shape, plan: RowPlan, tuning: Tuning, *, on_gpu: bool, element: int, longest: int = 0, scale: float = 1.0
) -> int:
    """Bytes that a full row takes on top of the state, all of its tokens scored.

    scale   measured bytes per token over computed ones
    """
    kept = plan.tokens * token_bytes(shape, element, checkpointed=plan.checkpointed, longest=longest)
    return int(scale * kept) + head_bytes(shape, tuning, on_gpu=on_gpu, scored=plan.tokens, element=element)


def attended(groups: Iterable[Group]) -> int:
    """Query-key pairs: tri(P + C1) + sum over further completions of tri(Cj) + Cj P; tri(n) = n(n + 1)/2."""
    tri = lambda n: n * (n + 1) // 2  # noqa: E731
    return sum(tri(p + c) if j == 0 else tri(c) + c * p for p, completions in groups for j, c in enumerate(completions))


def forward_flops(shape: Shape, groups: Sequence[Group], *, scores: bool = False) -> Flops:
    """One pass over groups whose prompts run once; `scores`: a reward model, which has no vocabulary.

    2NT, 4LqA and 2VdS with T tokens, A attended pairs (windows not considered), S completion tokens.
    """
    scored = sum(sum(completions) for _, completions in groups)
    tokens = scored + sum(p for p, _ in groups)
    return Flops(
        2.0 * shape.linear * tokens,
        4.0 * shape.layers * shape.queries * attended(groups),
        0.0 if scores else 2.0 * shape.vocabulary * shape.width * scored,
    )


def step_flops(shape: Shape, tuning: Tuning, groups: Sequence[Group], *, scores: bool = False) -> float:
    """Useful FLOPs of forward and backward, which MFU counts: nothing computed twice, no reference.

    Weights 3 times the forward, 2 with adapters, since no gradient of frozen weights is computed; attention 3.5.
    A pair of 150/60 tokens, LoRA: 0.46 TFLOP (0.5B), 7.4 (7B).
    """
    once, times = forward_flops(shape, groups, scores=scores), 3 if tuning == "full" else 2
    return times * (once.linear + once.head) + 3.5 * once.attention


def room_of(free: int, *, on_gpu: bool) -> int:
    """Bytes of free memory that training may plan with. Take off the state, as far as it is not loaded yet."""
    return int(free * (GPU_SHARE if on_gpu else CPU_SHARE))


def plan_rows(
    shape: Shape,
    *,
    room: int,
    tuning: Tuning,
    element: int,
    longest: int,
    step_tokens: int,
    on_gpu: bool,
    scale: float = 1.0,
) -> RowPlan:
    """The longest row, with as few checkpointed layers as hold the longest group (and on a GPU keep it busy).

    room          bytes for a row: `room_of` less what of `state_bytes` is not loaded yet
    longest       tokens of the longest group: a prompt with all its completions
    step_tokens   tokens of a whole step; no row needs more
    scale         measured bytes per token over computed ones

    Raises EngineError with the tokens that would fit when not even one group fits.
    """
    ceiling = max(longest, min(step_tokens, GPU_CEILING if on_gpu else CPU_CEILING))
    wanted = max(longest, min(GPU_LEAST, ceiling)) if on_gpu else longest

    def fitting(checkpointed: int) -> int:
        per = scale * token_bytes(shape, element, checkpointed=checkpointed, longest=longest)
        return _most_tokens(shape, room, per, tuning, on_gpu=on_gpu, element=element)

    fits = [fitting(m) for m in range(shape.layers + 1)]
    m = next((m for m, fit in enumerate(fits) if fit >= wanted), max(range(len(fits)), key=fits.__getitem__))
    if fits[m] < longest:
        raise EngineError(
            f"the longest prompt with its answers has {longest} tokens, at most {fits[m]} fit into the "
            f"{max(0, room) >> 20} MB left for them: lower max_length, choose tuning = lora, or a smaller model"
        )
    return RowPlan(min(fits[m], ceiling), m)


def _most_tokens(shape: Shape, room: int, per_token: float, tuning: Tuning, *, on_gpu: bool, element: int) -> int:
    """The longest row whose bytes stay within `room`. By halving, since the head's share grows in bends."""
    low, high = 0, max(0, int(room / per_token))
    while low < high:
        n = (low + high + 1) // 2
        need = n * per_token + head_bytes(shape, tuning, on_gpu=on_gpu, scored=n, element=element)
        low, high = (n, high) if need <= room else (low, n - 1)
    return low


def ratio_of(
    measured: int, row: RowPlan, shape: Shape, tuning: Tuning, *, on_gpu: bool, element: int, longest: int = 0
) -> float:
    """Measured bytes per token over computed ones.

    measured   bytes that one row took on top of the state
    row        its tokens, and the layers that were checkpointed
    """
    head = head_bytes(shape, tuning, on_gpu=on_gpu, scored=row.tokens, element=element)
    kept = row.tokens * token_bytes(shape, element, checkpointed=row.checkpointed, longest=longest)
    return max(0.25, (measured - head) / kept)  # a head that took less than computed proves nothing about the layers


def corrected(
    plan: RowPlan,
    shape: Shape,
    measured: int,
    tokens: int,
    *,
    room: int,
    tuning: Tuning,
    element: int,
    longest: int,
    step_tokens: int,
    on_gpu: bool,
) -> RowPlan:
    """The plan after its fullest row of `tokens` took `measured` bytes on top of the state: anew unless it was right.

    The other arguments are those that `plan_rows` had.
    """
    how = {"tuning": tuning, "element": element, "longest": longest, "on_gpu": on_gpu}
    ratio = ratio_of(measured, RowPlan(tokens, plan.checkpointed), shape, **how)
    if FINE[0] <= ratio <= FINE[1]:
        return plan
    return plan_rows(shape, room=room, step_tokens=step_tokens, scale=ratio, **how)
