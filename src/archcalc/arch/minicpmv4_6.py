"""MiniCPM-V 4.6: Qwen 3.5 with SigLIP, whose patches are merged within the tower and again behind it.

Source: transformers 5.23, models/minicpmv4_6/modeling_minicpmv4_6.py and configuration_minicpmv4_6.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled, square, tiled
from archcalc.arch._schema import ConfigSchema, Flag, Layers, TowerSchema, nested
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor


class Schema(VisionSchema):
    inert_keys = (
        "insert_layer_id", "image_size", "drop_vision_last_layer", "downsample_mode", "merge_kernel_size", "patch_size",
        "image_start_id", "image_end_id", "slice_start_id", "slice_end_id", "newline_id",
    )  # fmt: skip
    projector_name = "merger.mlp"

    text_config: Annotated[ConfigSchema, nested("qwen3_5_text"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("minicpmv4_6_vision", fixed=True), DEFAULT]
    merger_times: Layers = 1

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged, last = 4 * width, self.merger_times - 1  # two by two patches each time
        for i in range(self.merger_times):
            out = hidden if i == last else width
            yield from prefixed(f"{i}", layer_norm("pre_norm", merged))
            yield from prefixed(f"{i}", projector(("linear_1", "linear_2"), (merged, merged, out)))

    def encoders(self) -> tuple[Encoder, ...]:
        """Nine tiles and the whole image."""
        # Tiles of 448 pixels, merged two by two inside the tower and behind it.
        images = square(self.vision_config, 448)
        source = "transformers 5.24, models/minicpmv4_6/image_processing_minicpmv4_6.py `max_slice_nums`, and the overview"
        return tiled(pooled(images, 4 * 4**self.merger_times), 10, None, source)


class MinicpmOcr(Schema):
    """MiniCPM-OCR: MiniCPM-V 4.6 with a tied head.
    Source: transformers 5.23, models/minicpm_ocr/modeling_minicpm_ocr.py and configuration_minicpm_ocr.py (defaults)."""

    tie_word_embeddings: Flag | None = True


class Minicpmv47(Schema):
    """MiniCPM-V 4.7: MiniCPM-V 4.6 with positions over the whole canvas.
    Source: transformers 5.23, models/minicpmv4_7/modeling_minicpmv4_7.py and configuration_minicpmv4_7.py (defaults)."""
