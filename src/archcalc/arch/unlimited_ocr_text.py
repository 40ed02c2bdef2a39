"""The text model of Unlimited-OCR: multi-head attention to the prompt and the last tokens, fine-grained experts.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py (`UnlimitedOcrTextModel`) and configuration_unlimited_ocr.py
(defaults).
"""

from collections.abc import Sequence
from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, sparse_layers
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, divided
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Architecture


class Schema(PlainSchema):
    # A head is the width split among them, whatever the config states; all layers see alike.
    inert_keys = (
        "layer_types", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "use_mla", "rm_head",
        "lm_head", "moe_layer_freq",
    )  # fmt: skip

    vocab_size: Size = 129280
    hidden_size: Size = 1280
    intermediate_size: Size = 6848
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 10
    num_key_value_heads: Size | None = 10
    max_position_embeddings: Tokens = 32768
    attention_bias: Flag = False
    mlp_bias: Flag = False
    n_routed_experts: Size = Field(64, validation_alias=AliasChoices("num_experts", "n_routed_experts"))
    n_shared_experts: Count = 2
    num_experts_per_tok: Size = 6
    moe_intermediate_size: Size = 896
    mlp_layer_types: list[str] | None = None
    first_k_dense_replace: Count = 1
    sliding_window: Tokens | None = 128

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    @property
    def head_size(self) -> int:
        return divided(self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads")

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def sparse(self) -> Sequence[bool]:
        n = self.num_hidden_layers
        if self.mlp_layer_types is None:
            return [i >= self.first_k_dense_replace for i in range(n)]
        return sparse_layers(self.mlp_layer_types, n)

    def experts(self) -> MixtureOfExperts:
        width, shared = self.moe_intermediate_size, self.n_shared_experts
        return MixtureOfExperts(
            self.hidden_size, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            shared_bias=self.mlp_bias,
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return {"sliding_window": self.sliding_window}

    def architecture(self, prefix: str) -> Architecture:
        a, window = super().architecture(prefix), self.sliding_window
        if window is None:
            return a
        note = f"each layer keeps the whole prompt, and of what it then writes the last {window} tokens: the cache is a prompt's"
        return a._replace(notes=(*a.notes, note))


class DeepseekOcr2Text(Schema):
    """The text model of DeepSeek-OCR 2: multi-head attention, fine-grained experts.
    Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2TextModel`) and
    configuration_deepseek_ocr2.py (defaults)."""

    vocab_size: Size = 102400
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = None
    max_position_embeddings: Tokens = 2048
    n_routed_experts: Size = Field(64, validation_alias=AliasChoices("num_local_experts", "num_experts", "n_routed_experts"))
    # The reference has no default for either of the two, and cannot do without them.
    moe_intermediate_size: Size = 1407
    sliding_window: Tokens | None = None

    def more(self) -> dict[str, Any]:
        return {}
