"""Keye-VL: Qwen 3 with SigLIP, which reads images of any size: a second table of positions, and rotary ones, beside its own.

Source: vLLM 0.33, models/keye.py (`KeyeVisionEmbeddings`, `Projector`: the checkpoint's pooling head is not loaded) and keye_vl1_5.py
(`KeyeVL1_5Projector`).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch._vlm import flat
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector, table
from archcalc.model import Tensor

_OWN = (
    "model_type", "architectures", "auto_map", "dtype", "torch_dtype", "vision_config", "vision_start_token_id", "vision_end_token_id",
    "vision_token_id", "image_token_id", "video_token_id", "fast_start", "fast_end", "fast_token_id", "_name_or_path",
)  # fmt: skip
PACKED = 32768


class KeyeVision(Siglip):
    """The vision tower of Keye-VL: SigLIP, pooling head and all.
    Source: vLLM 0.33, models/keye.py (`KeyeSiglipVisionModel`)."""

    whole = False
    inert_keys = ("projection_dim", "spatial_merge_size", "temporal_patch_size", "tokens_per_second", "in_channels")


class Schema(VisionSchema):
    core_keys = ("hidden_size", "vision_config")
    inert_keys = _OWN
    tower_name = "visual.vision_model"
    projector_name = "mlp_AR"
    renames = (("model.language_model.", "model."), ("model.visual.", "visual."), ("model.mlp_AR.", "mlp_AR."))
    ties = "text"

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    vision_config: Annotated[KeyeVision, nested("keye_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return flat(config, _OWN, model_type="qwen3")

    def joined(self, width: int) -> int:
        """The width of the norm before the projector: a patch's, before four are joined."""
        return width

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from layer_norm("pre_norm", self.joined(width))
        yield from projector(("linear_1", "linear_2"), (4 * width, 4 * width, hidden))

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield table(f"{self.tower_name}.embeddings.packing_position_embedding", PACKED, self.tower_width())


class Keyevl15(Schema):
    """Keye-VL 1.5: the norm before the projector follows the joining of patches.
    Source: vLLM 0.33, models/keye_vl1_5.py (`KeyeVL1_5Projector`)."""

    def joined(self, width: int) -> int:
        return 4 * width
