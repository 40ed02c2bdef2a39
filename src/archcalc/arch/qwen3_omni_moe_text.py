"""The text model of Qwen3-Omni's thinker: Qwen 3's with experts.

Source: transformers 5.23, models/qwen3_omni_moe/configuration_qwen3_omni_moe.py (`Qwen3OmniMoeTextConfig`, defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch import qwen3_moe
from archcalc.arch._computes import Computes
from archcalc.arch._schema import Count, Layers, Size, Tokens


class Schema(qwen3_moe.Schema):
    whole_heads = False

    vocab_size: Size = 3584
    hidden_size: Size = 2048
    intermediate_size: Size = 18944
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 28
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = None
    max_position_embeddings: Tokens = 32768
    moe_intermediate_size: Size = 768
    num_experts_per_tok: Size = 8
    num_experts: Count = Field(128, validation_alias=AliasChoices("num_local_experts", "num_experts"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized")
