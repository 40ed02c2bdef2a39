"""HyperCLOVA X SEED Think with vision: HyperCLOVA X with Qwen2.5-VL's tower and one linear layer between them.

Source: transformers 5.23, models/hyperclovax_vision_v2/modeling_hyperclovax_vision_v2.py and configuration_hyperclovax_vision_v2.py
(defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema, width_of
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(VisionSchema):
    tower_name = "vision_model"

    text_config: Annotated[ConfigSchema, nested("hyperclovax"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qwen2_5_vl_vision", "qwen2_5_vl"), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        return linear("projector", hidden, width_of(self.vision_config, "out_hidden_size"), "other", bias=True)
