"""Qwen 3, dense: Qwen 2's layer with QK-norm in place of the biases.

Source: transformers 5.23, models/qwen3/modeling_qwen3.py and configuration_qwen3.py (defaults).
"""

from typing import Any

from archcalc.arch import qwen2
from archcalc.arch._schema import Flag, Size, Tokens
from archcalc.blocks.attention import GroupedQueryAttention

QK_NORM = {"more": (("QK-norm", "RMSNorm per head"),)}


class Schema(qwen2.Schema):
    head_dim: Size | None = 128
    attention_bias: Flag = False

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size,
            self.attention_bias, self.attention_bias, window, qk_norm="head",
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return QK_NORM


class Qwen3VlText(Schema):
    """The text model of Qwen3-VL: Qwen 3's.
    Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py (defaults)."""

    max_position_embeddings: Tokens = 128000


class Maincoder(Schema):
    """Maincoder: Qwen 3's layer.
    Source: llama.cpp (llama-cpp-python 0.3.36), conversion/llama.py and maincoder.py, src/models/maincoder.cpp."""

    head_dim: Size | None = None
