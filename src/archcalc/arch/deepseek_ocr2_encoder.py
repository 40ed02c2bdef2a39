"""What reads SAM's output in DeepSeek-OCR 2: the layers of Qwen 2, which see the whole image.

Source: transformers 5.23, models/deepseek_ocr2/modeling_deepseek_ocr2.py (`DeepseekOcr2VisionEncoder`) and
configuration_deepseek_ocr2.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import stack


class Schema(TowerSchema):
    inert_keys = ("use_sliding_window", "sliding_window", "max_window_layers", "layer_types")

    hidden_size: Size = 4096
    intermediate_size: Size = 22016
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    head_dim: Size | None = None
    hidden_act: str = "silu"

    def tower(self, prefix: str) -> Pieces:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = self.head_dim or divided(h, heads, "hidden_size", "num_attention_heads")
        attention = GroupedQueryAttention(h, heads, self.num_key_value_heads or heads, dim, bias=True)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        layer = encoder_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms)
        layers = stack(join(prefix, "layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", (rms_norm(join(prefix, "norm"), h),))], [layers]
