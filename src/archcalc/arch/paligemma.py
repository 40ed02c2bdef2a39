"""PaliGemma 1 and 2: Gemma with SigLIP and one linear layer between them.

Source: transformers 5.23, models/paligemma/modeling_paligemma.py and configuration_paligemma.py (defaults), conversion_mapping.py
("llava").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, LLAVA, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor

# What absent nested configs stand for.
TEXT = {
    "hidden_size": 2048, "num_hidden_layers": 18, "intermediate_size": 16384, "num_attention_heads": 8, "num_key_value_heads": 1,
    "vocab_size": 257152,
}  # fmt: skip
SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 4096, "patch_size": 14, "image_size": 224, "num_hidden_layers": 27,
    "num_attention_heads": 16, "vision_use_head": False,
}  # fmt: skip


class Schema(VisionSchema):
    inert_keys = ("ignore_index",)
    renames = LLAVA

    text_config: Annotated[ConfigSchema, nested("gemma", absent=TEXT), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", absent=SIGLIP), DEFAULT]
    # The projector's output; the vision config's own key of this name is overwritten with it.
    projection_dim: Size = 2048
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("linear",), (width, self.projection_dim))
