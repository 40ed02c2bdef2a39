"""Inkling 2 with its vision tower. The head is never tied.

Source: transformers 5.23, models/inkling2/modeling_inkling2.py (`Inkling2ForConditionalGeneration`) and configuration_inkling2.py
(defaults).
"""

from typing import Annotated, ClassVar

from archcalc.arch import inkling2_loop_text
from archcalc.arch._composite import DEFAULT, VisionSchema, moved
from archcalc.arch._inkling import RENAMES
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.inkling2_vision import Schema as Vision
from archcalc.errors import ConfigError
from archcalc.model import Architecture

# What the published checkpoint calls the parts.
CHECKPOINT = (
    ("model.vision_tower.embeddings.position_embedding.weight", "model.visual.backbone.embeddings.position_embedding"),
    ("model.vision_tower.pre_layernorm.", "model.visual.backbone.ln_pre."),
    ("model.vision_tower.merger.linear_1.", "model.visual.proj_in."),
    ("model.vision_tower.merger.linear_2.", "model.visual.proj_out."),
    ("model.vision_tower.", "model.visual.backbone."),
    *moved(RENAMES),
    (".layernorm_before.", ".ln_1."),
    (".layernorm_after.", ".ln_2."),
    (".mlp.fc1.", ".mlp.c_fc."),
    (".mlp.fc2.", ".mlp.c_proj."),
    (".lambda_1", ".ls_1.gamma"),
    (".lambda_2", ".ls_2.gamma"),
)


class Schema(VisionSchema):
    ties = "never"

    renames: ClassVar[tuple[tuple[str, str], ...]] = CHECKPOINT

    text_config: Annotated[ConfigSchema, nested("inkling2_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("inkling2_vision", fixed=True), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.vision_config.text_hidden_size != a.facts.hidden_size:
            key = "vision_config.text_hidden_size"
            raise ConfigError(f"{key} is not text_config.hidden_size ({a.facts.hidden_size})", "make them equal", key)
        return a


class Inkling2Loop(Schema):
    """Inkling 2 Mini with Inkling 2's vision tower.
    Source: transformers 5.24, models/inkling2_loop/modeling_inkling2_loop.py and configuration_inkling2_loop.py (defaults).
    """

    renames = (*inkling2_loop_text.RENAMES[:4], *CHECKPOINT)

    text_config: Annotated[ConfigSchema, nested("inkling2_loop_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("inkling2_vision", fixed=True, absent={"text_hidden_size": 2304}, merged=True), DEFAULT]
