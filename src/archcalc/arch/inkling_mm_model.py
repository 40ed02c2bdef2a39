"""Inkling with its vision and audio towers. The head is never tied.

Source: transformers 5.23, models/inkling/modeling_inkling.py (`InklingForConditionalGeneration`) and configuration_inkling.py (defaults;
the towers' output is the text model's width).
"""

from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, moved
from archcalc.arch._inkling import RENAMES
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.inkling_audio import Schema as Audio
from archcalc.arch.inkling_vision import Schema as Vision
from archcalc.model import Architecture

# What the published checkpoint calls the parts.
CHECKPOINT = (
    ("model.audio_tower.embed_audio_tokens.embed_audio_tokens.", "model.audio.encoder."),
    ("model.audio_tower.norm.", "model.audio.final_norm."),
    ("model.vision_tower.", "model.visual."),
    *moved(RENAMES),
)

MTP = (
    ("num_nextn_predict_layers", "num_mtp_layers"),
    ("chain_hidden_post_norm", "chain_hidden_post_norm"),
    ("local_layer_ids", "mtp_local_layer_ids"),
)


class Schema(CompositeSchema):
    inert_keys = ("mtp_config",)
    renames = CHECKPOINT
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("inkling_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("inkling_vision", fixed=True), DEFAULT]
    audio_config: Annotated[Audio, nested("inkling_audio", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Checkpoints state the text model's MTP layers beside it."""
        mtp = config.get("mtp_config")
        text = config.get("text_config") if mtp else None
        if not isinstance(mtp, dict) or not isinstance(text, dict):
            return config
        return {**config, "text_config": {**{ours: mtp[key] for key, ours in MTP if key in mtp}, **text}}

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        width = {"text_hidden_size": text.facts.hidden_size}
        audio, _ = self.audio_config.model_copy(update=width).tower(f"{prefix}.audio_tower")
        vision, layers = self.vision_config.model_copy(update=width).tower(f"{prefix}.vision_tower")
        return audio + vision, layers
