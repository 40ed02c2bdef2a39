"""TeleChat 3: Llama's layers.

Source: vLLM 0.33, models/registry.py (`TeleChat3ForCausalLM` is read by llama.py).
"""

from archcalc.arch import llama
from archcalc.model import Architecture


class Schema(llama.Schema):
    def architecture(self, prefix: str = "model") -> Architecture:
        return super().architecture(prefix)._replace(model_type="telechat3")
