"""ViTPose: a ViT, and a head that gives a map for each joint.

Source: transformers 5.24, models/vitpose/modeling_vitpose.py (`VitPoseForPoseEstimation`, `VitPoseSimpleDecoder`,
`VitPoseClassicDecoder`) and configuration_vitpose.py (defaults); Xu et al. 2022, arXiv:2204.12484.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, Sides
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._vit import BERT_NAMES, AloneSchema, ViTSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width
from archcalc.errors import ConfigError
from archcalc.model import Encoder, Layer, Tensor


class VitposeBackbone(ViTSchema):
    """ViTPose's ViT; in ViTPose++ a part of each FFN's output is a data set's own.
    Source: transformers 5.24, models/vitpose_backbone/modeling_vitpose_backbone.py (`VitPoseBackbone`, `VitPoseBackboneMoeMLP`) and
    configuration_vitpose_backbone.py (defaults)."""

    root = ""
    layers_name = "encoder.layer"

    image_size: Sides = (256, 192)
    patch_size: Sides = (16, 16)
    mlp_ratio: Size = 4
    num_experts: Layers = 1
    part_features: Size = 256

    def layer(self) -> Layer:
        h, n, width, sets = self.hidden_size, self.num_attention_heads, self.mlp_ratio * self.hidden_size, self.num_experts
        if sets > 1 and self.part_features >= h:
            raise ConfigError(
                f"part_features is {self.part_features}, and hidden_size {h}", "correct one of the two", "part_features"
            )
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), self.qkv_bias, True, names=BERT_NAMES)
        norms = (*layer_norm("layernorm_before", h), *layer_norm("layernorm_after", h))
        layer = encoder_layer(attention, FeedForward(h, width, self.hidden_act), norms, attention_name="")
        if sets == 1:
            return layer
        # Each data set has rows of its own; of a picture one set is read.
        kept = tuple(t for t in layer.tensors if not t.name.startswith("mlp.fc2"))
        own = [t for i in range(sets) for t in linear(f"mlp.experts.{i}", self.part_features, width, "mlp", bias=True)]
        return layer._replace(tensors=(*kept, *linear("mlp.fc2", h - self.part_features, width, "mlp", bias=True), *own))

    def tokens(self, named: str) -> Iterator[Tensor]:
        return iter(())


class Schema(AloneSchema):
    alone = "a model that estimates poses: it keeps no cache"
    root = ""
    inert_keys = (
        "scale_factor", "use_pretrained_backbone", "use_timm_backbone", "backbone", "backbone_kwargs",
    )  # fmt: skip

    backbone_config: Annotated[TowerSchema, nested("vitpose_backbone"), DEFAULT]
    use_simple_decoder: Flag = True

    @property
    def hidden_size(self) -> int:
        return int(getattr(self.backbone_config, "hidden_size", 0))

    @property
    def num_attention_heads(self) -> int:
        return int(getattr(self.backbone_config, "num_attention_heads", 0))

    def body(self, prefix: str, named: str) -> Pieces:
        return self.backbone_config.pieces("backbone", "Backbone")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForPoseEstimation"):
            return super().head_of(name)
        labels, h = labels_of(self.model_extra or {}), self.hidden_size
        if self.use_simple_decoder:
            return conv("head.conv", labels, h, 3, 3, role="head")
        made = list[Tensor]()
        for i, inner in ((1, h), (2, 256)):
            made.append(Tensor(f"head.deconv{i}.weight", (inner, 256, 4, 4), "head"))
            made += layer_norm(f"head.batchnorm{i}", 256)
        return [*made, *conv("head.conv", labels, 256, 1, 1, role="head")]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
