"""ModernVBERT: ModernBERT with SigLIP, whose patches are merged and projected by one linear layer.

Source: transformers 5.23, models/modernvbert/modeling_modernvbert.py (`ModernVBertForMaskedLM`) and configuration_modernvbert.py
(defaults).
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder, Tensor


class Schema(VisionSchema):
    inert_keys: ClassVar[tuple[str, ...]] = ("classifier_pooling", "classifier_bias")
    text_name = "text_model"
    tower_name = "vision_model"
    projector_name = "connector"
    # What the text model calls the parts of its head, and what this one does.
    head_names: ClassVar[tuple[tuple[str, str], ...]] = (("head.", "projection_head."), ("decoder.", "lm_head."))

    text_config: Annotated[ConfigSchema, nested("modernbert"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    pixel_shuffle_factor: Size = 4

    def text(self, prefix: str) -> Architecture:
        """ModernBERT under other names for what predicts the masked token, tied as the outer config says."""
        tied = {"tie_word_embeddings": bool(self.tie_word_embeddings)}
        a = self.text_config.model_copy(update=tied).architecture(f"{prefix}.{self.text_name}" if prefix else self.text_name)

        def renamed(t: Tensor) -> Tensor:
            old, new = next(pair for pair in self.head_names if t.name.startswith(pair[0]))
            return t._replace(name=new + t.name.removeprefix(old))

        groups = (g._replace(tensors=tuple(map(renamed, g.tensors))) if g.part == "head" else g for g in a.groups)
        return a._replace(groups=tuple(groups))

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("modality_projection",), (width * self.pixel_shuffle_factor**2, hidden), bias=False)

    def encoders(self) -> tuple[Encoder, ...]:
        """Sixteen tiles and the whole image."""
        source = "transformers 5.24, models/idefics3/image_processing_idefics3.py `size`, `max_image_size`"
        return tiled(pooled(super().encoders(), self.pixel_shuffle_factor**2), 17, None, source)


class Ultravbert(Schema):
    """UltraVBERT: UltraBERT with SigLIP, whose patches are merged, projected by one linear layer and normalized.
    Source: transformers 5.24, models/ultravbert/modeling_ultravbert.py (`UltraVBertForMaskedLM`) and configuration_ultravbert.py
    (defaults)."""

    head_names = (("head.decoder.", "lm_head."), ("head.", "projection_head."))
    inert_keys = (*Schema.inert_keys, "initializer_cutoff_factor", "classifier_dropout")

    text_config: Annotated[ConfigSchema, nested("ultrabert"), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from super().projection(width, hidden)
        yield rms_norm("norm", hidden)
