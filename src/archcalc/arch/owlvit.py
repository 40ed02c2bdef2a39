"""OWL-ViT: CLIP whose patches each name what they show, by text, and where it is.

Source: transformers 5.24, models/owlvit/modeling_owlvit.py (`OwlViTModel`, `OwlViTForObjectDetection`) and configuration_owlvit.py
(defaults); Minderer et al. 2022, arXiv:2205.06230.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from archcalc.arch import clip, clip_text_model, clip_vision_model
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Tensor


class OwlvitTextModel(clip_text_model.Schema):
    """The text tower of OWL-ViT: CLIP's, for 16 tokens.
    Source: transformers 5.24, models/owlvit/configuration_owlvit.py (defaults)."""

    max_position_embeddings: Size = 16


class Owlv2TextModel(OwlvitTextModel):
    """The text tower of OWLv2. Source: transformers 5.24, models/owlv2/configuration_owlv2.py (defaults)."""


class OwlvitVisionModel(clip_vision_model.Schema):
    """The vision tower of OWL-ViT: CLIP's.
    Source: transformers 5.24, models/owlvit/modeling_owlvit.py (`OwlViTVisionModel`) and configuration_owlvit.py (defaults)."""

    image_size: Size = 768

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)

        def named(t: Tensor) -> Tensor:
            return t._replace(name=t.name.replace("pre_layrnorm", "pre_layernorm"))

        return [g._replace(tensors=tuple(map(named, g.tensors))) for g in groups], stacks


class Owlv2VisionModel(OwlvitVisionModel):
    """The vision tower of OWLv2. Source: transformers 5.24, models/owlv2/configuration_owlv2.py (defaults)."""

    patch_size: Size = 16


class Schema(clip.Schema):
    root: ClassVar[str] = "owlvit"
    # What a patch is asked for: its box, and whether there is anything.
    asked: ClassVar[tuple[tuple[str, int], ...]] = (("box_head", 4),)

    text_config: Annotated[OwlvitTextModel, nested("owlvit_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[OwlvitVisionModel, nested("owlvit_vision_model", fixed=True), DEFAULT]

    def patches(self) -> Iterator[Tensor]:
        """What each patch is asked."""
        h = self.vision_config.hidden_size
        yield from linear("class_head.dense0", self.text_config.hidden_size, h, "head", bias=True)
        for name in ("logit_shift", "logit_scale"):
            yield from linear(f"class_head.{name}", 1, h, "head", bias=True)
        for name, out in self.asked:
            for i, rows in enumerate((h, h, out)):
                yield from linear(f"{name}.dense{i}", rows, h, "head", bias=True)
        yield from layer_norm("layer_norm", h)

    def headed(self, named: str) -> Architecture | None:
        if not named.endswith("ForObjectDetection"):
            return super().headed(named)
        a = self.both(self.root)
        return a._replace(groups=(*a.groups, group("head", self.patches())))


class Owlv2(Schema):
    """OWLv2: OWL-ViT that also says whether a patch shows anything.
    Source: transformers 5.24, models/owlv2/modeling_owlv2.py (`Owlv2Model`, `Owlv2ForObjectDetection`) and configuration_owlv2.py
    (defaults); Minderer et al. 2023, arXiv:2306.09683."""

    root = "owlv2"
    asked = (("box_head", 4), ("objectness_head", 1))

    vision_config: Annotated[OwlvitVisionModel, nested("owlv2_vision_model", fixed=True), DEFAULT]
