"""The text model of Qwen3-VL with experts: Qwen 3's; published checkpoints hold the fused experts transposed.

Source: transformers 5.23, models/qwen3_vl_moe/modeling_qwen3_vl_moe.py and configuration_qwen3_vl_moe.py (defaults),
conversion_mapping.py ("qwen3_vl_moe").
"""

from pydantic import AliasChoices, Field

from archcalc.arch import qwen3_moe
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Flag, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts


class Schema(qwen3_moe.Schema):
    intermediate_size: Size = 5632
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 16
    max_position_embeddings: Tokens = 128000
    tie_word_embeddings: Flag = True
    moe_intermediate_size: Size = 1408
    num_experts_per_tok: Size = 4
    num_experts: Count = Field(60, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size,
            self.moe_intermediate_size,
            self.num_experts,
            self.num_experts_per_tok,
            self.hidden_act,
            transposed_on_disk=True,
        )
