"""Unlimited-OCR: a small mixture of experts with SAM's encoder and CLIP, one behind the other.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py and configuration_unlimited_ocr.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.unlimited_ocr_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Tensor


class Schema(VisionSchema):
    inert_keys = ("language_config", "sliding_window", "candidate_resolutions", "global_view_pos", "tile_tag")

    text_config: Annotated[ConfigSchema, nested("unlimited_ocr_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("unlimited_ocr_vision", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """The first configs state the text model as `language_config`, and its window beside it."""
        if config.get("text_config") is not None:
            return config
        window = {"sliding_window": config["sliding_window"]} if "sliding_window" in config else {}
        return {**config, "text_config": {**(config.get("language_config") or {}), **window}}

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        sam, clip = self.vision_config.sam_config, self.vision_config.encoder_config
        for name in ("view_separator", "image_newline"):
            yield Tensor(name, (hidden,), "embedding")
        yield from linear("multi_modal_projector", hidden, sam.downsample_channels[-1] + clip.hidden_size, "other", bias=True)

    def tower_width(self) -> int:
        return self.vision_config.encoder_config.hidden_size
