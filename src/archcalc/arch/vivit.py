"""ViViT: ViT over tubes of a video.

Source: transformers 5.24, models/vivit/modeling_vivit.py (`VivitModel`, `VivitForVideoClassification`) and configuration_vivit.py
(defaults); Arnab et al. 2021, arXiv:2103.15691.
"""

from collections.abc import Iterator
from typing import Literal

from archcalc.arch._composite import both
from archcalc.arch._schema import Size
from archcalc.arch._vit import BERT_FFN, PooledSchema, ViTSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv
from archcalc.model import Encoder, Layer, Tensor


class Schema(PooledSchema):
    root = "vivit"

    hidden_act: str = "gelu_fast"
    num_frames: Size = 32
    tubelet_size: tuple[Size, Size, Size] = (2, 16, 16)

    def rows(self) -> int:
        (height, width), (frames, down, across) = both(self.image_size), self.tubelet_size
        return (self.num_frames // frames) * (height // down) * (width // across) + 1

    def patches(self) -> Iterator[Tensor]:
        return patch_conv("embeddings.patch_embeddings.projection", self.hidden_size, self.num_channels, *self.tubelet_size)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Timesformer(ViTSchema):
    """TimeSformer: ViT whose layers attend over time and over space apart.
    Source: transformers 5.24, models/timesformer/modeling_timesformer.py (`TimesformerModel`, `TimesformerForVideoClassification`) and
    configuration_timesformer.py (defaults); Bertasius et al. 2021, arXiv:2102.05095."""

    root = "timesformer"
    layers_name = "encoder.layer"

    num_frames: Size = 8
    attention_type: Literal["divided_space_time", "space_only", "joint_space_time"] = "divided_space_time"

    def tokens(self, named: str) -> Iterator[Tensor]:
        yield from super().tokens(named)
        if self.attention_type != "space_only":
            yield Tensor("embeddings.time_embeddings", (1, self.num_frames, self.hidden_size), "embedding")

    def layer(self) -> Layer:
        h, n = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(
            h, n, n, head_width(h, n), self.qkv_bias, True, fused="attention.qkv", names=("", "", "", "output.dense")
        )
        extra = list(prefixed("attention", attention.tensors()))
        if self.attention_type == "divided_space_time":
            extra += prefixed("temporal_attention", attention.tensors())
            extra += (*layer_norm("temporal_layernorm", h), *linear("temporal_dense", h, h, "attention", bias=True))
        norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=BERT_FFN)
        layer = encoder_layer(attention, ffn, norms, ffn_name="")
        tensors = (*extra, *(t for t in layer.tensors if t.role != "attention"))
        times = 2 if self.attention_type == "divided_space_time" else 1
        return layer._replace(tensors=tensors, attends=layer.attends * times)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
