"""InternVL 2.5, 3 and 3.5 in transformers' form: a text model with InternViT, whose patches are merged.

Source: transformers 5.23, models/internvl/modeling_internvl.py and configuration_internvl.py (defaults), conversion_mapping.py
("llava").
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._composite import DEFAULT, LLAVA, VisionSchema
from archcalc.arch._encoder import film, pooled, tiled
from archcalc.arch._schema import ConfigSchema, Flag, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor


class Schema(VisionSchema):
    inert_keys = ("image_seq_length", "projector_hidden_act", "vision_feature_layer", "vision_feature_select_strategy")
    renames: ClassVar[tuple[tuple[str, str], ...]] = tuple(
        (old, new.replace("vision_tower.vision_model.", "vision_tower.")) for old, new in LLAVA
    )

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("internvl_vision", fixed=True), DEFAULT]
    downsample_ratio: float = Field(0.5, gt=0, le=1)
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * int(1 / self.downsample_ratio) ** 2
        yield from layer_norm("layer_norm", merged)
        yield from projector(("linear_1", "linear_2"), (merged, hidden, hidden))

    def encoders(self) -> tuple[Encoder, ...]:
        """Twelve tiles and the whole image; a video of frames of one tile."""
        source = "transformers 5.24, models/got_ocr2/image_processing_got_ocr2.py `max_patches`, and the overview"
        tile = pooled(super().encoders(), int(1 / self.downsample_ratio) ** 2)
        frames = (e for t in tile for e in film([t], t.tokens, "vLLM 0.33, models/interns1.py `get_num_frames_with_most_features`"))
        return (*tiled(tile, 13, None, source), *frames)


class Interns1(Schema):
    """Intern-S1: InternVL's structure over Qwen 3.
    Source: internlm/Intern-S1-mini, modeling_interns1.py and configuration_interns1.py; vLLM 0.33, models/interns1.py
    (`InternS1MultiModalProjector`) and models/interns1_vit.py."""

    core_keys = ("text_config",)
    renames = ()

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    tie_word_embeddings: Flag | None = False


class QianfanOcr(Schema):
    """Qianfan-OCR: InternVL's form with Qwen 3.
    Source: transformers 5.23, models/qianfan_ocr/modeling_qianfan_ocr.py and configuration_qianfan_ocr.py (defaults)."""

    renames = ()

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("qianfan_ocr_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = False
