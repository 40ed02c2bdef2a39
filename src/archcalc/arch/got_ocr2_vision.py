"""The vision tower of GOT-OCR 2: SAM's encoder, most layers of which attend within windows, with a neck of convolutions.

Source: transformers 5.23, models/got_ocr2/modeling_got_ocr2.py (`GotOcr2VisionEncoder`) and configuration_got_ocr2.py (defaults);
Kirillov et al. 2023, arXiv:2304.02643; Li et al. 2022, arXiv:2203.16527.
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import pooled, square
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Encoder, Layer, Tensor, stack


def neck(hidden: int, out: int) -> Iterator[Tensor]:
    """Two convolutions, each with a norm, that narrow the patches' channels."""
    yield Tensor("conv1.weight", (out, hidden, 1, 1), "other")
    yield from layer_norm("layer_norm1", out)
    yield Tensor("conv2.weight", (out, out, 3, 3), "other")
    yield from layer_norm("layer_norm2", out)


class Schema(TowerSchema):
    hidden_size: Size = 768
    output_channels: Size = 256
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    num_channels: Size = 3
    image_size: Size = 1024
    patch_size: Size = 16
    hidden_act: str = "gelu"
    qkv_bias: Flag = True
    use_abs_pos: Flag = True
    use_rel_pos: Flag = True
    window_size: Count = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    mlp_dim: Size | None = 3072

    def ffn_width(self) -> int:
        return self.mlp_dim or 3072

    def layer(self, window: int) -> Layer:
        h, n = self.hidden_size, self.num_attention_heads
        dim, side = head_width(h, n), window or self.image_size // self.patch_size
        attention = GroupedQueryAttention(
            h, n, n, dim, self.qkv_bias, True, window**2 or None, bool(window), fused="qkv", names=("", "", "", "proj")
        )
        ffn = FeedForward(h, self.ffn_width(), self.hidden_act, names=("lin1", "lin2"))
        norms = (*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h))
        # A vector for each distance between two patches of a window, or of the image.
        tables = [Tensor(f"attn.rel_pos_{axis}", (2 * side - 1, dim), "attention") for axis in "hw"] if self.use_rel_pos else []
        return encoder_layer(attention, ffn, norms, attention_name="attn", extra=tables)

    def tower(self, prefix: str) -> Pieces:
        h, p, n = self.hidden_size, self.patch_size, self.num_hidden_layers
        side = self.image_size // p
        outside = [
            *patch_conv("patch_embed.projection", h, self.num_channels, p, p),
            *prefixed("neck", neck(h, self.output_channels)),
        ]
        if self.use_abs_pos:
            outside.append(Tensor("pos_embed", (1, side, side, h), "embedding"))
        full, windowed = self.layer(0), self.layer(self.window_size)
        layers = [full if i in self.global_attn_indexes else windowed for i in range(n)]
        return [group("vision", prefixed(prefix, outside))], [stack(join(prefix, "layers"), "vision", layers)]

    def encoders(self) -> tuple[Encoder, ...]:
        """One image of the config's size, merged four by four behind the layers."""
        # The distances between patches are added to the scores, in a matrix of all patches of the image.
        side = (self.image_size // self.patch_size) ** 2
        bias = self.num_attention_heads * side**2 if self.use_rel_pos else 0
        return pooled(square(self, bias=bias, chunk=side), 16)


class SamVisionModel(Schema):
    """SAM's encoder. Source: transformers 5.23, models/sam/modeling_sam.py (`SamVisionModel`) and configuration_sam.py (defaults)."""

    inert_keys = ("scale",)

    mlp_dim: Size | None = None
    mlp_ratio: float = 4.0
    # Of the whole model's positions.
    num_pos_feats: Size = 128

    def ffn_width(self) -> int:
        return self.mlp_dim or int(self.hidden_size * self.mlp_ratio)

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_encoder")
