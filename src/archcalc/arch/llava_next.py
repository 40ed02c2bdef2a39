"""LLaVA-NeXT (1.6): LLaVA with a learned end of each row of patches.

Source: transformers 5.23, models/llava_next/modeling_llava_next.py and configuration_llava_next.py (defaults).
"""

from collections.abc import Iterable
from typing import ClassVar

from archcalc.arch import llava
from archcalc.arch._composite import Ties
from archcalc.arch._encoder import pinpoints, tiled
from archcalc.model import Encoder, Tensor


class Schema(llava.Schema):
    ties: ClassVar[Ties] = "outer"

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("image_newline", (hidden,), "embedding")

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        tiles = pinpoints(self, 336, 672 * 672)
        return tiled(super().encoders(), tiles + 1, None, "the config's image_grid_pinpoints, and the overview")
