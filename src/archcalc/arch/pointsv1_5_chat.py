"""POINTS 1.5: Qwen 2.5 with Qwen2-VL's tower, and a merger of its own behind the tower's.

Source: SGLang 0.5.23, srt/models/points_v15_chat.py (`POINTSV15ChatModel`: names, modules; its merger takes 1280 channels) and
srt/configs/points_v15_chat.py.
"""

from typing import Annotated

from pydantic import AliasChoices, Field

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, head_below
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.qwen2_vl_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture

WIDE = 1280


class Schema(CompositeSchema):
    core_keys = ("llm_config", "vision_config")
    ties = "stated"

    text_config: Annotated[
        ConfigSchema, nested("qwen2", fixed=True), Field(validation_alias=AliasChoices("llm_config", "text_config"))
    ]
    vision_config: Annotated[Vision, nested("qwen2_vl_vision", fixed=True), DEFAULT]

    def text(self, prefix: str) -> Architecture:
        return head_below(self.text_config.architecture("llm.model"), "llm")

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.vision_config.tower("vision_encoder")
        joined = WIDE * self.vision_config.spatial_merge_size**2
        merger = (
            *layer_norm("vision_projector.ln_q", WIDE),
            *linear("vision_projector.mlp.0", joined, joined, "other", bias=True),
            *linear("vision_projector.mlp.2", text.facts.hidden_size, joined, "other", bias=True),
        )
        return [*groups, group("vision", merger)], stacks
