"""Mask2Former: Swin or a ResNet, an encoder over several feature maps, and queries that each draw one mask.

Source: transformers 5.24, models/mask2former/modeling_mask2former.py (`Mask2FormerModel`, `Mask2FormerForUniversalSegmentation`,
`Mask2FormerPixelDecoder`) and configuration_mask2former.py (defaults); Cheng et al. 2021, arXiv:2112.01527.
"""

from collections.abc import Iterable, Iterator
from math import log2
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._detr import deformable_layer
from archcalc.arch._heads import labels_of
from archcalc.arch._masks import BACKBONES, MaskSchema
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, divided, nested
from archcalc.arch._vit import as_backbone, below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, multihead, table
from archcalc.errors import UnsupportedError
from archcalc.model import Layer, Tensor, stack

SWIN = {"model_type": "swin", "depths": [2, 2, 18, 2], "out_features": ["stage1", "stage2", "stage3", "stage4"]}
LEVELS, POINTS = 3, 4  # modeling_mask2former.py: the maps that are encoded, and the places of each that are looked at


class Schema(MaskSchema):
    outcome = "picture"

    root = "model"
    inert_keys = (
        "ignore_value", "no_object_weight", "class_weight", "mask_weight", "dice_weight", "train_num_points", "oversample_ratio",
        "importance_sample_ratio", "use_auxiliary_loss", "output_auxiliary_logits", "init_xavier_std", "pre_norm",
        *BACKBONES,
    )  # fmt: skip
    other_names = {"hidden_size": "hidden_dim", "num_hidden_layers": "decoder_layers"}

    backbone_config: Annotated[TowerSchema, nested("swin", absent=SWIN), DEFAULT]
    feature_size: Size = 256
    mask_feature_size: Size = 256
    hidden_dim: Size = 256
    encoder_feedforward_dim: Size = 1024
    activation_function: str = "relu"
    encoder_layers: Layers = 6
    decoder_layers: Layers = 10
    num_attention_heads: Size = 8
    dim_feedforward: Size = 2048
    enforce_input_projection: Flag = False
    common_stride: Size = 4
    feature_strides: tuple[Size, ...] = (4, 8, 16, 32)
    num_queries: Size = 100

    @property
    def hidden_size(self) -> int:
        return self.hidden_dim

    def decoding(self) -> Layer:
        h, n = self.hidden_dim, self.num_attention_heads
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        attention = GroupedQueryAttention(
            h, n, n, divided(h, n, "hidden_dim", "num_attention_heads"), True, True, rope=False, names=names
        )
        norms = [t for name in ("self_attn", "cross_attn", "final") for t in layer_norm(f"{name}_layer_norm", h)]
        ffn = FeedForward(h, self.dim_feedforward, self.activation_function)
        return encoder_layer(attention, ffn, norms, ffn_name="", extra=multihead("cross_attn", h, n))

    def pixels(self) -> Iterator[Tensor]:
        h, widths = self.feature_size, self.channels()
        if len(widths) != LEVELS + 1:
            raise UnsupportedError(f"backbone_config gives {len(widths)} feature maps: {LEVELS + 1} are known here")
        yield Tensor("level_embed", (LEVELS, h), "embedding")
        for i, width in enumerate(widths[:0:-1]):
            yield from conv(f"input_projections.{i}.0", h, width, 1, 1, role="other")
            yield from layer_norm(f"input_projections.{i}.1", h)
        yield from conv("mask_projection", self.mask_feature_size, h, 1, 1, role="other")
        # Finer maps than those that are encoded, down to the stride that is asked for.
        finer = max(int(log2(min(self.feature_strides[-LEVELS:])) - log2(self.common_stride)), 0)
        for i, width in enumerate(widths[:finer], 1):
            for name, inner, kernel in ((f"adapter_{i}", width, 1), (f"layer_{i}", h, 3)):
                yield from conv(f"{name}.0", h, inner, kernel, kernel, bias=False, role="other")
                yield from layer_norm(f"{name}.1", h)

    def queries(self) -> Iterator[Tensor]:
        h = self.hidden_dim
        for name in ("queries_embedder", "queries_features"):
            yield table(name, self.num_queries, h)
        yield Tensor("level_embed.weight", (LEVELS, h), "embedding")
        yield from layer_norm("decoder.layernorm", h)
        for i in range(3):
            out = self.mask_feature_size if i == 2 else h
            yield from linear(f"decoder.mask_predictor.mask_embedder.{i}.0", out, h, "head", bias=True)
        if self.enforce_input_projection or self.feature_size != h:
            for i in range(LEVELS):
                yield from conv(f"input_projections.{i}", h, self.feature_size, 1, 1, role="other")

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = as_backbone(self.backbone_config, join(prefix, "pixel_level_module.encoder"))
        own = (*prefixed("pixel_level_module.decoder", self.pixels()), *prefixed("transformer_module", self.queries()))
        encodes = deformable_layer(self.feature_size, self.num_attention_heads, LEVELS, POINTS, self.encoder_feedforward_dim)
        stacks = [
            *stacks,
            stack(join(prefix, "pixel_level_module.decoder.encoder.layers"), "vision", [encodes] * self.encoder_layers),
            stack(join(prefix, "transformer_module.decoder.layers"), "vision", [self.decoding()] * (self.decoder_layers - 1)),
        ]
        return [*groups, group("vision", below(prefix, own))], stacks

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForUniversalSegmentation"):
            return linear("class_predictor", labels_of(self.model_extra or {}) + 1, self.hidden_dim, "head", bias=True)
        return super().head_of(name)
