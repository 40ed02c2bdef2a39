"""LocateAnything: Qwen 2 with MoonViT, whose patches are merged and projected by an MLP behind a norm.

Source: SGLang 0.5.23, srt/models/locate_anything.py (`LocateAnythingMultiModalProjector`, `load_weights`) and
srt/configs/locate_anything.py.
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.kimi_k25_vision import Moonvit as Vision
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = (
        "image_token_index", "box_start_token_id", "box_end_token_id", "ref_start_token_id", "ref_end_token_id",
        "coord_start_token_id", "coord_end_token_id", "none_token_id", "mlp_connector_layers",
    )  # fmt: skip
    tower_name = "vision_model"
    projector_name = "mlp1"
    renames = (
        ("lm_head.", "language_model.lm_head."), ("model.language_model.", "language_model.model."), ("model.", ""),
    )  # fmt: skip
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[Vision, nested("moonvit", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = None

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        high, across = self.vision_config.merge_kernel_size
        joined = width * high * across
        yield from layer_norm("0", joined)
        yield from projector(("1", "3"), (joined, hidden, hidden))
