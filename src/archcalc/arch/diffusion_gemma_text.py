"""The text model of DiffusionGemma: Gemma 4's with experts, whose full layers take their keys for values.

Source: transformers 5.24, models/diffusion_gemma/modeling_diffusion_gemma.py and configuration_diffusion_gemma.py (defaults).
"""

from typing import Any

from archcalc.arch import gemma4_text
from archcalc.arch._schema import Flag


class Schema(gemma4_text.Schema):
    attention_k_eq_v: Flag = True
    final_logit_softcapping: float | None = 30.0

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        # What the type fixes, whatever its config says.
        return {**config, "attention_k_eq_v": True, "num_kv_shared_layers": 0, "use_double_wide_mlp": False}

    def per_layer_width(self) -> int:
        return 0

    def has_experts(self) -> bool:
        return True
