"""LFM2-VL: LFM2 with SigLIP 2, whose patches are merged.

Source: transformers 5.23, models/lfm2_vl/modeling_lfm2_vl.py and configuration_lfm2_vl.py (defaults; `tie_embedding` stands above
`tie_word_embeddings`).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema, both
from archcalc.arch._encoder import encoder, stated
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder, Tensor


class Schema(VisionSchema):
    inert_keys = (
        "projector_hidden_act", "do_image_splitting", "encoder_patch_size", "max_image_tokens", "min_image_tokens",
        "max_num_patches", "max_pixels_tolerance", "max_tiles", "min_tiles", "tile_size", "use_image_special_tokens",
        "use_thumbnail", "vision_feature_layer",
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("lfm2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip2_vision_model"), DEFAULT]
    projector_hidden_size: Size = 2560
    projector_bias: Flag = True
    projector_use_layernorm: Flag = True
    downsample_factor: Size = 2
    tie_word_embeddings: Flag | None = True
    tie_embedding: Flag | None = None

    def tied(self, text: Architecture) -> bool:
        return bool(self.tie_word_embeddings if self.tie_embedding is None else self.tie_embedding)

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        merged = width * self.downsample_factor**2
        if self.projector_use_layernorm:
            yield from layer_norm("layer_norm", merged)
        widths = (merged, self.projector_hidden_size, hidden)
        yield from projector(("linear_1", "linear_2"), widths, bias=self.projector_bias)

    def encoders(self) -> tuple[Encoder, ...]:
        """As many tiles as the processor allows, and the whole image."""
        tiles, side = stated(self, "max_tiles", 10) + 1, stated(self, "tile_size", 512)
        patch = both(getattr(self.vision_config, "patch_size", 16))[0]
        patches = tiles * (side // patch) ** 2
        source = "transformers 5.24, models/lfm2_vl/image_processing_lfm2_vl.py `max_tiles`, `tile_size`, and the overview"
        return (encoder(self.vision_config, patches, patches // self.downsample_factor**2, 3 * patch**2, source),)
