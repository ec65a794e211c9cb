"""A policy generates and is sharded as its model is, whatever was chosen for training."""

import torch
from accelerate import FullyShardedDataParallelPlugin
from accelerate.utils.fsdp_utils import fsdp2_prepare_auto_wrap_policy

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


def test_every_decoder_layer_is_sharded_apart_and_the_head_is_not():
    policy = Policy(tiny("Llama"), None, "causal", torch.float32)
    plugin = FullyShardedDataParallelPlugin(
        fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
    )
    plugin.set_auto_wrap_policy(policy)
    apart = fsdp2_prepare_auto_wrap_policy(plugin, policy)
    assert [module for module in policy.modules() if apart(module)] == policy.layers()
    assert not hasattr(policy, "get_input_embeddings")
    assert not hasattr(policy, "get_output_embeddings")
