"""FlexOlmo: OLMo 2's layer, norms behind the blocks, with experts trained apart.

Source: transformers 5.23, models/flex_olmo/modeling_flex_olmo.py and configuration_flex_olmo.py (defaults).
"""

from archcalc.arch import olmoe
from archcalc.arch._computes import Computes
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(olmoe.Schema):
    norms = ("post_attention_layernorm", "post_feedforward_layernorm")
    norm_label = "RMSNorm (post, inside the residual)"

    vocab_size: Size = 100352
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 4096
    num_experts_per_tok: Size = 5
    num_experts: Size = named(7, "num_local_experts", "num_experts")

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", tables="fp32")
