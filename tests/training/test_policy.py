"""A policy generates as its model does, whatever was chosen for training."""

import torch

from tests.training.test_attention import tiny
from workbench.training.policy import Policy


def test_layers_that_run_again_keep_their_cache_while_generating():
    policy = Policy(tiny("Llama"), None, "causal", torch.float32)
    policy.lay_out(packed=True)

    def said():
        with policy.stock():
            ids = torch.tensor([[4, 5, 6]])
            return policy.model.generate(ids, do_sample=False, max_new_tokens=12, pad_token_id=0).tolist()

    wanted = said()
    policy.recompute(1)
    assert said() == wanted
    assert [layer.training for layer in policy.layers()] == [True, False]
