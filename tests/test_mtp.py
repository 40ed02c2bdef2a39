"""MTP layers against what public sources say that checkpoints hold."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.figures import checkpoint

LONGCAT_LITE = {
    "model_type": "longcat_flash", "hidden_size": 3072, "num_attention_heads": 32, "num_layers": 2, "kv_lora_rank": 512,
    "vocab_size": 131072,
}  # fmt: skip
MIMO = {
    "model_type": "mimo_v2_flash",
    "hidden_size": 4096,
    "num_hidden_layers": 48,
    "num_attention_heads": 64,
    "vocab_size": 152576,
}
INKLING = {
    "model_type": "inkling_mm_model",
    "mtp_config": {"num_nextn_predict_layers": 8, "local_layer_ids": [0, 2, 4, 5, 6, 7], "chain_hidden_post_norm": False},
    "text_config": {"hidden_size": 6144, "num_hidden_layers": 2, "vocab_size": 64},
}


def stored(config: dict[str, Any], prefix: str) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape, _ in checkpoint.expand(parse(config)) if name.startswith(prefix)}


# Pull request 746 of Avarok-Cybersecurity/atlas lists LongCat-Flash-Lite's tensors: 17 of them, some with their shapes. Pull request
# 22493 of ggml-org/llama.cpp logs MiMo-V2's blocks 48 to 50 with their bytes at two an element. TensorRT-LLM's tests quote Inkling's
# `mtp_config`; vLLM's `InklingMTP` names its tensors.
@pytest.mark.parametrize(
    ("config", "prefix", "number", "some"),
    [
        (
            LONGCAT_LITE,
            "model.mtp.",
            17,
            {
                "embed_tokens.weight": (131072, 3072),
                "norm.weight": (3072,),
                "layers.0.enorm.m.weight": (3072,),
                "layers.0.hnorm.m.weight": (3072,),
                "layers.0.eh_proj.weight": (3072, 6144),
                "layers.0.self_attn.q_a_proj.weight": (1536, 3072),
                "layers.0.self_attn.q_b_proj.weight": (6144, 1536),
            },
        ),
        (
            MIMO,
            "model.mtp.layers.",
            3 * 14,
            {
                "0.self_attn.o_proj.weight": (4096, 67108864 // 2 // 4096),
                "1.mlp.gate_proj.weight": (134217728 // 2 // 4096, 4096),
                "2.eh_proj.weight": (4096, 67108864 // 2 // 4096),
                "2.self_attn.attention_sink_bias": (256 // 4,),
            },
        ),
        (
            INKLING,
            "model.mtp.layers.",
            8 * 20,
            {
                "0.input_proj.weight": (6144, 12288),
                "0.transformer_block.mlp.w13_dn.weight": (2 * 24576, 6144),
                "0.transformer_block.attn.rel_logits_proj.proj": (16, 512),
                "1.transformer_block.attn.rel_logits_proj.proj": (16, 1024),
                "7.transformer_block.attn.k_sconv.weight": (2048, 1, 4),
            },
        ),
    ],
    ids=["longcat", "mimo", "inkling"],
)
def test_mtp_layers_are_those_that_checkpoints_hold(
    config: dict[str, Any], prefix: str, number: int, some: dict[str, tuple[int, ...]]
) -> None:
    found = stored(config, prefix)
    assert len(found) == number
    assert {name: found[f"{prefix}{name}"] for name in some} == some


STEP = {
    "model_type": "step3p5", "hidden_size": 4096, "num_hidden_layers": 45, "num_attention_heads": 64, "num_attention_groups": 8,
    "head_dim": 128, "vocab_size": 128896, "intermediate_size": 11264, "sliding_window": 512, "num_nextn_predict_layers": 3,
    "attention_other_setting": {"num_attention_heads": 96, "num_attention_groups": 8},
    "layer_types": ["sliding_attention" if i % 4 else "full_attention" for i in range(45)],
}  # fmt: skip


# The Hub's counts of stepfun-ai/Step-3.5-Flash and Step-3.7-Flash.
@pytest.mark.parametrize(
    ("config", "elements"), [(STEP, 199_384_301_376), ({"model_type": "step3p7", "text_config": STEP}, 201_365_316_160)]
)
def test_mtp_layers_of_step_have_the_heads_of_sliding_ones(config: dict[str, Any], elements: int) -> None:
    assert checkpoint.summary(parse(config)).elements == elements


def test_experts_that_do_nothing_are_not_stored() -> None:
    config = {**LONGCAT_LITE, "n_routed_experts": 4, "zero_expert_num": 2, "moe_topk": 2}
    names = [name for name in stored(config, "model.layers.0.mlp.experts.") if name.endswith("up_proj.weight")]
    assert len(names) == 4
