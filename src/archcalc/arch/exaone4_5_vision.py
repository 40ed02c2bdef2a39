"""The vision tower of EXAONE 4.5: Qwen2.5-VL's with fewer keys and values than queries.

Source: transformers 5.23, models/exaone4_5/modeling_exaone4_5.py (`Exaone4_5_VisionModel`) and configuration_exaone4_5.py (defaults).
"""

from archcalc.arch import qwen2_5_vl_vision
from archcalc.arch._schema import Size, divided
from archcalc.blocks.attention import GroupedQueryAttention


class Schema(qwen2_5_vl_vision.Schema):
    hidden_size: Size = 3584
    num_key_value_heads: Size = 8

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        h, n, kv = self.hidden_size, self.num_heads, self.num_key_value_heads
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_heads")
        return GroupedQueryAttention(
            h, n, kv, head_dim, True, True, window, window is not None, fused="qkv", names=("", "", "", "proj")
        )
