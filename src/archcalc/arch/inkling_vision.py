"""The vision tower of Inkling: linear layers that fold neighbouring pixels together, factor by factor of the patch.

Source: transformers 5.23, models/inkling/modeling_inkling.py (`InklingVisionModel`, `plan_out_scales`) and configuration_inkling.py
(defaults).
"""

from itertools import accumulate, pairwise
from math import ceil, log, prod
from operator import mul
from typing import TypeAlias

from pydantic import AliasChoices, Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Encoder, Layer, Tensor, stack

Scale: TypeAlias = tuple[int, int, int]
"""Frames, side and channels of a cell."""


def factors(number: int) -> list[int]:
    """Prime factors, the largest first."""
    found, divisor = [], 2
    while number > 1:
        while number % divisor == 0:
            found.append(divisor)
            number //= divisor
        divisor += 1
    return found[::-1]


def assigned(costs: list[list[float]]) -> list[int]:
    """A scale for each row at the least total cost, each later than the one before: both are sorted, so no other order is cheaper."""
    best: list[tuple[float, list[int]]] = [(0.0, [])] * (len(costs[0]) + 1)
    for row in costs:
        new: list[tuple[float, list[int]]] = [(float("inf"), [])]
        for j, cost in enumerate(row):
            total, chosen = best[j]
            new.append(min(new[-1], (total + cost, [*chosen, j]), key=lambda pair: pair[0]))
        best = new
    return best[-1][1]


class Schema(TowerSchema):
    inert_keys = ("hidden_size", "num_attention_heads")

    # The text model's width, whatever the config says.
    text_hidden_size: Size = 6144
    patch_size: Size = 40
    temporal_patch_size: Size = 2
    num_channels: Size = 3
    num_hidden_layers: Layers = Field(24, validation_alias=AliasChoices("n_layers", "num_hidden_layers"))

    def scales(self) -> list[Scale]:
        """The cell before and behind each layer, growing evenly in logarithm from a pixel to the patch."""
        n, side, channels, frames = self.num_hidden_layers, self.patch_size, self.num_channels, self.temporal_patch_size
        cells: list[Scale] = [(1, 1, channels)]
        cells += [(1, h, ceil(h * h * channels / 64) * 64) for h in accumulate(factors(side), mul)]
        cells += [(t, side, side * side * channels * t * 64) for t in accumulate(factors(frames), mul)]
        whole = log(side * side * frames * channels)
        costs = [[abs(whole * i / n - log(t * h * h)) for t, h, _ in cells] for i in range(n + 1)]
        chosen = [row.index(min(row)) for row in costs] if n >= len(cells) else assigned(costs)
        return [cells[k] for k in (0, *chosen[1:-1], len(cells) - 1)]

    def tower(self, prefix: str) -> Pieces:
        out, layers = self.text_hidden_size, []
        for i, (before, after) in enumerate(pairwise(self.scales())):
            last = i == self.num_hidden_layers - 1
            folded, width = prod((after[0] // before[0], after[1] // before[1], after[1] // before[1])), out if last else after[2]
            tensors: list[Tensor] = [*linear("projection", width, before[2] * folded, "mlp")]
            if not last:
                tensors.append(rms_norm("layer_norm", width))
            layers.append(Layer("none", f"linear {width}", tuple(tensors), ffn_width=width))
        encoder = stack(join(prefix, "encoder_layers"), "vision", layers)
        return [group("vision", prefixed(prefix, [rms_norm("final_norm", out)]))], [encoder]

    def encoders(self) -> tuple[Encoder, ...]:
        """A square image of 2,048 pixels, to which smaller ones are scaled up, a token a patch; its cells grow from layer to layer."""
        side, frames = self.patch_size, self.temporal_patch_size
        hidden = max((frames // t * (side // h) ** 2 * width for t, h, width in self.scales()[:-1]), default=0)
        source = "transformers 5.24, models/inkling/image_processing_inkling.py `rescale_image_max_upscaled_long_edge`"
        patches, pixels = ceil(2048 / side) ** 2, side**2 * frames * self.num_channels
        return (Encoder("image", patches, patches, pixels, self.text_hidden_size, hidden, source),)
