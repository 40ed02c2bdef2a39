"""Mistral Small 3.1, Ministral 3 and Mistral Large 3: a text model of the Mistral or the DeepSeek-V3 kind, with a Pixtral tower.

Source: transformers 5.23, models/mistral3/modeling_mistral3.py and configuration_mistral3.py (defaults), conversion_mapping.py
("llava").
"""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.pixtral import Schema as Pixtral
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder

# What an absent nested config stands for: Mistral Small 3.1, not the defaults of the nested type.
TEXT: dict[str, Any] = {
    "model_type": "mistral", "hidden_size": 5120, "intermediate_size": 32768, "num_hidden_layers": 40, "num_attention_heads": 32,
    "num_key_value_heads": 8, "head_dim": 128, "max_position_embeddings": 131072, "sliding_window": None, "vocab_size": 131072,
}  # fmt: skip
VISION: dict[str, Any] = {
    "model_type": "pixtral", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
    "patch_size": 14, "hidden_act": "gelu",
}  # fmt: skip


class Schema(ConfigSchema):
    core_keys: ClassVar[tuple[str, ...]] = ("text_config", "vision_config")
    inert_keys = ("projector_hidden_act",)

    text_config: Annotated[ConfigSchema, nested("mistral"), Field(default=TEXT, validate_default=True)]
    vision_config: Annotated[Pixtral, nested("pixtral"), Field(default=VISION, validate_default=True)]
    vision_feature_layer: int | list[int] = -1
    multimodal_projector_bias: Flag = False
    spatial_merge_size: Size = 2
    tie_word_embeddings: Flag = True

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        width, hidden = self.vision_config.hidden_size, text.facts.hidden_size
        features = 1 if isinstance(self.vision_feature_layer, int) else len(self.vision_feature_layer)
        tensors = (
            rms_norm("norm", width),
            *linear("patch_merger.merging_layer", width, width * self.spatial_merge_size**2, "other"),
            *projector(("linear_1", "linear_2"), (width * features, hidden, hidden), bias=self.multimodal_projector_bias),
        )
        groups.append(group("vision", prefixed(f"{prefix}.multi_modal_projector", tensors)))
        renames = (
            ("lm_head.", "language_model.lm_head."),
            (f"{prefix}.language_model.", "language_model.model."),
            (f"{prefix}.vision_tower.", "vision_tower."),
            (f"{prefix}.multi_modal_projector.", "multi_modal_projector."),
        )
        return with_tower(text, groups, stacks, renames=renames, tied=self.tie_word_embeddings)

    def encoders(self) -> tuple[Encoder, ...]:
        """The tower's image, its patches merged."""
        return pooled(super().encoders(), self.spatial_merge_size**2)
