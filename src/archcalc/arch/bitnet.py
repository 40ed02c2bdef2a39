"""BitNet b1.58: ternary weights, a norm more inside attention and inside the FFN.

Source: transformers 5.23, models/bitnet/modeling_bitnet.py and configuration_bitnet.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks.norm import rms_norm
from archcalc.model import Tensor


class Schema(PlainSchema):
    whole_heads = False

    vocab_size: Size = 128256
    hidden_size: Size = 2560
    intermediate_size: Size = 6912
    num_hidden_layers: Layers = 30
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = 5
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def extra(self, variant: int) -> Iterable[Tensor]:
        yield rms_norm("self_attn.attn_sub_norm", self.hidden_size)
        yield rms_norm("mlp.ffn_sub_norm", self.intermediate_size)

    def more(self) -> dict[str, Any]:
        return {"norm": "RMSNorm (pre, and before each output projection)"}
