"""XGLM: BioGPT's layer with sinusoidal positions.

Source: transformers 5.23, models/xglm/modeling_xglm.py and configuration_xglm.py (defaults, attribute_map).
"""

from typing import Any

from archcalc.arch import biogpt
from archcalc.arch._computes import Computes
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.model import SINUSOIDAL


class Schema(biogpt.Schema):
    prefix = "model"

    vocab_size: Size = 256008
    max_position_embeddings: Size = 2048
    hidden_size: Size = named(1024, "d_model", "hidden_size")
    intermediate_size: Size = named(4096, "ffn_dim")
    num_hidden_layers: Layers = named(24, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = named(16, "attention_heads", "num_attention_heads")
    hidden_act: str = named("gelu", "activation_function")
    add_cross_attention: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(floored=True)

    def crossed(self) -> bool:
        return self.add_cross_attention

    def more(self) -> dict[str, Any]:
        return {"position": SINUSOIDAL}

    def decoder_options(self) -> dict[str, Any]:
        return {"crosses": self.crossed()}
