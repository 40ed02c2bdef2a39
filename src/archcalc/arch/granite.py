"""Granite 3, dense: Llama's structure with multipliers on embedding, attention, residual and logits.

Source: transformers 5.23, models/granite/modeling_granite.py and configuration_granite.py (defaults: Llama's).
"""

from archcalc.arch import llama
from archcalc.model import Architecture


class Schema(llama.Schema):
    whole_heads = False

    def architecture(self, prefix: str = "model") -> Architecture:
        return super().architecture(prefix)._replace(model_type="granite")
