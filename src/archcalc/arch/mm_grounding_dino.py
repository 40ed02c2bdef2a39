"""MM Grounding DINO: Grounding DINO trained anew.

Source: transformers 5.24, models/mm_grounding_dino/modeling_mm_grounding_dino.py (`MMGroundingDinoForObjectDetection`) and
configuration_mm_grounding_dino.py (defaults); Zhao et al. 2024, arXiv:2401.02361.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch import grounding_dino
from archcalc.arch._schema import Flag
from archcalc.model import Tensor


class Schema(grounding_dino.Schema):
    name = "mm-grounding-dino"

    decoder_cls_embed_share: Flag = True

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """It has two stages, whatever the config says."""
        return {**config, "two_stage": True}

    def outside(self) -> Iterator[Tensor]:
        yield from super().outside()
        yield Tensor("encoder_output_class_embed.bias", (), "head")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        boxes = super().head_of(name)
        if not name.endswith("ForObjectDetection") or boxes is None:
            return boxes
        words = self.heads_of(self.decoder_cls_embed_share, lambda i: [Tensor(f"class_embed.{i}.bias", (), "head")])
        return (*boxes, *words)
