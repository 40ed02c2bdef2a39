"""The text model of DeepSeek-OCR 2: multi-head attention, fine-grained experts.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2TextModel`) and
configuration_deepseek_ocr2.py (defaults).
"""

from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch import unlimited_ocr_text
from archcalc.arch._schema import Layers, Size, Tokens


class Schema(unlimited_ocr_text.Schema):
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
