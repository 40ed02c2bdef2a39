"""SAM 2: Hiera, whose stages a neck joins, an encoder of points, boxes and masks, and SAM's decoder that draws masks.

Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2Model`, `Sam2HieraDetModel`, `Sam2MaskDecoder`) and configuration_sam2.py
(defaults); Ravi et al. 2024, arXiv:2408.00714.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch import sam
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Size, TowerSchema, nested
from archcalc.arch._vit import AloneSchema
from archcalc.arch._whisper import conv
from archcalc.arch.sam_mask_decoder import Sam2MaskDecoder as MaskDecoder
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Encoder, Tensor, stack

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


class Sam2PromptEncoder(sam.SamPromptEncoder):
    """What is asked for. Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2PromptEncoder`)."""

    inert_keys = (*sam.SamPromptEncoder.inert_keys, "scale")

    def asked(self) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.mask_input_channels
        yield from conv("mask_embed.conv1", width // 4, 1, 2, 2, role="other")
        yield from conv("mask_embed.conv2", width, width // 4, 2, 2, role="other")
        yield from conv("mask_embed.conv3", h, width, 1, 1, role="other")
        yield from layer_norm("mask_embed.layer_norm1", width // 4)
        yield from layer_norm("mask_embed.layer_norm2", width)
        for name, rows in (("no_mask_embed", 1), ("point_embed", self.num_point_embeddings), ("not_a_point_embed", 1)):
            yield table(name, rows, h)


class Schema(AloneSchema):
    outcome = "picture"

    alone = "a model that cuts out of an image what is pointed at: it writes no text and keeps no cache"
    root = ""

    vision_config: Annotated[TowerSchema, nested("sam2_vision_model"), DEFAULT]
    prompt_encoder_config: Annotated[Sam2PromptEncoder, nested("sam2_prompt_encoder", fixed=True), DEFAULT]
    mask_decoder_config: Annotated[MaskDecoder, nested("sam2_mask_decoder", fixed=True), DEFAULT]
    tie_word_embeddings: Flag = False

    @property
    def hidden_size(self) -> int:
        return int(getattr(self.vision_config, "hidden_size", 0))

    def extras(self) -> Iterator[Tensor]:
        yield Tensor("no_memory_embedding", (1, 1, int(getattr(self.vision_config, "fpn_hidden_size", 256))), "other")

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = self.vision_config.tower("vision_encoder")
        asked, drawn = self.prompt_encoder_config, self.mask_decoder_config
        own = (*self.extras(), *prefixed("prompt_encoder", asked.asked()), *prefixed("mask_decoder", drawn.outside()))
        layers = stack("mask_decoder.transformer.layers", "other", [drawn.layer()] * drawn.num_hidden_layers)
        return [*groups, group("other", own)], [*stacks, layers]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
