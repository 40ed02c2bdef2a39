"""Granite Docling: Granite with SigLIP, whose patches take a coarse or a fine path into the text.

Source: transformers 5.23, models/granite_docling/modeling_granite_docling.py and configuration_granite_docling.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch.idefics2_vision import GraniteDoclingVision as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Encoder, Tensor


class Schema(VisionSchema):
    inert_keys = ("density_router_threshold", "density_router_loss_weight")
    text_name = "text_model"
    tower_name = "vision_model"

    text_config: Annotated[ConfigSchema, nested("granite_docling_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("granite_docling_vision", fixed=True), DEFAULT]
    density_router_hidden_size: Size | None = None
    tie_word_embeddings: Flag | None = True

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        """What decides between the two paths."""
        inner, width = self.density_router_hidden_size, self.tower_width()
        if inner is not None:
            yield from linear("density_router.att", 1, width, "other", bias=True)
            yield from layer_norm("density_router.norm", width)
            yield from linear("density_router.fc1", inner, width, "other", bias=True)
            yield from linear("density_router.fc2", 1, inner, "other", bias=True)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.vision_config.out_hidden_size != a.facts.hidden_size:
            key = "vision_config.out_hidden_size"
            raise ConfigError(f"{key} is not text_config.hidden_size ({a.facts.hidden_size})", "make them equal", key)
        return a

    def encoders(self) -> tuple[Encoder, ...]:
        """32 tiles and the whole image."""
        source = "transformers 5.24, models/granite_docling/image_processing_granite_docling.py `max_patches`, and the overview"
        return tiled(pooled(super().encoders(), self.vision_config.scale_factor**2), 33, None, source)
