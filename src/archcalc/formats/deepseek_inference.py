"""DeepSeek's inference configs: V2, V2-Lite, V3, V3.1, V3.2.

Source: DeepSeek-V3, inference/model.py `ModelArgs` (defaults), DeepSeek-V3.2-Exp, inference/model.py (the indexer), inference/convert.py
(the MTP layer is left out; FP8 weights keep a scale for each block of 128 x 128).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError, json_text
from archcalc.formats import Reading
from archcalc.formats._keys import factor, rest, size

_READ = (
    "vocab_size", "dim", "inter_dim", "moe_inter_dim", "n_layers", "n_dense_layers", "n_heads", "n_routed_experts", "n_shared_experts",
    "n_activated_experts", "n_expert_groups", "n_limited_groups", "score_func", "route_scale", "q_lora_rank", "kv_lora_rank",
    "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "original_seq_len", "rope_theta", "rope_factor", "beta_fast", "beta_slow",
    "mscale", "index_n_heads", "index_head_dim", "index_topk", "max_batch_size", "max_seq_len", "dtype", "scale_fmt",
    "expert_dtype",
)  # fmt: skip


def read(config: Mapping[str, Any]) -> Reading:
    """The config of DeepSeek-V2, V3 or V3.2: sigmoid scores are V3's, an indexer is V3.2's."""
    if "compress_ratios" in config or "o_lora_rank" in config:
        raise UnsupportedError("compress_ratios: DeepSeek-V4's inference config is not read", "give the config.json of the model")
    heads = size(config, "n_heads", 16)
    original, scale = size(config, "original_seq_len", 4096), factor(config, "rope_factor") or 40
    indexed, sigmoid = "index_topk" in config or "index_n_heads" in config, config.get("score_func", "softmax") == "sigmoid"
    made: dict[str, Any] = {
        "model_type": "deepseek_v32" if indexed else "deepseek_v3" if sigmoid else "deepseek_v2",
        "vocab_size": size(config, "vocab_size", 102400),
        "hidden_size": size(config, "dim", 2048),
        "intermediate_size": size(config, "inter_dim", 10944),
        "moe_intermediate_size": size(config, "moe_inter_dim", 1408),
        "num_hidden_layers": size(config, "n_layers", 27),
        "first_k_dense_replace": config.get("n_dense_layers", 1),
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "n_routed_experts": size(config, "n_routed_experts", 64),
        "n_shared_experts": config.get("n_shared_experts", 2),
        "num_experts_per_tok": size(config, "n_activated_experts", 6),
        # Zero there is null here: queries at full rank.
        "q_lora_rank": config.get("q_lora_rank") or None,
        "kv_lora_rank": size(config, "kv_lora_rank", 512),
        "qk_nope_head_dim": size(config, "qk_nope_head_dim", 128),
        "qk_rope_head_dim": size(config, "qk_rope_head_dim", 64),
        "v_head_dim": size(config, "v_head_dim", 128),
        "tie_word_embeddings": False,
        "max_position_embeddings": int(original * scale),
        "rope_scaling": {"type": "yarn", "factor": scale, "original_max_position_embeddings": original},
        "torch_dtype": "bfloat16",
        **rest(config, *_READ),
    }
    if indexed:
        made |= {
            "index_n_heads": size(config, "index_n_heads", 64),
            "index_head_dim": size(config, "index_head_dim", 128),
            "index_topk": size(config, "index_topk", 2048),
        }
    dtype = config.get("dtype", "bf16")
    if dtype == "fp8":
        made["quantization_config"] = {"quant_method": "fp8", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}
    elif dtype not in ("bf16", "bfloat16"):
        raise UnsupportedError(f"dtype is {json_text(dtype)}: bf16 and fp8 are known here", "override it with --set dtype=bf16")
    notes = (
        f"context: {int(original * scale)} tokens, what YaRN scales to (original_seq_len x rope_factor)",
        "inference configs leave the MTP layer out",
    )
    return Reading("deepseek-inference", made, notes)
