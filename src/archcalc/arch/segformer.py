"""SegFormer: stages of attention whose keys and values a convolution thins out, FFNs with a convolution inside, and a head of plain layers.

Source: transformers 5.24, models/segformer/modeling_segformer.py (`SegformerModel`, `SegformerForImageClassification`,
`SegformerForSemanticSegmentation`) and configuration_segformer.py (defaults); Xie et al. 2021, arXiv:2105.15203.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Layers, Size, divided, per_layer
from archcalc.arch._vit import AloneSchema, below, classifier
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv
from archcalc.model import Encoder, Layer, Stack, Tensor, stack

Sizes = tuple[Size, ...]


class Schema(AloneSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("strides", "reshape_last_stage", "drop_path_rate", "image_size", "downsampling_rates")
    root = "segformer"

    num_channels: Size = 3
    num_encoder_blocks: Layers = 4
    depths: tuple[Layers, ...] = (2, 2, 2, 2)
    sr_ratios: Sizes = (8, 4, 2, 1)
    hidden_sizes: Sizes = (32, 64, 160, 256)
    patch_sizes: Sizes = (7, 3, 3, 3)
    num_attention_heads: Sizes = (1, 2, 5, 8)
    mlp_ratios: tuple[int | float, ...] = (4, 4, 4, 4)
    hidden_act: str = "gelu"
    decoder_hidden_size: Size = 256

    @property
    def hidden_size(self) -> int:
        return self.hidden_sizes[self.num_encoder_blocks - 1]

    def layer(self, h: int, heads: int, ratio: int, width: int) -> Layer:
        attention = GroupedQueryAttention(h, heads, heads, divided(h, heads, "hidden_sizes", "num_attention_heads"), True, True)
        extra = list(conv("mlp.dwconv.dwconv", width, 1, 3, 3, role="mlp"))
        if ratio > 1:
            thin = (*conv("sequence_reduction", h, h, ratio, ratio, role="attention"), *layer_norm("layer_norm", h))
            extra += prefixed("attention.sequence_reduction", thin)
        norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
        return encoder_layer(attention, FeedForward(h, width, self.hidden_act), norms, attention_name="attention", extra=extra)

    def bare(self, named: str) -> bool:
        return not named or named.endswith("Model")

    def stages(self) -> Iterator[tuple[int, int, int, int, int, int, int]]:
        """Depth, width, the width before it, heads, ratio, patch and FFN of each stage."""
        n = self.num_encoder_blocks
        lists = (self.depths, self.hidden_sizes, self.num_attention_heads, self.sr_ratios, self.patch_sizes, self.mlp_ratios)
        names = ("depths", "hidden_sizes", "num_attention_heads", "sr_ratios", "patch_sizes", "mlp_ratios")
        checked = [per_layer(values[:n], n, key, "num_encoder_blocks") for values, key in zip(lists, names, strict=True)]
        inner = self.num_channels
        for depth, h, heads, ratio, patch, width in zip(*checked, strict=True):
            yield int(depth), int(h), inner, int(heads), int(ratio), int(patch), int(h * width)
            inner = int(h)

    def body(self, prefix: str, named: str) -> Pieces:
        outside: list[Tensor] = []
        stacks: list[Stack] = []
        for i, (depth, h, inner, heads, ratio, patch, width) in enumerate(self.stages()):
            outside += patch_conv(f"stages.{i}.patch_embeddings.proj", h, inner, patch, patch)
            outside += (*layer_norm(f"stages.{i}.patch_embeddings.layer_norm", h), *layer_norm(f"stages.{i}.layer_norm", h))
            stacks.append(stack(join(prefix, f"stages.{i}.blocks"), "vision", [self.layer(h, heads, ratio, width)] * depth))
        return [group("vision", below(prefix, outside))], stacks

    def segments(self) -> Iterator[Tensor]:
        width, n = self.decoder_hidden_size, self.num_encoder_blocks
        for i, h in enumerate(self.hidden_sizes[:n]):
            yield from linear(f"decode_head.linear_projections.{i}.proj", width, h, "head", bias=True)
        yield from conv("decode_head.linear_fuse", width, width * n, 1, 1, bias=False, role="head")
        yield from layer_norm("decode_head.batch_norm", width)
        yield from conv("decode_head.classifier", labels_of(self.model_extra or {}), width, 1, 1, role="head")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForImageClassification"):
            return classifier(self, self.hidden_size)
        return self.segments() if name.endswith("ForSemanticSegmentation") else super().head_of(name)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
