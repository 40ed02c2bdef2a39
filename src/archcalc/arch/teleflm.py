"""Tele-FLM: Llama's layers, logits and embeddings scaled by fixed numbers.

Source: CofeAI/Tele-FLM, modeling_teleflm.py and configuration_teleflm.py; vLLM 0.33, models/teleflm.py.
"""

from archcalc.arch import llama
from archcalc.model import Architecture


class Schema(llama.Schema):
    inert_keys = ("use_mup", "mup_scale_factor", "output_mult", "input_mult", "mup_base")

    def architecture(self, prefix: str = "model") -> Architecture:
        return super().architecture(prefix)._replace(model_type="teleflm")
