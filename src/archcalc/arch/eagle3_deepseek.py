"""EAGLE-3 with DeepSeek's multi-head latent attention and a dense FFN.

Source: vLLM 0.33, models/deepseek_eagle3.py (`Eagle3DeepseekV2ForCausalLM`); SGLang 0.5.23, srt/models/kimi_k25_eagle3.py.
"""

from typing import Any

from archcalc.arch import eagle3
from archcalc.arch._mla import LatentSchema
from archcalc.blocks._tensor import Mixer
from archcalc.model import Facts


class Schema(LatentSchema, eagle3.Schema):
    inert_keys = (
        *eagle3.Schema.inert_keys, *LatentSchema.inert_keys, "first_k_dense_replace", "moe_intermediate_size", "n_routed_experts",
        "n_shared_experts", "num_experts_per_tok", "num_nextn_predict_layers", "moe_layer_freq",
    )  # fmt: skip

    def mixer(self) -> Mixer:
        return self.attention()

    def facts(self, *, gated: bool = True, **changes: Any) -> Facts:
        return super().facts(gated=gated, **{"attention": "MLA", **changes})
