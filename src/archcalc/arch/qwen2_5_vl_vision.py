"""The vision tower of Qwen2.5-VL: Qwen2-VL's with RMSNorm, a gated FFN, and windows on most layers.

Source: transformers 5.23, models/qwen2_5_vl/modeling_qwen2_5_vl.py (`Qwen2_5_VisionTransformerPretrainedModel`) and
configuration_qwen2_5_vl.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch import qwen2_vl_vision
from archcalc.arch._schema import Size, divided
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Layer, Tensor


class Schema(qwen2_vl_vision.Schema):
    inert_keys = ("in_chans", "spatial_patch_size", "tokens_per_second")

    hidden_act: str = "silu"
    intermediate_size: Size = 3420
    window_size: Size = 112
    out_hidden_size: Size = 3584
    fullatt_block_indexes: tuple[int, ...] = (7, 15, 23, 31)

    def widths(self) -> tuple[int, int]:
        return self.hidden_size, self.out_hidden_size

    def norm(self, name: str) -> Iterator[Tensor]:
        yield rms_norm(name, self.hidden_size)

    def layers(self) -> list[Layer]:
        ffn = GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, bias=True)
        norms = (*self.norm("norm1"), *self.norm("norm2"))
        # The window is given in pixels and cut to whole merged patches.
        side = max(self.window_size // self.spatial_merge_size // self.patch_size, 1) * self.spatial_merge_size
        windowed, full = (encoder_layer(self.attention(w), ffn, norms, attention_name="attn") for w in (side**2, None))
        return [full if i in self.fullatt_block_indexes else windowed for i in range(self.depth)]


class Exaone45Vision(Schema):
    """The vision tower of EXAONE 4.5: Qwen2.5-VL's with fewer keys and values than queries.
    Source: transformers 5.23, models/exaone4_5/modeling_exaone4_5.py (`Exaone4_5_VisionModel`) and configuration_exaone4_5.py (defaults).
    """

    num_key_value_heads: Size = 8

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        h, n, kv = self.hidden_size, self.num_heads, self.num_key_value_heads
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_heads")
        return GroupedQueryAttention(
            h, n, kv, head_dim, True, True, window, window is not None, fused="qkv", names=("", "", "", "proj")
        )


class Qwen25OmniVisionEncoder(Schema):
    """The vision tower of Qwen2.5-Omni: Qwen2.5-VL's with queries, keys and values apart.
    Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniVisionEncoder`) and configuration_qwen2_5_omni.py
    (defaults)."""

    def attention(self, window: int | None = None) -> GroupedQueryAttention:
        h, n = self.hidden_size, self.num_heads
        head_dim = divided(h, n, "vision_config.hidden_size", "vision_config.num_heads")
        return GroupedQueryAttention(h, n, n, head_dim, True, True, window, window is not None, names=("q", "k", "v", "proj"))
