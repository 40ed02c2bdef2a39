"""The vision tower of dots.ocr: a ViT with RMSNorm, a gated FFN and rotary positions, and a merger into the text model.

Source: rednote-hilab/dots.ocr, modeling_dots_vision.py and configuration_dots.py (defaults); vLLM 0.33, models/dots_ocr.py.
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Encoder, stack


class Schema(TowerSchema):
    inert_keys = ("temporal_patch_size",)

    embed_dim: Size = 1536
    # What comes out of the merger.
    hidden_size: Size = 1536
    intermediate_size: Size = 4224
    num_hidden_layers: Layers = 42
    num_attention_heads: Size = 12
    num_channels: Size = 3
    patch_size: Size = 14
    spatial_merge_size: Size = 2
    use_bias: Flag = False
    post_norm: Flag = True

    def tower(self, prefix: str) -> Pieces:
        h, heads, p, bias = self.embed_dim, self.num_attention_heads, self.patch_size, self.use_bias
        merged = h * self.spatial_merge_size**2
        outside = [
            *patch_conv("patch_embed.patchifier.proj", h, self.num_channels, p, p), rms_norm("patch_embed.patchifier.norm", h),
            *([rms_norm("post_trunk_norm", h)] if self.post_norm else []),
            *layer_norm("merger.ln_q", h), *linear("merger.mlp.0", merged, merged, "other", bias=True),
            *linear("merger.mlp.2", self.hidden_size, merged, "other", bias=True),
        ]  # fmt: skip
        attention = GroupedQueryAttention(
            h, heads, heads, head_width(h, heads), bias, bias, fused="qkv", names=("", "", "", "proj")
        )
        ffn = GatedFeedForward(h, self.intermediate_size, "silu", bias, names=("fc1", "fc3", "fc2"))
        layer = encoder_layer(attention, ffn, (rms_norm("norm1", h), rms_norm("norm2", h)), attention_name="attn")
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """The largest image that the processor leaves as it is."""
        most, source = 11289600, "rednote-hilab/dots.ocr, preprocessor_config.json `max_pixels`"
        return within(self, area(most, self.patch_size, self.spatial_merge_size), self.spatial_merge_size, source, rotated=True)
