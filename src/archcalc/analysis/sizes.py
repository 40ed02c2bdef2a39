"""What weights take once they are loaded, as published and in the formats people load them in, and the smallest machine that holds them."""

from __future__ import annotations

from archcalc import hardware
from archcalc.analysis import fit
from archcalc.engines.engine import DEFAULT, server
from archcalc.engines.placement import Placement
from archcalc.errors import ArchcalcError
from archcalc.hardware import GpuSpec
from archcalc.model import Architecture
from archcalc.report import CardsNeeded, LoadedWeights

ENGINE = DEFAULT
CARDS = ("rtx-4090", "h100-sxm-80gb")
"""A card of one's own and one that is rented: those most are compared with."""
COUNTS = (1, 2, 4, 8, 16)
CONTEXT = 8192
"""Tokens of the one sequence that the machine has to hold beside the weights."""


def sizes(architecture: Architecture) -> list[LoadedWeights]:
    """As published, in bf16, and down the engine's own ladder. Formats that the engine does not hold the model in are left out, and all
    are where it does not serve the model, where the model is a guess or counted from headers, which do not say what it is stored in
    otherwise or caches, or a part that no engine serves alone."""
    if architecture.status in ("guessed", "header") or architecture.is_part:
        return []
    first = GpuSpec(hardware.device(CARDS[-1]), 1)
    context = min(CONTEXT, architecture.longest or CONTEXT)
    out: list[LoadedWeights] = []
    for quant in (None, "bf16", *server(ENGINE).ladder):
        ask = fit.Ask(first, ENGINE, context, quant=quant)
        try:
            model = fit.candidate(architecture, ask)
            if any(size.quant == model.quant for size in out):
                continue
            held = server(ENGINE).weigh(model, Placement(), ask)
            cards = [CardsNeeded(name, *_smallest(architecture, ask, name, held.bytes)) for name in CARDS]
        except ArchcalcError:
            continue
        out.append(LoadedWeights(model.quant, quant is None, held.bytes, ENGINE, context, cards))
    return out


def _smallest(architecture: Architecture, ask: fit.Ask, name: str, weights: int) -> tuple[int | None, str | None]:
    """The smallest number of that card, and why there is none where that is not the memory."""
    device, why = hardware.device(name), None
    for count in COUNTS:
        # Where not even the weights fit, no plan does: that needs no search.
        if weights > count * device.visible_bytes:
            continue
        try:
            best = fit.plans(architecture, ask._replace(gpus=GpuSpec(device, count)), 0).best
            if best.fits:
                return count, None
            why = best.start.limit if best.headroom_bytes >= 0 else why
        except ArchcalcError:
            continue
    return None, why
