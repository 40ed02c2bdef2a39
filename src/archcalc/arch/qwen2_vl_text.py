"""The text model of Qwen2-VL: Qwen 2's.

Source: transformers 5.23, models/qwen2_vl/modeling_qwen2_vl.py and configuration_qwen2_vl.py (defaults).
"""

from archcalc.arch import qwen2
from archcalc.arch._schema import Count, Layers, Size, divided


class Schema(qwen2.Schema):
    vocab_size: Size = 152064
    hidden_size: Size = 8192
    intermediate_size: Size = 29568
    num_hidden_layers: Layers = 80
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = 8
    max_window_layers: Count | None = 80

    @property
    def head_size(self) -> int:
        """Always the width split among the heads: a `head_dim` key is not read."""
        return divided(self.hidden_size, self.num_attention_heads, "hidden_size", "num_attention_heads")
