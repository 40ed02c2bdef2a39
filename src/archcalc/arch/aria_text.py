"""Aria's text model: experts in every layer, stored [in, out], and experts that every token visits.

Source: transformers 5.23, models/aria/modeling_aria.py and configuration_aria.py (`AriaTextConfig`), conversion_mapping.py
("aria_text": checkpoints name the fused experts `fc1` and `fc2`).
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts

RENAMES = ((".mlp.experts.gate_up_proj", ".mlp.experts.fc1.weight"), (".mlp.experts.down_proj", ".mlp.experts.fc2.weight"))


class Schema(PlainSchema):
    inert_keys = ("moe_intermediate_size",)

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False
    moe_num_experts: Size = 8
    moe_topk: Size = 2
    moe_num_shared_experts: Count = 2

    def computes(self) -> Computes:
        return super().computes()._replace(routing="chosen")

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        width, shared = self.intermediate_size, self.moe_num_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.moe_num_experts, self.moe_topk, self.hidden_act, shared, shared * width,
            shared_bias=self.mlp_bias, router="router", transposed=True, stored=(),
        )  # fmt: skip

    def decoder_options(self) -> dict[str, Any]:
        return {"renames": RENAMES}
