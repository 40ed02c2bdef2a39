"""RT-DETR: a detector whose encoder attends within the smallest feature map alone, and mixes the others by convolutions.

Source: transformers 5.24, models/rt_detr/modeling_rt_detr.py (`RTDetrModel`, `RTDetrForObjectDetection`, `RTDetrHybridEncoder`),
modeling_rt_detr_resnet.py and their configurations (defaults); Zhao et al. 2023, arXiv:2304.08069.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from archcalc.arch import deformable_detr
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._csp import pyramid
from archcalc.arch._decoder import group, join
from archcalc.arch._detr import frozen, perceptron
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Group, Tensor, stack

RESNET = {"model_type": "rt_detr_resnet", "out_indices": [2, 3, 4]}


class Schema(deformable_detr.Schema):
    inert_keys = (
        *deformable_detr.Schema.inert_keys, "batch_norm_eps", "feat_strides", "positional_encoding_temperature", "eval_size",
        "normalize_before", "label_noise_ratio", "box_noise_scale", "with_box_refine", "matcher_alpha", "matcher_gamma",
        "matcher_class_cost", "matcher_bbox_cost", "matcher_giou_cost", "use_focal_loss", "focal_loss_alpha", "focal_loss_gamma",
        "weight_loss_vfl", "weight_loss_bbox", "weight_loss_giou", "encoder_activation_function", "decoder_activation_function",
        "anchor_image_size", "initializer_bias_prior_prob", "decoder_offset_scale", "decoder_method",
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
    num_feature_levels: Layers = 3
    num_denoising: Count = 100
    learn_initial_query: Flag = False

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return config

    def outside(self) -> Iterator[Tensor]:
        h, d, labels = self.encoder_hidden_dim, self.d_model, self.labels()
        for i, width in enumerate(self.channels()):
            yield from conv(f"encoder_input_proj.{i}.0", h, width, 1, 1, bias=False)
            yield from layer_norm(f"encoder_input_proj.{i}.1", h)
        yield from pyramid(len(self.encoder_in_channels), h, int(h * self.hidden_expansion))
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
        return () if name.endswith("ForObjectDetection") else super(deformable_detr.Schema, self).head_of(name)
