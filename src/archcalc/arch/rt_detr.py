"""RT-DETR: a detector whose encoder attends within the smallest feature map alone, and mixes the others by convolutions.

Source: transformers 5.24, models/rt_detr/modeling_rt_detr.py (`RTDetrModel`, `RTDetrForObjectDetection`, `RTDetrHybridEncoder`),
modeling_rt_detr_resnet.py and their configurations (defaults); Zhao et al. 2023, arXiv:2304.08069.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from archcalc.arch import resnet
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._detr import frozen, perceptron
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._upernet import normed
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.arch.detr import DeformableDetr
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Group, Kind, Layer, Tensor, stack

RESNET = {"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4]}


class RtDetrResnet(resnet.Schema):
    """RT-DETR's ResNet: three convolutions in front, and shortcuts that average before they project.
    Source: transformers 5.24, models/rt_detr/modeling_rt_detr_resnet.py (`RTDetrResNetBackbone`) and configuration_rt_detr_resnet.py
    (defaults)."""

    name = "rt_detr_resnet"

    def layer(self, inner: int, outer: int, shortcut: bool) -> Layer:
        layer = super().layer(inner, outer, shortcut)
        # Where the image is halved, an average stands before the projection; basic layers average wherever they widen.
        if inner == outer or (
            self.layer_type == "bottleneck" and inner == self.embedding_size and not self.downsample_in_first_stage
        ):
            return layer
        return layer._replace(tensors=tuple(t._replace(name=t.name.replace("shortcut.", "shortcut.1.")) for t in layer.tensors))

    def body(self, prefix: str, named: str) -> Pieces:
        _, stages = super().body(prefix, named)
        wide = self.embedding_size
        sides = ((self.num_channels, wide // 2), (wide // 2, wide // 2), (wide // 2, wide))
        stem = (t for i, (a, b) in enumerate(sides) for t in normed(f"embedder.embedder.{i}", b, a, 3))
        own = group("vision", below(prefix, (t._replace(role="embedding") if t.role == "head" else t for t in stem)))
        if self.layer_type == "basic" and self.hidden_sizes[0] == self.embedding_size:
            # The first layer of a stage projects its shortcut whether it widens or not.
            first = stages[0]
            kept = [first.kinds[kind] for kind in first.pattern]
            stages[0] = stack(first.prefix, "vision", [self.layer(wide, wide, True), *kept[1:]])
        return [own], stages


def convolved(name: str, outer: int, inner: int, kernel: int) -> Iterator[Tensor]:
    yield from conv(f"{name}.conv", outer, inner, kernel, kernel, bias=False, role="other")
    yield from layer_norm(f"{name}.norm", outer)


class Schema(DeformableDetr):
    name = "rt_detr"
    inert_keys = (
        *DeformableDetr.inert_keys, "batch_norm_eps", "feat_strides", "positional_encoding_temperature", "eval_size", "normalize_before",
        "label_noise_ratio", "box_noise_scale", "with_box_refine", "matcher_alpha", "matcher_gamma", "matcher_class_cost",
        "matcher_bbox_cost", "matcher_giou_cost", "use_focal_loss", "focal_loss_alpha", "focal_loss_gamma", "weight_loss_vfl",
        "weight_loss_bbox", "weight_loss_giou", "encoder_activation_function", "decoder_activation_function", "anchor_image_size",
        "initializer_bias_prior_prob", "decoder_offset_scale", "decoder_method",
    )  # fmt: skip

    backbone_config: Annotated[TowerSchema, nested("rt_detr_resnet", absent=RESNET), DEFAULT]
    freeze_backbone_batch_norms: Flag = True
    encoder_hidden_dim: Size = 256
    encoder_in_channels: tuple[Size, ...] = (512, 1024, 2048)
    encoder_layers: Layers = 1
    encode_proj_layers: tuple[Count, ...] = (2,)
    activation_function: str = "silu"
    hidden_expansion: float = 1.0
    decoder_in_channels: tuple[Size, ...] = (256, 256, 256)
    decoder_ffn_dim: Size = 1024
    num_feature_levels: Size = 3
    num_denoising: Count = 100
    learn_initial_query: Flag = False

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    def mixing(self, name: str) -> Iterator[Tensor]:
        """Two paths of convolutions over two feature maps side by side (`RTDetrCSPRepLayer`)."""
        h = self.encoder_hidden_dim
        inside = int(h * self.hidden_expansion)
        for path in ("conv1", "conv2"):
            yield from convolved(f"{name}.{path}", inside, 2 * h, 1)
        for i in range(3):
            yield from convolved(f"{name}.bottlenecks.{i}.conv1", inside, inside, 3)
            yield from convolved(f"{name}.bottlenecks.{i}.conv2", inside, inside, 1)
        if inside != h:
            yield from convolved(f"{name}.conv3", h, inside, 1)

    def outside(self) -> Iterator[Tensor]:
        h, d, labels = self.encoder_hidden_dim, self.d_model, self.labels()
        for i, width in enumerate(self.channels()):
            yield from conv(f"encoder_input_proj.{i}.0", h, width, 1, 1, bias=False)
            yield from layer_norm(f"encoder_input_proj.{i}.1", h)
        for i in range(len(self.encoder_in_channels) - 1):
            yield from convolved(f"encoder.lateral_convs.{i}", h, h, 1)
            yield from self.mixing(f"encoder.fpn_blocks.{i}")
            yield from convolved(f"encoder.downsample_convs.{i}", h, h, 3)
            yield from self.mixing(f"encoder.pan_blocks.{i}")
        if self.num_denoising:
            yield table("denoising_class_embed", labels + 1, d)
        if self.learn_initial_query:
            yield table("weight_embedding", self.num_queries, d)
        yield from linear("enc_output.0", d, d, "other", bias=True)
        yield from layer_norm("enc_output.1", d)
        yield from linear("enc_score_head", labels, d, "head", bias=True)
        yield from perceptron("enc_bbox_head", d, 4)
        inner = self.decoder_in_channels
        kernels = [(width, 1) for width in inner] + [
            (inner[-1] if i == 0 else d, 3) for i in range(self.num_feature_levels - len(inner))
        ]
        for i, (width, kernel) in enumerate(kernels):
            yield from conv(f"decoder_input_proj.{i}.0", d, width, kernel, kernel, bias=False)
            yield from layer_norm(f"decoder_input_proj.{i}.1", d)
        yield from perceptron("decoder.query_pos_head", 2 * d, d, 2, inner=4)

    def replaced(self, t: Tensor, decodes: bool) -> bool:
        return False

    def instead(self, decodes: bool) -> Iterable[Tensor]:
        return ()

    def body(self, prefix: str, named: str) -> Pieces:
        where = join(prefix, "backbone.model")
        groups, stacks = (
            frozen(self.backbone_config, where) if self.freeze_backbone_batch_norms else self.backbone_config.tower(where)
        )
        inside = self.model_copy(update={"d_model": self.encoder_hidden_dim})
        encodes = inside.layer(self.encoder_attention_heads, self.encoder_ffn_dim, decodes=False)
        for i in range(len(self.encode_proj_layers)):
            stacks.append(stack(join(prefix, f"encoder.aifi.{i}.layers"), "vision", [encodes] * self.encoder_layers))
        decodes = self.layer(self.decoder_attention_heads, self.decoder_ffn_dim, decodes=True)
        stacks.append(stack(join(prefix, "decoder.layers"), "vision", [decodes] * self.decoder_layers))
        heads: list[Group] = []
        if named.endswith("ForObjectDetection"):
            made = (t for i in range(self.decoder_layers) for t in self.found(i))
            heads.append(group("head", below(prefix, made)))
        return [*groups, group("vision", below(prefix, self.outside())), *heads], stacks

    def found(self, layer: int) -> Iterator[Tensor]:
        yield from linear(f"decoder.class_embed.{layer}", self.labels(), self.d_model, "head", bias=True)
        yield from perceptron(f"decoder.bbox_embed.{layer}", self.d_model, 4)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        return () if name.endswith("ForObjectDetection") else super(DeformableDetr, self).head_of(name)


class RtDetrV2(Schema):
    """RT-DETR v2: RT-DETR whose queries choose as many places on each feature map as they like.
    Source: transformers 5.24, models/rt_detr_v2/modeling_rt_detr_v2.py (`RTDetrV2ForObjectDetection`) and configuration_rt_detr_v2.py
    (defaults); Lv et al. 2024, arXiv:2407.17140."""

    name = "rt_detr_v2"

    decoder_n_levels: Size = 3

    def levels(self) -> int:
        return self.decoder_n_levels

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if not name.endswith("ForObjectDetection"):
            return super().head_of(name)
        # The heads of the decoder's layers again.
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        made = (t for i in range(self.decoder_layers) for t in self.found(i))
        return [t._replace(name=t.name.removeprefix("decoder."), kind=kind) for t in made]
