"""AIMv2 as CLIP: two towers of gated layers with RMSNorm, and a projection of each into one space.

Source: transformers 5.24, models/aimv2/modeling_aimv2.py (`Aimv2Model`, `Aimv2VisionModel`, `Aimv2TextModel`) and
configuration_aimv2.py (defaults); Fini et al. 2024, arXiv:2411.14402.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch import clip
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._dual import DualSchema
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, grid, head_width, patch_conv, table
from archcalc.model import Architecture, Encoder, Layer, Shard, Tensor, stack


class Tower(TowerSchema):
    """What both towers share."""

    prefix = ""

    hidden_size: Size = 1024
    intermediate_size: Size = 2816
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 8
    hidden_act: str = "silu"
    qkv_bias: Flag = False
    mlp_bias: Flag = False

    def layer(self) -> Layer:
        h, n, bias = self.hidden_size, self.num_attention_heads, self.qkv_bias
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), bias, bias, rope=False, names=names)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        norms = [rms_norm(f"rms_norm{i}", h) for i in (1, 2)]
        return encoder_layer(attention, ffn, norms, attention_name="attention", ffn_name="ffn")

    def outside(self) -> Iterator[Tensor]:
        yield rms_norm("rms_norm", self.hidden_size)

    def tower(self, prefix: str) -> Pieces:
        layers = stack(join(prefix, "encoder.layers"), "vision", [self.layer()] * self.num_hidden_layers)
        return [group("vision", below(prefix, self.outside()))], [layers]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")


class Aimv2VisionModel(Tower):
    """The vision tower of AIMv2.
    Source: transformers 5.24, models/aimv2/modeling_aimv2.py (`Aimv2VisionModel`) and configuration_aimv2.py (defaults)."""

    num_channels: Size = 3
    image_size: Size = 224
    patch_size: Size = 14
    use_head: Flag = True
    is_native: Flag = False

    def outside(self) -> Iterator[Tensor]:
        h, patch = self.hidden_size, self.patch_size
        yield from super().outside()
        yield from patch_conv("embeddings.patch_embed", h, self.num_channels, patch, patch)
        yield rms_norm("embeddings.rms_norm", h)
        if not self.is_native:
            yield table("embeddings.position_embedding", grid(self.image_size, patch), h)
        if self.use_head:
            yield Tensor("head.cls_token", (1, 1, h), "embedding")
            for name in ("k_proj", "v_proj"):
                yield from linear(f"head.{name}", h, h, "attention", bias=self.qkv_bias)
            yield from linear("head.output_proj", h, h, "attention", bias=True)


class Aimv2TextModel(Tower):
    """The text tower of AIMv2.
    Source: transformers 5.24, models/aimv2/modeling_aimv2.py (`Aimv2TextModel`) and configuration_aimv2.py (defaults)."""

    inert_keys = ("projection_dim",)

    vocab_size: Size = 49408
    hidden_size: Size = 768
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 6
    max_position_embeddings: Size = 77

    def outside(self) -> Iterator[Tensor]:
        yield from super().outside()
        words = table("embeddings.token_embedding", self.vocab_size, self.hidden_size)
        yield words._replace(shard=Shard(0, self.vocab_size))
        yield table("embeddings.position_embedding", self.max_position_embeddings, self.hidden_size)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Schema(DualSchema):
    inert_keys = (*DualSchema.inert_keys, "max_logit_scale")

    text_config: Annotated[Aimv2TextModel, nested("aimv2_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[Aimv2VisionModel, nested("aimv2_vision_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        return clip.shared(self.projection_dim, text.hidden_size, vision.hidden_size)

    def both(self, prefix: str) -> Architecture:
        a = self.vision_config.standalone()
        (groups, stacks), (more, others) = self.vision_config.tower("vision_model"), self.text_config.tower("text_model")
        own = group("other", self.extra_tensors(self.text_config, self.vision_config))
        return a._replace(groups=(*groups, *more, own), stacks=(*stacks, *others))
