"""The audio tower of CLAP: a Swin over a spectrogram, folded into a square.

Source: transformers 5.24, models/clap/modeling_clap.py (`ClapAudioModel`, `ClapAudioPatchEmbed`) and configuration_clap.py
(defaults).
"""

from collections.abc import Iterator

from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import stated
from archcalc.arch._schema import Flag, Size, per_layer
from archcalc.arch._swin import SELF, SwinSchema
from archcalc.arch._vit import BERT_FFN, below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import Encoder, Tensor, stack


class Schema(SwinSchema):
    root = "audio_model"
    inert_keys = (
        *SwinSchema.inert_keys, "num_classes", "projection_dim", "projection_hidden_act", "flatten_patch_embeds", "patch_stride",
        "spec_size", "hidden_size",
    )  # fmt: skip
    other_names = {"num_attention_heads": "num_heads", "patch_embeds_hidden_size": "embed_dim"}
    names = SELF
    ffn_names = BERT_FFN
    biases = "attention.self.relative_position_bias_table"

    num_heads: tuple[Size, ...] = (4, 8, 16, 32)
    window_size: Size = 8
    patch_size: Sides = 4
    num_mel_bins: Size = 64
    patch_embed_input_channels: Size = 1
    enable_patch_layer_norm: Flag = True
    enable_fusion: Flag = False
    fusion_type: str | None = None
    aff_block_r: Size = 4

    def outside(self, named: str) -> Iterator[Tensor]:
        h, channels, (height, width) = self.embed_dim, self.patch_embed_input_channels, both(self.patch_size)
        joined = 4 if self.enable_fusion and self.fusion_type == "channel_map" else 1
        yield from conv("patch_embed.proj", h, channels * joined, height, width)
        if self.enable_patch_layer_norm:
            yield from layer_norm("patch_embed.norm", h)
        if self.enable_fusion:
            inner = h // self.aff_block_r
            for part, start in (("local_att", 0), ("global_att", 1)):
                for i, (a, b) in enumerate(((inner, h), (h, inner))):
                    at = start + 3 * i
                    yield from conv(f"patch_embed.fusion_model.{part}.{at}", a, b, 1, 1)
                    yield from layer_norm(f"patch_embed.fusion_model.{part}.{at + 1}", a)
            yield from conv("patch_embed.mel_conv2d", h, channels, height, 3 * width)
        yield from layer_norm("batch_norm", self.num_mel_bins)
        yield from layer_norm("norm", self.hidden_size)
        for i, inner_width in enumerate(self.widths()[:-1]):
            yield from prefixed(f"layers.{i}.downsample", self.merging(inner_width))

    @property
    def projected(self) -> int:
        """What its projection reads: `hidden_size`, whatever the last stage's width is."""
        return stated(self, "hidden_size", 768)

    def body(self, prefix: str, named: str) -> Pieces:
        prefix, n = join(prefix, "audio_encoder"), len(self.depths)
        heads = per_layer(self.num_heads[:n], n, "num_attention_heads", "depths")
        stages = [
            stack(join(prefix, f"layers.{i}.blocks"), "audio", [self.layer(h, one)] * depth)
            for i, (depth, h, one) in enumerate(zip(self.depths, self.widths(), heads, strict=True))
        ]
        return [group("audio", below(prefix, self.outside(named)))], stages

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
