"""One token after another, each row by itself."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from workbench.generation.decoding import Row, choose, decode
from workbench.generation.request import Sampling


def drawn(p, uniform, **sampling):
    token, _ = choose(torch.tensor([p]).log(), torch.tensor([uniform]), Sampling(**sampling))
    return token.item()


def test_a_token_is_the_place_on_the_cumulative_distribution():
    p = [0.2, 0.5, 0.3]  # cumulative .2 .7 1
    assert [drawn(p, u, temperature=1) for u in (0.0, 0.19, 0.21, 0.69, 0.71, 0.999)] == [0, 0, 1, 1, 2, 2]


def test_a_token_without_probability_is_never_drawn():
    assert [drawn([0.0, 1.0, 0.0], u, temperature=1) for u in (0.0, 0.5, 0.9999999)] == [1, 1, 1]


def test_low_temperature_sharpens():
    # p^(1/0.5) = .04 .25 .09, cumulative .105 .763 1
    assert [drawn([0.2, 0.5, 0.3], u, temperature=0.5) for u in (0.1, 0.11, 0.76, 0.77)] == [0, 1, 1, 2]
    assert drawn([0.2, 0.5, 0.3], 0.99, temperature=0) == 1


def test_top_p_keeps_the_fewest_tokens_that_reach_it():
    # sorted .5 .3 .2: .5 is below .6, so .3 is kept too; the last is not. Renormalised: .625, .375
    p = [0.2, 0.5, 0.3]
    assert [drawn(p, u, temperature=1, top_p=0.6) for u in (0.62, 0.63, 0.999)] == [1, 2, 2]
    assert [drawn(p, u, temperature=1, top_p=0.5) for u in (0.0, 0.999)] == [1, 1]


def test_the_chance_of_a_token_is_that_of_the_cut_distribution():
    told = lambda **sampling: choose(torch.tensor([[0.2, 0.5, 0.3]]).log(), torch.tensor([0.1]), Sampling(**sampling))  # noqa: E731
    assert told(temperature=1)[1].item() == pytest.approx(0.2)
    assert told(temperature=1, top_p=0.6)[1].item() == pytest.approx(0.5 / 0.8)
    assert told(temperature=0)[1].item() == 1.0


@pytest.fixture(scope="module")
def model(base):
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()


def last(model, rows, **sampling):
    *_, answers = decode(model, rows, Sampling(**sampling))
    return [answer.ids for answer in answers]


def test_a_row_does_not_depend_on_its_neighbours(model):
    rows = [Row(list(range(5, 5 + n)), frozenset({2}), seed=n) for n in (3, 17, 9, 30)]
    together = last(model, rows, max_new_tokens=20, temperature=1)
    assert together == [last(model, [row], max_new_tokens=20, temperature=1)[0] for row in rows]
    assert together == last(model, rows[::-1], max_new_tokens=20, temperature=1)[::-1]


def test_rows_that_end_leave_the_batch_and_the_others_go_on(model):
    free = Row([5, 6, 7], frozenset(), seed=0)
    [text] = last(model, [free], max_new_tokens=12, temperature=1)
    short = Row([5, 6, 7], frozenset({text[3]}), seed=0)
    sizes = []
    model.register_forward_pre_hook(lambda _, __, kw: sizes.append(len(kw["input_ids"])), with_kwargs=True)
    answers = last(model, [short, short, free], max_new_tokens=12, temperature=1)
    end = text.index(text[3])
    assert answers == [text[:end], text[:end], text]
    assert sizes == [3] * (end + 1) + [1] * (11 - end)


@pytest.mark.parametrize("tuned", [False, True])
def test_draws_are_those_of_a_cache_that_grows(model, base, tuned):
    """Room for what comes, padding that goes, and an adapter that is on for all rows change no draw."""
    whole = model
    if tuned:
        torch.manual_seed(0)
        whole = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), LoraConfig(r=4)).eval()
        for name, weight in whole.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.1)
    lengths = (40, 9, 3, 17, 25, 6)
    rows = [Row(list(range(5, 5 + n)), frozenset(range(0, 2048, 30)), n, "default" if tuned else None) for n in lengths]
    assert last(whole, rows, max_new_tokens=40, temperature=1) == [plainly(whole, row, 40) for row in rows]


def test_rows_leave_also_where_some_layers_see_a_window_only():
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 8, "vocab_size": 300}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "sliding_window": 8, "max_position_embeddings": 128}
    kinds = ["sliding_attention", "full_attention"]
    mixed = AutoModelForCausalLM.from_config(AutoConfig.for_model("gemma3_text", layer_types=kinds, **sizes)).eval()
    rows = [Row(list(range(5, 5 + n)), frozenset(range(0, 300, 15)), n) for n in (20, 9, 3, 17)]
    assert last(mixed, rows, max_new_tokens=30, temperature=1) == [plainly(mixed, row, 30) for row in rows]


@torch.no_grad()
def plainly(model, row, longest):
    """One row, read from its beginning for every token."""
    uniform, ids = torch.rand(longest, generator=torch.Generator().manual_seed(row.seed)), list(row.prompt)
    for u in uniform:
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[:, -1]
        token = choose(logits, u[None], Sampling(temperature=1))[0].item()
        if token in row.stops:
            break
        ids.append(token)
    return ids[len(row.prompt) :]
