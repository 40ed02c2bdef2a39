"""What weights take once they are loaded, as published and in the formats people load them in, and the smallest machine that holds them."""

from __future__ import annotations

from typing import NamedTuple

from archcalc import hardware
from archcalc.analysis import fit
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement
from archcalc.errors import ArchcalcError
from archcalc.hardware import GpuSpec
from archcalc.model import Architecture

ENGINE = DEFAULT
CARDS = ("rtx-4090", "h100-sxm-80gb")
"""A card of one's own and one that is rented: those most are compared with."""
COUNTS = (1, 2, 4, 8, 16)
CONTEXT = 8192
"""Tokens of the one sequence that the machine has to hold beside the weights."""


class Size(NamedTuple):
    """Weights in one format: bytes of one copy on one GPU, and for each of `CARDS` the smallest number of them; None for more than 16."""

    quant: str
    published: bool
    bytes: int
    cards: tuple[int | None, ...]


def sizes(architecture: Architecture) -> list[Size]:
    """As published, in bf16, and down the engine's own ladder. Formats that the engine does not hold the model in are left out, and all
    are where it does not serve the model, where the model is a guess, or a part that no engine serves alone."""
    if architecture.status == "guessed" or architecture.is_part:
        return []
    first = GpuSpec(hardware.device(CARDS[-1]), 1)
    context = min(CONTEXT, architecture.longest or CONTEXT)
    out: list[Size] = []
    for quant in (None, "bf16", *server(ENGINE).ladder):
        ask = fit.Ask(first, ENGINE, context, quant=quant)
        try:
            model = fit.candidate(architecture, ask)
            if any(size.quant == model.quant for size in out):
                continue
            held = server(ENGINE).weigh(model, Placement(), ask)
            cards = tuple(_smallest(architecture, ask, name, held.bytes) for name in CARDS)
        except ArchcalcError:
            continue
        out.append(Size(model.quant, quant is None, held.bytes, cards))
    return out


def _smallest(architecture: Architecture, ask: fit.Ask, name: str, weights: int) -> int | None:
    device = hardware.device(name)
    for count in COUNTS:
        # Where not even the weights fit, no plan does: that needs no search.
        if weights > count * device.visible_bytes:
            continue
        try:
            if fit.plans(architecture, ask._replace(gpus=GpuSpec(device, count)), 0).best.fits:
                return count
        except ArchcalcError:
            continue
    return None
