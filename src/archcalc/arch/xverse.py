"""XVERSE: Llama's layer.

Source: xverse/XVERSE-7B, modeling_xverse.py and configuration_xverse.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts


class Schema(PlainSchema):
    inert_keys = ("max_tokenizer_truncation",)

    vocab_size: Size = 100278
    hidden_size: Size = 5120
    intermediate_size: Size = 13824
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 40
    max_position_embeddings: Tokens = 8192


class XverseMoe(Schema):
    """XVERSE with experts: routed and shared ones of one width in every layer.
    Source: SGLang 0.5.23, srt/models/xverse_moe.py (`XverseMoE`)."""

    num_experts: Size = 64
    num_experts_per_tok: Size = named(6, "moe_top_k", "num_experts_per_tok")
    num_shared_experts: Count | None = 2

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        shared = self.num_shared_experts or 0
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            shared, shared * self.intermediate_size, router="router",
        )  # fmt: skip
