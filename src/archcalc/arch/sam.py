"""SAM: an image encoder, an encoder of points, boxes and masks, and a small decoder that draws masks.

Source: transformers 5.24, models/sam/modeling_sam.py (`SamModel`) and configuration_sam.py (defaults); Kirillov et al. 2023,
arXiv:2304.02643.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from archcalc.arch import got_ocr2_vision
from archcalc.arch._composite import DEFAULT, Pieces, Sides
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._whisper import conv
from archcalc.arch.got_ocr2_vision import SamVisionModel
from archcalc.arch.sam_mask_decoder import Schema as MaskDecoder
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Kind, Tensor, stack


class SamPromptEncoder(ConfigSchema):
    """What is asked for. Source: transformers 5.24, models/sam/modeling_sam.py (`SamPromptEncoder`)."""

    language = False
    inert_keys: ClassVar[tuple[str, ...]] = ("patch_size", "image_embedding_size")

    hidden_size: Size = 256
    image_size: Sides = 1024
    mask_input_channels: Size = 16
    num_point_embeddings: Layers = 4

    def tensors(self, feats: int, kind: Kind) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.mask_input_channels
        yield Tensor("shared_embedding.positional_embedding", (2, feats), "embedding", kind=kind)
        yield from conv("mask_embed.conv1", width // 4, 1, 2, 2, role="other")
        yield from conv("mask_embed.conv2", width, width // 4, 2, 2, role="other")
        yield from conv("mask_embed.conv3", h, width, 1, 1, role="other")
        yield from layer_norm("mask_embed.layer_norm1", width // 4)
        yield from layer_norm("mask_embed.layer_norm2", width // 4 * 4)
        for name in ("no_mask_embed", "not_a_point_embed", *(f"point_embed.{i}" for i in range(self.num_point_embeddings))):
            yield table(name, 1, h)


class Schema(TowerSchema):
    outcome = "picture"

    prefix = ""
    alone = "a model without text: it keeps no cache"

    vision_config: Annotated[SamVisionModel, nested("sam_vision_model", fixed=True), DEFAULT]
    prompt_encoder_config: Annotated[SamPromptEncoder, nested("sam_prompt_encoder", fixed=True), DEFAULT]
    mask_decoder_config: Annotated[MaskDecoder, nested("sam_mask_decoder", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = True

    @property
    def hidden_size(self) -> int:
        return self.vision_config.hidden_size

    def tower(self, prefix: str) -> Pieces:
        vision, decoder = self.vision_config, self.mask_decoder_config
        groups, stacks = got_ocr2_vision.Schema.tower(vision, "vision_encoder")
        others = (
            Tensor("shared_image_embedding.positional_embedding", (2, vision.num_pos_feats), "embedding"),
            *prefixed(
                "prompt_encoder",
                self.prompt_encoder_config.tensors(vision.num_pos_feats, "tied" if self.tie_word_embeddings else "param"),
            ),
            *prefixed("mask_decoder", decoder.outside()),
        )
        layers = stack("mask_decoder.transformer.layers", "vision", [decoder.layer()] * decoder.num_hidden_layers)
        return [*groups, group("vision", others)], [*stacks, layers]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")
