"""Molmo 2 with its vision tower. The head is never tied.

Source: transformers 5.23, models/molmo2/modeling_molmo2.py and configuration_molmo2.py (defaults). A config that names the tower
`vit_config` states more layers than it has: those behind the last one that the adapter reads are not built.
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._encoder import film, pooled, square, tiled
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.molmo2_adapter import Schema as Adapter
from archcalc.arch.molmo2_vision import Schema as Vision
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Encoder


class Schema(CompositeSchema):
    inert_keys = ("image_patch_id", "use_frame_special_tokens")
    ties = "never"

    text_config: Annotated[ConfigSchema, nested("molmo2_text", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("molmo2_vision", fixed=True), DEFAULT]
    vit_config: Annotated[Vision | None, nested("molmo2_vision", fixed=True, optional=True)] = None
    adapter_config: Annotated[Adapter, nested("molmo2_adapter", fixed=True), DEFAULT]

    def tower(self) -> Vision:
        read = self.adapter_config.layers_read()
        legacy = self.vit_config is not None and "vision_config" not in self.model_fields_set
        vision = self.vit_config if self.vit_config is not None and legacy else self.vision_config
        n = vision.num_hidden_layers
        if not all(-n <= layer < n for layer in read):
            key = "adapter_config.vision_feature_layer"
            raise ConfigError(f"{key} is {read}: the tower has {n} layers", "correct it", key)
        return vision.model_copy(update={"num_hidden_layers": max(layer % n for layer in read) + 1}) if legacy else vision

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.tower().tower(f"{prefix}.vision_tower")
        return groups + self.adapter_config.tower(f"{prefix}.multi_modal_projector")[0], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """Eight crops and the whole image, each of 27 x 27 patches, pooled two by two; a video of 64 frames, three by three."""
        source = "transformers 5.24, models/molmo2/image_processing_molmo2.py `max_crops`, and the overview"
        crop = square(self.tower(), 378)
        image = tiled(pooled(crop, tokens=14**2), 9, None, source)
        source = "transformers 5.24, models/molmo2/video_processing_molmo2.py `num_frames`, `pooling_size`"
        return (*image, *film(crop, 9**2, source, 64, with_image=False))
