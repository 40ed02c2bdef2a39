"""DeepSeek-VL, the small one: Llama with SigLIP and two linear layers between them.

Source: transformers 5.23, models/deepseek_vl/modeling_deepseek_vl.py and configuration_deepseek_vl.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema, width_of
from archcalc.arch._schema import Flag, TowerSchema, nested
from archcalc.arch.got_ocr2_vision import neck
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Tensor


class Schema(VisionSchema):
    tower_name = "vision_model"
    projector_name = "aligner"

    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        return projector(("linear1", "linear2"), (width, hidden, hidden))


class DeepseekVlHybrid(Schema):
    """DeepSeek-VL: Llama with SigLIP for the whole image and SAM's encoder for its details.
    Source: transformers 5.23, models/deepseek_vl_hybrid/modeling_deepseek_vl_hybrid.py and configuration_deepseek_vl_hybrid.py (defaults).
    """

    high_res_vision_config: Annotated[TowerSchema, nested("sam_vision_model"), DEFAULT]

    @property
    def channels(self) -> int:
        return width_of(self.high_res_vision_config, "output_channels")

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        # Each tower fills half of the text model's width.
        yield from linear("vision_proj", hidden // 2, width, "other", bias=True)
        yield from linear("high_res_vision_proj", hidden // 2, 4 * self.channels, "other", bias=True)
        yield from linear("proj", hidden, hidden, "other", bias=True)

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        channels = self.channels
        yield Tensor("high_res_vision_alpha", (1,), "other")
        yield from prefixed("high_res_vision_neck", neck(width_of(self.high_res_vision_config), channels))
        yield Tensor("high_res_vision_proj.conv1.weight", (2 * channels, channels, 3, 3), "other")
        yield Tensor("high_res_vision_proj.conv2.weight", (4 * channels, 2 * channels, 3, 3), "other")

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        more_groups, more_stacks = self.high_res_vision_config.tower(f"{prefix}.high_res_vision_model")
        return groups + more_groups, stacks + more_stacks
