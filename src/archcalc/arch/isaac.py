"""Isaac: Qwen 3 with SigLIP 2, whose patches are joined by squares and pass two linear layers.

Source: vLLM 0.33, models/isaac.py (`IsaacForConditionalGeneration`: names, modules) and transformers_utils/configs/isaac.py (defaults; a
config without `text_config` states the text model's keys at its top level).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested
from archcalc.arch.siglip2_vision_model import Schema as Siglip2
from archcalc.blocks._tensor import linear, prefixed
from archcalc.model import Architecture, Tensor


class PixelShuffleSiglip2(Siglip2):
    """Isaac's vision tower: SigLIP 2 without a head.
    Source: vLLM 0.33, models/isaac.py (`Siglip2VisionTransformer`)."""

    pixel_shuffle_scale_factor: Size = 1

    def pooled(self) -> bool:
        return False

    def tower(self, prefix: str) -> Pieces:
        """Patches pass a linear layer without a bias."""
        groups, stacks = super().tower(prefix)
        lacking = f"{prefix}.embeddings.patch_embedding.bias"
        return [g._replace(tensors=tuple(t for t in g.tensors if t.name != lacking)) for g in groups], stacks


class Schema(VisionSchema):
    text_name = "text_model"
    inert_keys = (
        "vision_patch_size", "vision_max_num_patches", "vision_min_num_patches", "max_sequence_length", "vision_token",
        "video_patch_size", "vision_attn_implementation", "vision_rescale_factor", "pixel_shuffle_scale",
    )  # fmt: skip
    ties = "stated"

    text_config: Annotated[ConfigSchema, nested("qwen3", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("pixel_shuffle_siglip2", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        if isinstance(config.get("text_config"), dict):
            return config
        own = {key: value for key, value in config.items() if key not in (*cls.model_fields, *cls.inert_keys, "architectures")}
        return {**config, "text_config": own}

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        root, vision = f"{prefix}.vision_embedding", self.vision_config
        groups, stacks = vision.tower(f"{root}.0")
        factor = int(getattr(vision, "pixel_shuffle_scale_factor", 1))
        groups.append(group("vision", prefixed(root, self.joined(self.tower_width() * factor**2, text.facts.hidden_size))))
        return groups, stacks

    def joined(self, width: int, hidden: int) -> Iterable[Tensor]:
        yield from linear("1", 4 * width, width, "other")
        yield from linear("3", hidden, 4 * width, "other")
