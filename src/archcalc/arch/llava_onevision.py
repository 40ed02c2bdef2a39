"""LLaVA-OneVision: LLaVA-NeXT with SigLIP and Qwen2.

Source: transformers 5.23, models/llava_onevision/modeling_llava_onevision.py and configuration_llava_onevision.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar

from archcalc.arch import llava
from archcalc.arch._composite import DEFAULT
from archcalc.arch._encoder import pinpoints
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Tensor

# What an absent vision_config stands for.
SIGLIP = {
    "hidden_size": 1152, "intermediate_size": 4304, "patch_size": 14, "image_size": 384, "num_hidden_layers": 26,
    "num_attention_heads": 16, "vision_use_head": False,
}  # fmt: skip


class Schema(llava.LlavaNext):
    ties = "either"

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model", absent=SIGLIP), DEFAULT]
    vision_feature_layer: int | list[int] = -1

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        tiles = pinpoints(self, 384, 2304 * 2304)
        images = llava.Schema.encoders(self)
        # Tokens beyond nine tiles' are scaled away (`anyres_max_9`).
        source = "the config's image_grid_pinpoints, and the overview"
        return tuple(
            e._replace(patches=e.patches * (tiles + 1), tokens=e.patches * (min(tiles, 9) + 1), source=source) for e in images
        )


class Bee(Schema):
    """Bee: LLaVA-OneVision with a norm before the projector, which is four times as wide inside.
    Source: vLLM 0.33, models/bee.py (`BeeMultiModalProjector`)."""

    wider: ClassVar[int] = 4

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from layer_norm("pre_norm", width)
        yield from projector(("linear_1", "linear_2"), (width, hidden * self.wider, hidden))


class Rvl(Bee):
    """R-4B: LLaVA-OneVision with a norm before the projector.
    Source: vLLM 0.33, models/rvl.py (`RVLMultiModalProjector`)."""

    wider = 1
