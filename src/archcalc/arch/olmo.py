"""OLMo 1: Llama's layer with LayerNorm that has no weights.

Source: transformers 5.23, models/olmo/modeling_olmo.py and configuration_olmo.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
    inert_keys = ("clip_qkv",)
    whole_heads = False
    norm_label = "LayerNorm (pre, no weights)"

    vocab_size: Size = 50304
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(bare="bare-layer", tables="fp32")

    def norm(self, name: str) -> tuple[()]:
        return ()

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias
