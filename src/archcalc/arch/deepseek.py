"""DeepSeekMoE 16B: Llama's attention, one dense layer, then fine-grained and shared experts.

Source: deepseek-ai/deepseek-moe-16b-base, modeling_deepseek.py and configuration_deepseek.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts


class Schema(PlainSchema):
    vocab_size: Size = 102400
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    moe_intermediate_size: Size = 1407
    num_hidden_layers: Layers = 30
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    n_routed_experts: Size | None = None
    n_shared_experts: Count | None = None
    num_experts_per_tok: Size | None = None
    moe_layer_freq: Size = 1
    first_k_dense_replace: Count = 0

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def sparse(self) -> Sequence[bool]:
        first, step = self.first_k_dense_replace, self.moe_layer_freq
        return [self.n_routed_experts is not None and i >= first and i % step == 0 for i in range(self.num_hidden_layers)]

    def experts(self) -> MixtureOfExperts:
        width, shared, routed = self.moe_intermediate_size, self.n_shared_experts or 0, self.n_routed_experts or 0
        return MixtureOfExperts(
            self.hidden_size, width, routed, self.num_experts_per_tok or routed, self.hidden_act, shared, shared * width
        )
