"""MiniCPM 1, 2 and 4: Llama's layer with scaled embedding, residuals and logits; experts in every layer where the config has them.

Source: openbmb/MiniCPM-2B-sft-bf16, openbmb/MiniCPM-MoE-8x2B and openbmb/MiniCPM4-8B, modeling_minicpm.py and
configuration_minicpm.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts


class Schema(PlainSchema):
    inert_keys = ("scale_emb", "dim_model_base", "scale_depth", "sparse_config", "mup_denominator")

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    num_experts: Count = 0
    num_experts_per_tok: Size = 2

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def sparse(self) -> Sequence[bool]:
        return [self.num_experts > 0] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            stored=("w1", "w3", "w2"),
        )  # fmt: skip
