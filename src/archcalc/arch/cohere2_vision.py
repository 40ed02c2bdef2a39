"""Command A Vision: Cohere 2 with SigLIP, whose patches are merged and pass a gated projector.

Source: transformers 5.23, models/cohere2_vision/modeling_cohere2_vision.py and configuration_cohere2_vision.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Encoder, Tensor

SIGLIP = {"hidden_size": 1152, "intermediate_size": 3072, "image_size": 512, "num_hidden_layers": 27, "num_attention_heads": 12}


class Schema(VisionSchema):
    text_config: Annotated[ConfigSchema, nested("cohere2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", absent=SIGLIP), DEFAULT]
    downsample_factor: Size = 2
    alignment_intermediate_size: Size = 36864
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        inner = self.alignment_intermediate_size
        yield from linear("linear_1", inner, width * self.downsample_factor**2, "other", bias=True)
        # Half of it gates the other half.
        yield from linear("linear_2", hidden, inner // 2, "other", bias=True)

    def encoders(self) -> tuple[Encoder, ...]:
        """Twelve tiles and the whole image."""
        source = "transformers 5.24, models/cohere2_vision/image_processing_cohere2_vision.py `max_patches`, and the overview"
        return tiled(pooled(super().encoders(), self.downsample_factor**2), 13, None, source)
