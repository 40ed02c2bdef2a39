"""What weights take once they are loaded, as published and in the formats people load them in, and the smallest machine that holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archcalc.errors import ArchcalcError
from archcalc.report import CardsNeeded, LoadedWeights

if TYPE_CHECKING:
    from archcalc.analysis.fit import Ask
    from archcalc.engines.plan import Candidate
    from archcalc.hardware import Device
    from archcalc.loader import Loaded
    from archcalc.model import Architecture

CARDS = ("rtx-4090", "h100-sxm-80gb")
"""A card of one's own and one that is rented: those most are compared with."""
COUNTS = (1, 2, 4, 8, 16)
CONTEXT = 8192
"""Tokens of the one sequence that the machine has to hold beside the weights."""


def loaded(model: Loaded) -> list[LoadedWeights]:
    """`sizes` of a model: of a bundled one as they were written beside its spec, which a test holds equal to those of today's rules."""
    if model.source.kind == "bundled" and not model.overrides:
        from archcalc import zoo

        written = zoo.loaded(model.source.name)
        if written is not None:
            return [LoadedWeights(**{**row, "cards": [CardsNeeded(**card) for card in row["cards"]]}) for row in written]
    return sizes(model.architecture)


def sizes(architecture: Architecture) -> list[LoadedWeights]:
    """As published, in bf16, and down the engine's own ladder. Formats that the engine does not hold the model in are left out, and all
    are where it does not serve the model, where the model is a guess or counted from headers, which do not say what it is stored in
    otherwise or caches, or a part that no engine serves alone."""
    if architecture.status in ("guessed", "header") or architecture.is_part:
        return []
    from archcalc import hardware
    from archcalc.analysis import fit
    from archcalc.engines.engine import DEFAULT, server
    from archcalc.engines.placement import Placement
    from archcalc.hardware import GpuSpec

    engine = server(DEFAULT)
    first = GpuSpec(hardware.device(CARDS[-1]), 1)
    context = min(CONTEXT, architecture.longest or CONTEXT)
    out: list[LoadedWeights] = []
    for quant in (None, "bf16", *engine.ladder):
        ask = fit.Ask(first, DEFAULT, context, quant=quant)
        try:
            model = fit.candidate(architecture, ask)
            if any(size.quant == model.quant for size in out):
                continue
            held = engine.weigh(model, Placement(), ask)
            cards = [CardsNeeded(name, *_smallest(architecture, ask, model, hardware.device(name), held.bytes)) for name in CARDS]
        except ArchcalcError:
            continue
        out.append(LoadedWeights(model.quant, quant is None, held.bytes, DEFAULT, context, cards))
    return out


def _smallest(
    architecture: Architecture, ask: Ask, model: Candidate, device: Device, weights: int
) -> tuple[int | None, str | None]:
    """The smallest number of that card, and why there is none where that is not the memory."""
    from archcalc.analysis import fit
    from archcalc.hardware import GpuSpec

    # Where not even the weights fit, no plan does: that needs no search.
    counts = [count for count in COUNTS if weights <= count * device.visible_bytes]
    why = None
    for count in counts:
        asked = ask._replace(gpus=GpuSpec(device, count))
        try:
            if device != ask.gpus.device:
                model, ask = fit.candidate(architecture, asked), asked
            fits, limit = fit.holds(architecture, asked, model)
        except ArchcalcError:
            continue
        if fits:
            return count, None
        why = limit or why
    return None, why
