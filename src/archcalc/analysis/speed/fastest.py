"""Of the plans that fit, the one that is forecast to make most tokens, where several requests run at once."""

from __future__ import annotations

from archcalc.analysis.fit import Ask, Fit, Plans, cannot, judge, max_context, placements
from archcalc.analysis.speed.forecast import MARGIN, over_network
from archcalc.analysis.speed.plan import USUAL, Wanted, at_once, of_fit
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement
from archcalc.errors import ArchcalcError
from archcalc.records import NamedTuple


class Faster(NamedTuple):
    """Why a plan was chosen: its tokens a second, and those of the one that is preferred where no speed is compared, None where nothing is
    forecast of it."""

    tokens_per_s: float
    usual: Placement
    usual_tokens_per_s: float | None


def fastest(found: Plans, ask: Ask, wanted: Wanted) -> tuple[Plans, Faster | None]:
    """The plans with the fastest in front, where its forecast is ahead by more than the margin that forecasts are held to; the usual one
    stands first among the others then. As they are for one sequence at once, for a command, and where nothing is forecast."""
    best = found.best
    if wanted.aims or ask.own is not None or ask.concurrency == 1 or ask.gpus.count == 1 or not best.fits:
        return found, None
    moe = found.model.architecture.facts.moe is not None
    if server(ask.engine).layered or over_network(best.placement, moe, ask.gpus.device, ask.engine):
        return found, None
    usual = _rate(found, best, ask, wanted)
    # Of a batch that is too large for its graphs nothing is forecast, and of replicas that share it something is.
    first, most, sequences = best, MARGIN * (usual or 0.0), found.sequences
    for placement in placements(found.model.architecture, ask):
        if cannot(found.model, placement, ask) or over_network(
            placement, found.model.architecture.facts.moe is not None, ask.gpus.device, ask.engine
        ):
            continue
        for n in at_once(ask, placement):
            try:
                fit = judge(found.model, placement, ask._replace(sequences=n), best.context_tokens, ask.concurrency)
            except ArchcalcError:
                break
            if fit.fits:
                rate = _rate(found, fit, ask, wanted)
                if rate is not None and rate > most:
                    first, most, sequences = fit, rate, n
                break
    if first is best:
        return found, None
    others = tuple(f for f in (best, *found.others) if f.placement != first.placement)[: len(found.others)]
    return found._replace(best=first, others=others, sequences=sequences), Faster(most, best.placement, usual)


class Shorter(NamedTuple):
    """A faster plan that a shorter context leaves room for, and its tokens a second."""

    context_tokens: int
    placement: Placement
    tokens_per_s: float


def shorter(found: Plans, ask: Ask, wanted: Wanted) -> Shorter | None:
    """The fastest plan that fits with less context than was chosen for the one in front, by more than the margin; None where none does."""
    best = found.best
    if ask.concurrency == 1 or not best.fits or (rate := _rate(found, best, ask, wanted)) is None:
        return None
    made: Shorter | None = None
    for placement in placements(found.model.architecture, ask):
        if cannot(found.model, placement, ask) or over_network(
            placement, found.model.architecture.facts.moe is not None, ask.gpus.device, ask.engine
        ):
            continue
        for n in at_once(ask, placement):
            asked = ask._replace(sequences=n)
            try:
                fit = judge(found.model, placement, asked, best.context_tokens, ask.concurrency)
                tokens = 0 if fit.fits else max_context(found.model, fit, asked) // 1024 * 1024
                fit = judge(found.model, placement, asked, tokens, ask.concurrency) if tokens > 2 * USUAL else fit
            except ArchcalcError:
                break
            at = _rate(found, fit, ask, wanted) if fit.context_tokens < best.context_tokens else None
            if at is not None and at > (made.tokens_per_s if made else MARGIN * rate):
                made = Shorter(tokens, placement, at)
    return made


def _rate(found: Plans, fit: Fit, ask: Ask, wanted: Wanted) -> float | None:
    made = of_fit(found, fit, ask, wanted) if fit.fits else None
    return made.tokens_per_s.value if made and made.tokens_per_s else None
