"""Models that label the pixels of an image over the feature maps of a backbone.

Source: transformers 5.24, models/maskformer/modeling_maskformer.py and models/upernet/modeling_upernet.py (`backbone.channels`).
"""

from typing import Any

from archcalc.arch._schema import TowerSchema
from archcalc.arch._vit import AloneSchema
from archcalc.errors import UnsupportedError
from archcalc.model import Encoder

BACKBONES = ("use_timm_backbone", "use_pretrained_backbone", "backbone", "backbone_kwargs")
"""How older configs name a backbone that `backbone_config` states."""


class MaskSchema(AloneSchema):
    """A backbone, and what labels the pixels."""

    alone = "a model that segments images: it writes no text and keeps no cache"

    backbone_config: Any

    def channels(self) -> list[int]:
        """The widths of the backbone's maps."""
        tower: TowerSchema = self.backbone_config
        asked: Any = getattr(tower, "asked", None)
        if asked is not None:
            return [width for _, width in asked()]
        names, width = (tower.model_extra or {}).get("out_features"), getattr(tower, "hidden_size", None)
        if not isinstance(names, list) or not isinstance(width, int):
            raise UnsupportedError("backbone_config does not say which feature maps it gives (out_features)")
        return [width] * len(names)

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
