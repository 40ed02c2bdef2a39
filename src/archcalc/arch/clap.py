"""CLAP: RoBERTa for text and a Swin for spectrograms, each projected into one space.

Source: transformers 5.24, models/clap/modeling_clap.py (`ClapModel`, `ClapTextModelWithProjection`, `ClapAudioModelWithProjection`) and
configuration_clap.py (defaults); Wu et al. 2022, arXiv:2211.06687.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from archcalc.arch import roberta
from archcalc.arch._composite import DEFAULT, Pieces, Sides, both
from archcalc.arch._decoder import group, join
from archcalc.arch._dual import DualSchema, bert_tower
from archcalc.arch._encoder import stated
from archcalc.arch._schema import Flag, Size, nested, per_layer
from archcalc.arch._swin import SELF, SwinSchema
from archcalc.arch._vit import BERT_FFN, below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Encoder, Tensor, stack


class ClapTextModel(roberta.Schema):
    """The text tower of CLAP: RoBERTa.
    Source: transformers 5.24, models/clap/modeling_clap.py (`ClapTextModel`) and configuration_clap.py (defaults)."""

    name = "clap_text_model"
    core_keys = ()
    inert_keys: ClassVar[tuple[str, ...]] = (
        *roberta.Schema.inert_keys,
        "projection_dim",
        "projection_hidden_act",
        "projection_hidden_size",
    )

    max_position_embeddings: Size = 514
    type_vocab_size: Size = 1
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str = "text_model") -> Architecture:
        return bert_tower(self, prefix, pooled=True)


class ClapAudioModel(SwinSchema):
    """The audio tower of CLAP: a Swin over a spectrogram, folded into a square.
    Source: transformers 5.24, models/clap/modeling_clap.py (`ClapAudioModel`, `ClapAudioPatchEmbed`) and configuration_clap.py
    (defaults)."""

    name = "clap_audio_model"
    root = "audio_model"
    inert_keys = (*SwinSchema.inert_keys, "num_classes", "projection_dim", "projection_hidden_act", "flatten_patch_embeds", "patch_stride",
                  "spec_size", "hidden_size")  # fmt: skip
    other_names: ClassVar[Mapping[str, str]] = {"num_attention_heads": "num_heads", "patch_embeds_hidden_size": "embed_dim"}
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
        for i, wide in enumerate(self.widths()[:-1]):
            yield from prefixed(f"layers.{i}.downsample", self.merging(wide))

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


class Schema(DualSchema):
    inert_keys = (*DualSchema.inert_keys, "audio_config_dict", "projection_hidden_act", "hidden_size", "num_hidden_layers")

    text_config: Annotated[ClapTextModel, nested("clap_text_model", fixed=True), DEFAULT]
    vision_config: None = None
    audio_config: Annotated[ClapAudioModel, nested("clap_audio_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: object, vision: object) -> Iterator[Tensor]:
        for name in ("logit_scale_a", "logit_scale_t"):
            yield Tensor(name, (), "other")
        for name, wide in (("text", self.text_config.hidden_size), ("audio", self.audio_config.projected)):
            yield from linear(f"{name}_projection.linear1", self.projection_dim, wide, "other", bias=True)
            yield from linear(f"{name}_projection.linear2", self.projection_dim, self.projection_dim, "other", bias=True)

    def headed(self, named: str) -> None:
        return None

    def both(self, prefix: str) -> Architecture:
        a = self.text_config.architecture(join(prefix, "text_model"))
        groups, stacks = self.audio_config.body(join(prefix, "audio_model"), "")
        own = group("other", self.extra_tensors(None, None))
        return a._replace(model_type=self.name, groups=(*a.groups, *groups, own), stacks=(*a.stacks, *stacks))
