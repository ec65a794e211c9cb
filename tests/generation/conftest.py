"""Small real models: the demo model, a copy with other weights, and two adapters on the demo model."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from workbench.generation.loading import Shelf
from workbench.generation.request import Request
from workbench.generation.sampler import answer
from workbench.settings import DEMO

PROMPTS = ("What is the capital of Japan?", "Any tips for better sleep?", "熊猫吃什么？", "How much is 3 plus 4?")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def base() -> Path:
    return DEMO / "model"


@pytest.fixture(scope="session")
def adapters(tmp_path_factory, base) -> dict[str, Path]:
    """Two adapters that change what the base says."""
    found = {}
    for seed, name in enumerate(("left", "right")):
        torch.manual_seed(seed)
        plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
        model = get_peft_model(plain, LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"))
        for parameter, weight in model.named_parameters():
            if "lora_B" in parameter:
                weight.data.normal_(0, 0.5)
        found[name] = tmp_path_factory.mktemp("adapters") / name
        model.save_pretrained(found[name])
    return found


@pytest.fixture(scope="session")
def other(tmp_path_factory, base) -> Path:
    """A whole model of its own."""
    folder = tmp_path_factory.mktemp("models") / "other"
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, use_safetensors=True)
    torch.manual_seed(7)
    for weight in model.parameters():
        weight.data += 0.02 * torch.randn_like(weight)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def said(shelf):
    """Ask models, given as name -> path or (path, base), and collect what they said in the end."""

    def ask(models, prompts=PROMPTS, *, form="chat", on=None, **sampling):
        request = {
            "id": "r",
            "models": [source(name, where) for name, where in models.items()],
            "prompts": [
                {"id": str(i), "messages": [{"role": "user", "content": text}], "form": form}
                for i, text in enumerate(prompts)
            ],
            "sampling": {"max_new_tokens": 24, **sampling},
        }
        events = (e for step in answer(on or shelf, Request.model_validate(request)) for e in step)
        return {(e["model"], e["prompt"], e["sample"]): e["text"] for e in events if e["done"]}

    return ask


def source(name, where):
    path, base = where if isinstance(where, tuple) else (where, None)
    return {"name": name, "path": path, "base_path": base}
