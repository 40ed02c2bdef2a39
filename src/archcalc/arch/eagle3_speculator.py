"""EAGLE-3 as the speculators library writes it: the layer in a config of its own.

Source: vLLM 0.33, transformers_utils/configs/speculators/algos.py (`update_eagle3`) and base.py; llama.cpp 0c1e57098,
conversion/llama.py (`Eagle3Speculator`).
"""

from collections.abc import Mapping
from typing import Any

from archcalc.arch import eagle3
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.attention import GroupedQueryAttention, QkNorm
from archcalc.errors import UnsupportedError

# What a config of the speculators library says beside its layer's keys.
_SPECULATOR = ("draft_vocab_size", "target_hidden_size", "norm_before_fc", "fc_norm", "dtype", "torch_dtype", "quantization_config")


class Schema(eagle3.Schema):
    core_keys = ("transformer_layer_config",)

    layer_type: str | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """What vLLM's speculators write: the layer's keys in a config of their own."""
        held = config.get("transformer_layer_config")
        if not isinstance(held, Mapping):
            return config
        mine = {key: config[key] for key in (*_SPECULATOR, "eagle_aux_hidden_state_layer_ids") if key in config}
        listed = config.get("eagle_aux_hidden_state_layer_ids")
        eagle = {"eagle_config": {"eagle_aux_hidden_state_layer_ids": listed}} if listed else {}
        layer = {key: value for key, value in held.items() if key not in ("model_type", "architectures")}
        return {**layer, **mine, **eagle, "layer_type": held.get("model_type")}

    def mixer(self) -> Mixer:
        if self.layer_type not in (None, "llama", "qwen3"):
            raise UnsupportedError(f"transformer_layer_config.model_type is {self.layer_type!r}: llama and qwen3 are known here")
        norm: QkNorm = "head" if self.layer_type == "qwen3" else "none"
        return GroupedQueryAttention(self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, qk_norm=norm)
