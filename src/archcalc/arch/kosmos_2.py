"""Kosmos-2: a decoder that reads an image as latent queries that attended to its patches.

Source: transformers 5.23, models/kosmos2/modeling_kosmos2.py (`Kosmos2ForConditionalGeneration`) and configuration_kosmos2.py
(defaults; tied where either config says so).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, width_of
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import Flag, Size, TowerSchema, nested
from archcalc.arch.kosmos_2_text_model import NAMES
from archcalc.arch.kosmos_2_text_model import Schema as Text
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.cross import CrossAttention
from archcalc.model import Architecture, Encoder, Tensor


class Schema(CompositeSchema):
    prefix = "model"
    prefix = ""
    text_name = "text_model"
    ties = "either"

    text_config: Annotated[Text, nested("kosmos_2_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("kosmos_2_vision_model", fixed=True), DEFAULT]
    latent_query_num: Size = 64
    tie_word_embeddings: Flag | None = True

    def text(self, prefix: str) -> Architecture:
        return self.text_config.architecture(join(prefix, "text_model"))

    def projection(self) -> Iterable[Tensor]:
        h, heads = self.text_config.hidden_size, self.text_config.num_attention_heads
        yield Tensor("latent_query", (self.latent_query_num, h), "embedding")
        yield from linear("dense", h, width_of(self.vision_config), "other", bias=True)
        yield from prefixed("x_attn", CrossAttention(h, heads, self.text_config.head_size, names=NAMES).tensors())

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        return [*groups, group("vision", prefixed(join(prefix, "image_to_text_projection"), self.projection()))], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, read by the queries."""
        return pooled(super().encoders(), tokens=self.latent_query_num)
