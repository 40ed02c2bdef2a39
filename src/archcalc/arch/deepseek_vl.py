"""DeepSeek-VL, the small one: Llama with SigLIP and two linear layers between them.

Source: transformers 5.23, models/deepseek_vl/modeling_deepseek_vl.py and configuration_deepseek_vl.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import Flag, TowerSchema, nested
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    tower_name = "vision_model"
    projector_name = "aligner"

    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, wide: int, hidden: int) -> Iterable[Tensor]:
        return projector(("linear1", "linear2"), (wide, hidden, hidden))
