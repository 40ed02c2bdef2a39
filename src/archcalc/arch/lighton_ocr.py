"""LightOn-OCR: Qwen 3 with Pixtral's tower, whose patches are merged as in Mistral Small 3.1.

Source: transformers 5.23, models/lighton_ocr/modeling_lighton_ocr.py and configuration_lighton_ocr.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor

# What absent nested configs stand for.
TEXT = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 8,
    "head_dim": 128, "max_position_embeddings": 40960, "sliding_window": None, "vocab_size": 151936,
}  # fmt: skip
PIXTRAL = {
    "hidden_act": "silu", "hidden_size": 1024, "intermediate_size": 4096, "num_attention_heads": 16, "num_hidden_layers": 24,
    "patch_size": 14,
}  # fmt: skip


class Schema(VisionSchema):
    tower_name = "vision_encoder"
    projector_name = "vision_projection"

    text_config: Annotated[ConfigSchema, nested("qwen3", absent=TEXT), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("pixtral", absent=PIXTRAL), DEFAULT]
    spatial_merge_size: Size = 2
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield rms_norm("norm", width)
        yield from linear("patch_merger.merging_layer", width, width * self.spatial_merge_size**2, "other")
        yield from projector(("linear_1", "linear_2"), (width, hidden, hidden), bias=False)

    def encoders(self) -> tuple[Encoder, ...]:
        """The tower's image, its patches merged."""
        return pooled(super().encoders(), self.spatial_merge_size**2)
