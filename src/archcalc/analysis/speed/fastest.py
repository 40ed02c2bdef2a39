"""Of the plans that fit, the one that is forecast to finish most requests, where several run at once."""

from __future__ import annotations

from collections.abc import Iterable

from archcalc.analysis.fit import Ask, Fit, Plans, cannot, judge, max_context, placements
from archcalc.analysis.speed.forecast import MARGIN, Forecast, over_network
from archcalc.analysis.speed.plan import USUAL, Wanted, at_once, of_fit
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement
from archcalc.errors import ArchcalcError
from archcalc.records import NamedTuple


class Rated(NamedTuple):
    """A placement that fits so many requests at once, what is forecast of it, and how many sequences a replica is told to run at most."""

    fit: Fit
    made: Forecast
    sequences: int | None


class Measure(NamedTuple):
    """What plans are compared by: whole requests a second, their wait for the first token included; or tokens as they decode where
    a first token is not forecast of all of them."""

    requests: bool

    def of(self, made: Forecast) -> float | None:
        """None where it is not forecast."""
        rate = made.requests_per_s if self.requests else made.tokens_per_s
        return None if rate is None else rate.value

    @property
    def words(self) -> str:
        return "requests" if self.requests else "tokens"


def measure(made: Iterable[Forecast]) -> Measure:
    """What all of these can be compared by."""
    return Measure(all(each.requests_per_s is not None for each in made if each.tpot is not None))


class Search:
    """The placements of a model on a machine, judged and forecast once for each number of requests that is asked about."""

    def __init__(self, found: Plans, ask: Ask, wanted: Wanted) -> None:
        self.found, self.ask, self.wanted = found, ask, wanted
        architecture = found.model.architecture
        self.moe = architecture.facts.moe is not None
        self.placements = [p for p in placements(architecture, ask) if not cannot(found.model, p, ask)]
        self._fits: dict[tuple[Placement, int], tuple[Fit, int | None] | None] = {}
        self._made: dict[tuple[Placement, int, bool], Forecast] = {}

    def near(self) -> list[Placement]:
        """Those of which each layer stays on a machine: of others nothing is forecast."""
        device, engine = self.ask.gpus.device, self.ask.engine
        return [p for p in self.placements if not over_network(p, self.moe, device, engine)]

    def judged(self, placement: Placement, n: int) -> Fit | None:
        """As a plan for so many: with the sequences that the engine runs by default, or with fewer where those leave no room."""
        held = self._judged(placement, n)
        return None if held is None else held[0]

    def rated(self, placement: Placement, n: int, prompts: bool = True) -> Rated | None:
        """None where it does not fit. Without `prompts` nothing is said of them, where that was not asked before."""
        held = self._judged(placement, n)
        if held is None or not held[0].fits:
            return None
        made = self._made.get((placement, n, True)) or self._made.get((placement, n, prompts))
        if made is None:
            made = of_fit(self.found, held[0], self.ask, self.wanted, prompts=prompts)
            self._made[placement, n, prompts] = made
        return Rated(held[0], made, held[1])

    def _judged(self, placement: Placement, n: int) -> tuple[Fit, int | None] | None:
        if (placement, n) not in self._fits:
            held: tuple[Fit, int | None] | None = None
            for sequences in at_once(self.ask._replace(concurrency=n), placement):
                asked = self.ask._replace(sequences=sequences)
                try:
                    fit = judge(self.found.model, placement, asked, self.found.best.context_tokens, n)
                except ArchcalcError:
                    continue
                held = (fit, sequences) if held is None or fit.fits else held
                if fit.fits:
                    break
            self._fits[placement, n] = held
        return self._fits[placement, n]


class Compared(NamedTuple):
    """What a choice rests on: the plan's rate by its measure, and that of the plan that it was compared with, None where nothing is
    forecast of it. `ahead` is whether it was chosen for its rate; else it is the usual one, which no other is ahead of by the margin."""

    by: Measure
    rate: float
    other: Placement
    other_rate: float | None
    ahead: bool


def fastest(found: Plans, ask: Ask, wanted: Wanted) -> tuple[Plans, Compared | None]:
    """The plans with the one in front that finishes most requests, where its forecast is ahead of the usual one by more than the margin
    that forecasts are held to. What it was compared with stands first among the others then, or where that finishes more. As they
    are for one sequence at once, for a command, and where nothing is forecast."""
    usual = found.best
    if wanted.aims or ask.own is not None or ask.concurrency == 1 or ask.gpus.count == 1 or not usual.fits:
        return found, None
    search = Search(found, ask, wanted)
    if server(ask.engine).layered or over_network(usual.placement, search.moe, ask.gpus.device, ask.engine):
        return found, None
    mine = of_fit(found, usual, ask, wanted)
    places = (p for p in search.near() if p != usual.placement)
    rated = [r for r in (search.rated(p, ask.concurrency) for p in places) if r is not None and r.made.tpot is not None]
    by = measure([mine, *(r.made for r in rated)])
    other = max(rated, key=lambda r: by.of(r.made) or 0.0, default=None)
    if other is None:
        return found, None
    # Of a batch that is too large for its graphs nothing is forecast, and of replicas that share it something is.
    rate, others_rate = by.of(mine), by.of(other.made) or 0.0
    shown = len(found.others)
    if rate is not None and others_rate <= MARGIN * rate:
        if others_rate > rate:
            beside = (other.fit, *(f for f in found.others if f.placement != other.fit.placement))
            found = found._replace(others=beside[:shown])
        return found, Compared(by, rate, other.fit.placement, others_rate, False)
    beside = tuple(f for f in (usual, *found.others) if f.placement != other.fit.placement)[:shown]
    made = found._replace(best=other.fit, others=beside, sequences=other.sequences)
    return made, Compared(by, others_rate, usual.placement, rate, True)


class Shorter(NamedTuple):
    """A faster plan that a shorter context leaves room for, and its rate."""

    context_tokens: int
    placement: Placement
    by: Measure
    rate: float


def shorter(found: Plans, ask: Ask, wanted: Wanted) -> Shorter | None:
    """The fastest plan that fits with less context than was chosen for the one in front, by more than the margin; None where none does."""
    best = found.best
    if ask.concurrency == 1 or not best.fits:
        return None
    mine = of_fit(found, best, ask, wanted)
    by = measure([mine])
    if (rate := by.of(mine)) is None:
        return None
    made: Shorter | None = None
    for placement in Search(found, ask, wanted).near():
        for n in at_once(ask, placement):
            asked = ask._replace(sequences=n)
            try:
                fit = judge(found.model, placement, asked, best.context_tokens, ask.concurrency)
                tokens = 0 if fit.fits else max_context(found.model, fit, asked) // 1024 * 1024
                fit = judge(found.model, placement, asked, tokens, ask.concurrency) if tokens > 2 * USUAL else fit
            except ArchcalcError:
                break
            at = by.of(of_fit(found, fit, ask, wanted)) if fit.fits and fit.context_tokens < best.context_tokens else None
            if at is not None and at > (made.rate if made else MARGIN * rate):
                made = Shorter(tokens, placement, by, at)
    return made
