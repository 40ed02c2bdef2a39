"""HyperCLOVA X: Llama's layer with Granite's multipliers, and norms behind attention and FFN.

Source: transformers 5.23, models/hyperclovax/modeling_hyperclovax.py and configuration_hyperclovax.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(PlainSchema):
    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False
    use_post_norm: Flag = True

    def norm_names(self) -> Iterable[str]:
        return (*self.norms, "post_norm1", "post_norm2") if self.use_post_norm else self.norms

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def more(self) -> dict[str, Any]:
        return {"norm": "RMSNorm (pre + post)" if self.use_post_norm else "RMSNorm (pre)"}
