"""DiffLlama: Llama with differential attention.

Source: transformers 5.23, models/diffllama/modeling_diffllama.py and configuration_diffllama.py (defaults).
"""

from typing import Any

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.differential import DifferentialAttention
from archcalc.errors import ConfigError


class Schema(PlainSchema):
    inert_keys = ("lambda_std_dev",)
    whole_heads = False

    vocab_size: Size = 32000
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False

    def attention(self, window: int | None, variant: int) -> Mixer:
        if self.kv_heads % 2:
            raise ConfigError(
                f"num_key_value_heads is {self.kv_heads}: differential attention pairs heads, so it must be even",
                "correct one", "num_key_value_heads",
            )  # fmt: skip
        heads, bias = self.num_attention_heads, self.attention_bias
        return DifferentialAttention(self.hidden_size, heads, self.kv_heads, self.head_size, bias, bias)

    def more(self) -> dict[str, Any]:
        return {"attention": f"differential {head_sharing(self.num_attention_heads, self.kv_heads)}"}
