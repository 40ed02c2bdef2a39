"""DeepSeek-V2, V2-Lite, V2.5 and Coder-V2: MLA (queries at full rank in Lite), softmax router without a correction bias.

Source: transformers 5.23, models/deepseek_v2/modeling_deepseek_v2.py and configuration_deepseek_v2.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, divided
from archcalc.model import Architecture


class Schema(deepseek_v3.Schema):
    correction_bias = ""

    vocab_size: Size = 102400
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    moe_intermediate_size: Size = 1407
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    n_shared_experts: Count | None = 2
    n_routed_experts: Size | None = Field(64, validation_alias=AliasChoices("num_experts", "n_routed_experts"))
    num_experts_per_tok: Size | None = None
    first_k_dense_replace: Count | None = 0
    max_position_embeddings: Tokens = 2048
    mlp_bias: Flag = False

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def architecture(self, prefix: str) -> Architecture:
        divided(self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads")
        return super().architecture(prefix)
