"""The text model of Gemma 4 Unified: Gemma 4's without per-layer embeddings and experts.

Source: transformers 5.23, models/gemma4_unified/modeling_gemma4_unified.py and configuration_gemma4_unified.py (defaults).
"""

from archcalc.arch import gemma4_text
from archcalc.arch._schema import Tokens


class Schema(gemma4_text.Schema):
    max_position_embeddings: Tokens = 262_144
    sliding_window: Tokens = 1024

    def per_layer_width(self) -> int:
        return 0

    def has_experts(self) -> bool:
        return False
