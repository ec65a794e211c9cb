"""`python -m tests.bench.gpu_check`: what must hold on a GPU before a figure from it is believed. About two minutes.

Prints a PASS/FAIL table. Without CUDA it says so and ends with 0. Leaves out how fast training is (`python -m
tests.bench`).
"""

import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM

from tests.bench.models import SIZES
from workbench.training.attention import Segments, one_by_one, varlen
from workbench.training.budget import RowPlan, row_bytes, shape_of
from workbench.training.data import Line
from workbench.training.policy import Policy
from workbench.training.rows import packed

HEADS = [(14, 2, 64, 64), (28, 4, 128, 128), (8, 8, 256, 256), (16, 16, 192, 128)]  # queries, keys, width, value width
WINDOWS = [None, 64]
BF16 = 2e-2
Found = tuple[bool, str]


def random_row(heads: tuple[int, int, int, int], device: str = "cuda") -> tuple[list[Tensor], Segments]:
    """Queries, keys and values of a row with shared prompts, and who sees whom in it."""
    torch.manual_seed(0)
    queries, keys, width, value_width = heads
    row = packed(lines(vocabulary=1000), torch.device(device))
    sizes = (queries, width), (keys, width), (keys, value_width)
    made = [torch.randn(1, count, row.ids.numel(), size, device=device) for count, size in sizes]
    return [x.requires_grad_() for x in made], row.segments


def signature() -> Found:
    from torch.nn.attention.varlen import varlen_attn

    names = list(inspect.signature(varlen_attn).parameters)
    return "window_size" in names, f"varlen_attn({', '.join(names)})"


def kernel(heads: tuple[int, int, int, int], window: int | None) -> Found:
    """Forward and backward of the kernel in bfloat16 against one segment after another in float32."""
    exact, segments = random_row(heads)
    rough = [x.detach().bfloat16().requires_grad_() for x in exact]
    want, got = (attend(*x, segments, None, window) for attend, x in ((one_by_one, exact), (varlen, rough)))
    weight = torch.randn_like(want)
    (want * weight).sum().backward()
    (got.float() * weight).sum().backward()
    pairs = [(want, got), *((a.grad, b.grad) for a, b in zip(exact, rough, strict=True))]
    apart = max(((a - b.float()).norm() / a.norm()).item() for a, b in pairs)
    return apart < BF16, f"relative difference {apart:.1e}"


def lines(vocabulary: int, seed: int = 0) -> list[Line]:
    """Three prompts with two, three and one answers."""
    rng = np.random.default_rng(seed)
    ids = lambda n: rng.integers(3, vocabulary, n)  # noqa: E731
    made = []
    for prompt, answers in ((ids(150), (60, 33)), (ids(40), (1, 80, 20)), (ids(300), (50,))):
        made += [Line.of(prompt, ids(n)) for n in answers]
    return made


def policy_of(config: Any, precision: torch.dtype, device: str) -> Policy:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    policy = Policy(model.to(device), None, "causal", precision)
    policy.lay_out(packed=True)
    return policy


def together(config: Any, precision: torch.dtype, device: str = "cuda") -> Found:
    """Log-probs of lines in one row against each line by itself, with the attention that the model came with."""
    policy, some = policy_of(config, precision, device), lines(config.vocab_size)
    with torch.no_grad():
        at_once = policy(some).answers
        policy.lay_out(packed=False)
        alone = torch.stack([policy([line]).answers.total[0] for line in some])
    apart = ((at_once.total - alone).abs() / at_once.tokens).max().item()
    return apart < (1e-4 if precision == torch.float32 else BF16), f"{apart:.1e} per token"


def sinks() -> Found:
    """A model with attention sinks, which the kernel cannot do."""
    tiny = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "vocab_size": 512, "head_dim": 32}
    tiny |= {"num_attention_heads": 4, "num_key_value_heads": 2, "num_local_experts": 4}
    return together(AutoConfig.for_model("gpt_oss", **tiny), torch.float32)


def compiles(config: Any) -> Found:
    """Twelve different batches must not compile again after the second."""
    from torch._dynamo.utils import counters

    policy, graphs = policy_of(config, torch.bfloat16, "cuda"), []
    for seed in range(12):
        policy(lines(config.vocab_size, seed)[: seed % 4 + 2]).answers.total.sum().backward()
        graphs.append(counters["stats"]["unique_graphs"])
    return graphs[-1] == graphs[1], f"graphs after each batch: {graphs}"


def peak(config: Any) -> Found:
    """Memory of a step above weights and gradients, over what the formula says for a row of its tokens."""
    policy = policy_of(config, torch.bfloat16, "cuda")
    some = [line for seed in range(8) for line in lines(config.vocab_size, seed)]
    policy(some[:2]).answers.total.sum().backward()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    policy.computed = 0
    policy(some).answers.total.sum()
    measured = torch.cuda.max_memory_allocated() - before
    formula = row_bytes(shape_of(config.to_dict()), RowPlan(policy.computed), "full", on_gpu=True, element=2)
    return 0.5 < measured / formula < 1.5, f"{measured / formula:.2f} of the formula for {policy.computed} tokens"


def seconds(work: Callable[[], Any], times: int = 20) -> float:
    """Of one call, after three to warm up."""
    for _ in range(3):
        work()
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(times):
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / times


def matmul() -> Found:
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return True, f"{2 * side**3 / seconds(lambda: a @ b) / 1e12:.0f} TFLOP/s in bfloat16"


def race() -> Found:
    """The kernel against one segment after another."""
    exact, segments = random_row(HEADS[1])
    some = [x.detach().bfloat16() for x in exact]
    fast, slow = (1000 * seconds(lambda do=do: do(*some, segments, None, None)) for do in (varlen, one_by_one))
    return fast < slow, f"varlen {fast:.2f} ms, one by one {slow:.2f} ms"


def checks() -> dict[str, Callable[[], Found]]:
    half = SIZES["0.5b"].config()
    return {
        "varlen_attn is there": signature,
        **{
            f"varlen {heads}, window {window}": lambda heads=heads, window=window: kernel(heads, window)
            for heads in HEADS
            for window in WINDOWS
        },
        "sinks": sinks,
        "packed equals separate, 0.5b, float32": lambda: together(half, torch.float32),
        "packed equals separate, 0.5b, bfloat16": lambda: together(half, torch.bfloat16),
        "no new compile after two batches": lambda: compiles(half),
        "peak memory over formula": lambda: peak(half),
        "matmul": matmul,
        "varlen beats one segment after another": race,
    }


def outcome(check: Callable[[], Found]) -> Found:
    """An exception is a failure like another."""
    try:
        return check()
    except Exception as error:
        return False, f"{type(error).__name__}: {error}"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.gpu_check", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="file for the results")
    chosen = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device here: nothing to check")
        return 0
    results = {"device": torch.cuda.get_device_name(), "checks": {}}
    for name, check in checks().items():
        passed, detail = outcome(check)
        results["checks"][name] = {"passed": passed, "detail": detail}
        print(f"{'PASS' if passed else 'FAIL'}  {name:45} {detail}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(found["passed"] for found in results["checks"].values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
