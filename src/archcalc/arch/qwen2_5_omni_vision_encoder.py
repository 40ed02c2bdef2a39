"""The vision tower of Qwen2.5-Omni: Qwen2.5-VL's with queries, keys and values apart.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniVisionEncoder`) and configuration_qwen2_5_omni.py
(defaults).
"""

from archcalc.arch import qwen2_5_vl_vision
from archcalc.arch._schema import Size, divided
from archcalc.blocks.attention import GroupedQueryAttention


class Schema(qwen2_5_vl_vision.Schema):
    hidden_size: Size = 3584

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        h, n = self.hidden_size, self.num_heads
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_heads")
        return GroupedQueryAttention(h, n, n, head_dim, True, True, window, window is not None, names=("q", "k", "v", "proj"))
