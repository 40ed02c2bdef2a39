"""GLM-Image: GLM-4.1V's text model that gives codes of images, with a tower and a quantizer that read images into such codes.

Source: transformers 5.24, models/glm_image/modeling_glm_image.py (`GlmImageForConditionalGeneration`) and configuration_glm_image.py
(defaults; the head has a row for each code).
"""

from typing import Annotated

from archcalc.arch import glm4v_text
from archcalc.arch._composite import DEFAULT, Pieces, Sides, VisionSchema, both
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, TowerSchema, nested
from archcalc.arch._whisper import conv
from archcalc.arch.qwen2_vl_vision import Schema as QwenVision
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width, patch_conv, table
from archcalc.model import Architecture, Shard, stack


class GlmImageText(glm4v_text.Schema):
    """The text model of GLM-Image, whose head gives codes of images alone.
    Source: transformers 5.24, models/glm_image/modeling_glm_image.py (`GlmImageTextModel`) and configuration_glm_image.py (defaults)."""

    core_keys = ()

    vocab_size: Size = 168064
    max_position_embeddings: Tokens = 131072
    vision_vocab_size: Size = 16512

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, False

    def architecture(self, prefix: str) -> Architecture:
        a, rows = super().architecture(prefix), self.vision_vocab_size
        return a._replace(
            groups=tuple(
                g._replace(tensors=tuple(t._replace(shape=(rows, t.shape[1]), shard=Shard(0, rows)) for t in g.tensors))
                if g.part == "head"
                else g
                for g in a.groups
            )
        )


class GlmImageVision(QwenVision):
    """The vision tower of GLM-Image: a ViT whose positions are a table, without a merger.
    Source: transformers 5.24, models/glm_image/modeling_glm_image.py (`GlmImageVisionModel`) and configuration_glm_image.py (defaults)."""

    depth: Layers = 40
    hidden_size: Size = 1536
    hidden_act: str = "gelu"
    attention_bias: Flag = True
    num_heads: Size = 16
    image_size: Sides = 2048
    patch_size: Size = 16
    spatial_merge_size: Size = 1
    intermediate_size: Size = 6144

    def tower(self, prefix: str) -> Pieces:
        h, n, patch, (height, width) = self.hidden_size, self.num_heads, self.patch_size, both(self.image_size)
        bias = self.attention_bias
        attention = GroupedQueryAttention(h, n, n, head_width(h, n), bias, bias, fused="qkv", names=("", "", "", "proj"))
        norms = (*layer_norm("norm1", h), *layer_norm("norm2", h))
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms, attention_name="attn")
        outside = (
            *patch_conv("patch_embed.proj", h, self.in_channels, patch, patch),
            table("embeddings.position_embedding", (height // patch) * (width // patch), h),
        )
        layers = stack(join(prefix, "blocks"), "vision", [layer] * self.depth)
        return [group("vision", prefixed(prefix, outside))], [layers]


class GlmImageVqmodel(TowerSchema):
    """The quantizer of GLM-Image.
    Source: transformers 5.24, models/glm_image/modeling_glm_image.py (`GlmImageVQVAE`) and configuration_glm_image.py (defaults)."""

    inert_keys = ("in_channels",)

    embed_dim: Size = 2048
    num_embeddings: Size = 16384
    latent_channels: Size = 1536

    def tower(self, prefix: str) -> Pieces:
        e, latent = self.embed_dim, self.latent_channels
        tensors = (
            table("quantize.embedding", self.num_embeddings, e), *conv("quant_conv", e, latent, 1, 1, role="other"),
            *conv("post_quant_conv", latent, e, 1, 1, role="other"),
        )  # fmt: skip
        return [group("vision", prefixed(prefix, tensors))], []


class Schema(VisionSchema):
    tower_name = "visual"

    text_config: Annotated[ConfigSchema, nested("glm_image_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("glm_image_vision", fixed=True), DEFAULT]
    vq_config: Annotated[TowerSchema, nested("glm_image_vqmodel", fixed=True), DEFAULT]

    def tied(self, text: Architecture) -> bool:
        return False  # the head gives codes of images, and the table holds words

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        return groups + self.vq_config.tower(f"{prefix}.vqmodel")[0], stacks
