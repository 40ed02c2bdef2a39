"""ERNIE 4.5 VL: ERNIE 4.5 with experts for each modality, and a resampler over space and time.

Source: transformers 5.23, models/ernie4_5_vl_moe/modeling_ernie4_5_vl_moe.py and configuration_ernie4_5_vl_moe.py (defaults).
"""

from collections.abc import Iterable, Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.ernie4_5_vl_moe_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import projector
from archcalc.model import Tensor


class Schema(VisionSchema):
    projector_name = "resampler_model"

    text_config: Annotated[ConfigSchema, nested("ernie4_5_vl_moe_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("ernie4_5_vl_moe_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * self.vision_config.spatial_merge_size**2

        def merge(name: str, inner: int) -> Iterator[Tensor]:
            yield from projector((f"{name}.fc1", f"{name}.fc2"), (inner, merged, merged))
            yield from layer_norm(f"{name}.ln", merged)

        yield from merge("spatial_linear", merged)
        yield from merge("temporal_linear", merged * self.vision_config.temporal_merge_size)
        yield from linear("mlp", hidden, merged, "other", bias=True)
        yield rms_norm("after_norm", hidden)
