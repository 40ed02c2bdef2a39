"""SAM: an image encoder, an encoder of points, boxes and masks, and a small decoder that draws masks.

Source: transformers 5.24, models/sam/modeling_sam.py (`SamModel`) and configuration_sam.py (defaults); Kirillov et al. 2023,
arXiv:2304.02643.
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import got_ocr2_vision
from archcalc.arch._composite import DEFAULT, Pieces, Sides
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, divided, nested
from archcalc.arch._whisper import conv
from archcalc.arch.clipseg import transposed
from archcalc.arch.got_ocr2_vision import SamVisionModel
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Kind, Layer, Tensor, stack


class SamPromptEncoder(ConfigSchema):
    """What is asked for. Source: transformers 5.24, models/sam/modeling_sam.py (`SamPromptEncoder`)."""

    name = "sam_prompt_encoder"
    language = False
    inert_keys = ("image_size", "patch_size", "hidden_act", "image_embedding_size")

    hidden_size: Size = 256
    image_size: Sides = 1024
    mask_input_channels: Size = 16
    num_point_embeddings: Layers = 4

    def tensors(self, feats: int, kind: Kind) -> Iterator[Tensor]:
        h, wide = self.hidden_size, self.mask_input_channels
        yield Tensor("shared_embedding.positional_embedding", (2, feats), "embedding", kind=kind)
        yield from conv("mask_embed.conv1", wide // 4, 1, 2, 2, role="other")
        yield from conv("mask_embed.conv2", wide, wide // 4, 2, 2, role="other")
        yield from conv("mask_embed.conv3", h, wide, 1, 1, role="other")
        yield from layer_norm("mask_embed.layer_norm1", wide // 4)
        yield from layer_norm("mask_embed.layer_norm2", wide // 4 * 4)
        for name in ("no_mask_embed", "not_a_point_embed", *(f"point_embed.{i}" for i in range(self.num_point_embeddings))):
            yield table(name, 1, h)


class SamMaskDecoder(ConfigSchema):
    """What draws masks. Source: transformers 5.24, models/sam/modeling_sam.py (`SamMaskDecoder`)."""

    name = "sam_mask_decoder"
    language = False
    inert_keys = ("hidden_act",)

    hidden_size: Size = 256
    mlp_dim: Size = 2048
    num_hidden_layers: Layers = 2
    num_attention_heads: Size = 8
    attention_downsample_rate: Size = 2
    num_multimask_outputs: Layers = 3
    iou_head_depth: Layers = 3
    iou_head_hidden_dim: Size = 256

    def attention(self, name: str, rate: int) -> Iterator[Tensor]:
        h, inner = self.hidden_size, self.hidden_size // rate
        divided(inner, self.num_attention_heads, "hidden_size / attention_downsample_rate", "num_attention_heads")
        for side in ("q_proj", "k_proj", "v_proj"):
            yield from linear(f"{name}.{side}", inner, h, "attention", bias=True)
        yield from linear(f"{name}.out_proj", h, inner, "attention", bias=True)

    def layer(self) -> Layer:
        h, wide, rate = self.hidden_size, self.mlp_dim, 2  # whatever the config says: that is the last attention's
        tensors = (
            *self.attention("self_attn", 1), *self.attention("cross_attn_token_to_image", rate),
            *self.attention("cross_attn_image_to_token", rate), *linear("mlp.lin1", wide, h, "mlp", bias=True),
            *linear("mlp.lin2", h, wide, "mlp", bias=True), *(t for i in (1, 2, 3, 4) for t in layer_norm(f"layer_norm{i}", h)),
        )  # fmt: skip
        return Layer(f"MHA both ways ({self.num_attention_heads})", f"FFN {wide}", tensors, (), (), 0, 4 * h, 2 * wide)

    def network(self, name: str, depth: int, inside: int, out: int) -> Iterator[Tensor]:
        yield from linear(f"{name}.proj_in", inside, self.hidden_size, "head", bias=True)
        yield from linear(f"{name}.proj_out", out, inside, "head", bias=True)
        for i in range(depth - 2):
            yield from linear(f"{name}.layers.{i}", inside, inside, "head", bias=True)

    def outside(self) -> Iterator[Tensor]:
        h, masks = self.hidden_size, self.num_multimask_outputs + 1
        yield table("iou_token", 1, h)
        yield table("mask_tokens", masks, h)
        yield from self.attention("transformer.final_attn_token_to_image", self.attention_downsample_rate)
        yield from layer_norm("transformer.layer_norm_final_attn", h)
        yield from transposed("upscale_conv1", h, h // 4, 2)
        yield from transposed("upscale_conv2", h // 4, h // 8, 2)
        yield from layer_norm("upscale_layer_norm", h // 4)
        for i in range(masks):
            yield from self.network(f"output_hypernetworks_mlps.{i}", 3, h, h // 8)
        yield from self.network("iou_prediction_head", self.iou_head_depth, self.iou_head_hidden_dim, masks)


class Schema(TowerSchema):
    alone = "a model without text: it keeps no cache"

    vision_config: Annotated[SamVisionModel, nested("sam_vision_model", fixed=True), DEFAULT]
    prompt_encoder_config: Annotated[SamPromptEncoder, nested("sam_prompt_encoder", fixed=True), DEFAULT]
    mask_decoder_config: Annotated[SamMaskDecoder, nested("sam_mask_decoder", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True

    @property
    def hidden_size(self) -> int:
        return self.vision_config.hidden_size

    def tower(self, prefix: str) -> Pieces:
        vision, decoder = self.vision_config, self.mask_decoder_config
        groups, stacks = got_ocr2_vision.Schema.tower(vision, "vision_encoder")
        beside = (
            Tensor("shared_image_embedding.positional_embedding", (2, vision.num_pos_feats), "embedding"),
            *prefixed(
                "prompt_encoder",
                self.prompt_encoder_config.tensors(vision.num_pos_feats, "tied" if self.tie_word_embeddings else "param"),
            ),
            *prefixed("mask_decoder", decoder.outside()),
        )
        layers = stack("mask_decoder.transformer.layers", "vision", [decoder.layer()] * decoder.num_hidden_layers)
        return [*groups, group("vision", beside)], [*stacks, layers]

    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture("")
