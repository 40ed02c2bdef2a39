"""The plan and the number of requests that keep a time per token, or to the first one."""

from __future__ import annotations

from functools import partial
from math import ceil

from archcalc import report
from archcalc.analysis.fit import Ask, Fit, Plans, largest, plans
from archcalc.analysis.speed.fastest import Measure, Search, measure
from archcalc.analysis.speed.forecast import MARGIN, MOST_SEQUENCES, Forecast, Interval
from archcalc.analysis.speed.plan import Wanted
from archcalc.engines.placement import Placement
from archcalc.records import NamedTuple
from archcalc.units import format_seconds


class Target(NamedTuple):
    """The plan that does best under a target: its placement and concurrency, and its times in seconds; or the one that comes nearest.

    `limit` is what stops at so many requests where the target would let more run; empty where it does not. `unforecast` is a placement that
    fits and of which nothing is forecast, where there is one. `by` is what those that keep it were compared by.
    """

    placement: Placement
    concurrency: int
    met: bool
    tpot: float
    ttft: Interval | None
    limit: str = ""
    unforecast: Placement | None = None
    by: Measure = Measure(True)

    def beyond(self, wanted: Wanted) -> float:
        """How many times its targets it takes, kept as `keeps` says, of the one that it misses most."""
        kept = keeps(self.tpot, None if self.ttft is None else self.ttft.high)
        return max(value / target for value, target in zip(kept, (wanted.tpot, wanted.ttft), strict=True) if target is not None)


def keeps(tpot: float, ttft_high: float | None) -> tuple[float, float]:
    """The times that are compared with targets: to a token with the margin, to the first the end of its 80 %.

    Of the rows of unseen sources 9 % take longer to a token than that, and 7 % to the first (33 % longer than that forecast x 1.3).
    """
    return MARGIN * tpot, float("inf") if ttft_high is None else ttft_high


def under_target(found: Plans, ask: Ask, wanted: Wanted) -> Target | None:
    """The placement and the largest concurrency whose forecast, with the margin, keeps the target; most requests a second first.

    Where it is asked of so many requests, the placement that keeps it with those. None where nothing is forecast for any placement.
    """
    search, aims_first = Search(found, ask, wanted), wanted.ttft is not None
    least_of = {p: wanted.requests or p.dp for p in search.placements}

    def at(placement: Placement, n: int, prompts: bool = aims_first) -> Forecast | None:
        rated = search.rated(placement, n, prompts)
        return None if rated is None else rated.made

    def aims(placement: Placement, n: int) -> Target | None:
        made = at(placement, n)
        return None if made is None or made.tpot is None else Target(placement, n, False, made.tpot.value, made.ttft)

    def holds(placement: Placement, n: int) -> bool:
        near = aims(placement, n)
        return near is not None and near.beyond(wanted) <= 1

    def plain(p: Placement) -> tuple[bool, int, int]:
        return p.tp > ask.gpus.device.per_machine, p.pp, p.dp

    # The fewest requests of each: what they take, and what placements are compared by.
    first = {p: made for p, n in least_of.items() if (made := at(p, n, prompts=True)) is not None}
    by = measure(first.values())
    nears = {p: near for p, made in first.items() if made.tpot is not None and (near := aims(p, least_of[p])) is not None}
    best: tuple[float, Target] | None = None
    for placement, near in nears.items():
        one = first[placement].request_s if by.requests else first[placement].tpot
        assert one is not None
        if near.beyond(wanted) > 1:
            most = 0
        elif wanted.requests is None:
            # No request takes less among more: with fewer at once it makes no more than the best so far.
            least = ceil(best[0] * one.value) if best is not None else 1
            most = largest(partial(holds, placement), MOST_SEQUENCES, max(1, least)) if least <= MOST_SEQUENCES else 0
        else:
            most = wanted.requests
        made, kept = (at(placement, most, prompts=True), aims(placement, most)) if most else (None, None)
        rate = None if made is None else by.of(made)
        if kept is not None and rate is not None and (best is None or rate > best[0]):
            stops = wanted.requests is None and aims(placement, most + 1) is None
            limit = _limit(search.judged(placement, most + 1), at(placement, most + 1), most) if stops else ""
            best = rate, kept._replace(met=True, limit=limit, by=by)
    if best is not None:
        return best[1]
    if not nears:
        return None
    # Of several of which nothing is forecast one within machines is named, of those with fewest stages, and of those with fewest replicas.
    unforecast = min((p for p in first if p not in nears), key=plain, default=None)
    return min(nears.values(), key=lambda near: near.beyond(wanted))._replace(unforecast=unforecast)


def _limit(fit: Fit | None, more: Forecast | None, most: int) -> str:
    """Why one request more than those that keep a target is not told of."""
    if most == MOST_SEQUENCES:
        return f"no more than {MOST_SEQUENCES:,} are tried"
    if more is not None and more.why:
        return f"of more nothing is forecast: {more.why}"
    if fit is not None and fit.start.refused and fit.start.limit:
        return fit.start.limit
    return "more do not fit" if fit is None else f"the cache has no room for more of {fit.context_tokens:,} tokens"


def aimed(found: Plans, ask: Ask, wanted: Wanted) -> tuple[Plans, Ask, Target | None]:
    """The plan that does best under the target asked for, as the best; the same where there is no target."""
    if not wanted.aims:
        return found, ask, None
    # How many sequences a replica runs at most is chosen anew with how many requests there are.
    free = ask._replace(sequences=None) if ask.own is None else ask
    target = under_target(found, free, wanted)
    if target is None:
        return found, ask, None
    p = target.placement
    narrowed = free._replace(concurrency=target.concurrency, tp=p.tp, pp=p.pp, ep=p.ep, dp=p.dp)
    made = plans(found.model.architecture, narrowed, alternatives=0, model=found.model)
    if not found.others:
        return made, narrowed, target
    # The others are for as many requests at once as the plan that they stand beside.
    same = plans(found.model.architecture, free._replace(concurrency=target.concurrency), len(found.others) + 1, found.model)
    others = tuple(f for f in (same.best, *same.others) if f.placement != p)
    return made._replace(others=others[: len(found.others)]), narrowed, target


def goal(target: Target | None, wanted: Wanted, made: Forecast) -> report.FitTarget | None:
    """As printed, of the plan of which `made` is known; None where no target is asked for."""
    if not wanted.aims:
        return None
    return report.FitTarget(
        tpot_ms=None if wanted.tpot is None else round(1000 * wanted.tpot, 3),
        ttft_ms=None if wanted.ttft is None else round(1000 * wanted.ttft, 3),
        margin=MARGIN,
        met=bool(target and target.met),
        why=missed(target, wanted, made),
        limit=target.limit or None if target else None,
    )


def missed(target: Target | None, wanted: Wanted, made: Forecast) -> str | None:
    """Why a target that is asked for is not kept, how near a plan comes, and which; None where it is kept, or none is asked for. Where
    nothing is forecast of a plan that fits, what the bounds of `made` leave open."""
    if not wanted.aims:
        return None
    if target is None:
        least = None if not made.bound_tokens_per_s else made.load.concurrency / made.bound_tokens_per_s
        floors = ("a token", least, wanted.tpot), ("the first token", made.floor_s, wanted.ttft)
        said = [
            f"by the bound {what} takes at least {format_seconds(floor, least=True)}, which "
            + ("rules it out" if floor > aim else "leaves it open")
            for what, floor, aim in floors
            if floor is not None and aim is not None
        ]
        return "; ".join(["nothing is forecast for a plan that fits", *said])
    if target.met:
        return None
    missed = []
    token, first = keeps(target.tpot, target.ttft.high if target.ttft else None)
    if wanted.tpot is not None and token > wanted.tpot:
        missed.append(f"{_time(target.tpot)} a token, {_time(token, wanted.tpot)} with the margin")
    if wanted.ttft is not None and target.ttft is not None and first > wanted.ttft:
        missed.append(f"{_time(target.ttft.value)} to the first token, {_time(first, wanted.ttft)} at the end of its 80 %")
    nearest = f", {words}," if (words := target.placement.words) else ""
    if wanted.ttft is not None and target.ttft is None:
        unknown = "the first token is not forecast, so nothing shows that --ttft is kept"
        plan = nearest or " plan"
        slow = f"; the nearest{plan} comes to {' and '.join(missed)}, at {target.concurrency:,} at once" if missed else ""
        return unknown + slow
    other = f"; {target.unforecast.words} fits too, and nothing is forecast of it" if target.unforecast else ""
    of = "is forecast to keep" if other else "keeps"
    return (
        f"no plan that fits {of} it: the nearest{nearest} comes to {' and '.join(missed)}, at {target.concurrency:,} at once{other}"
    )


def _time(seconds: float, above: float = 0.0) -> str:
    """In three digits, and in as many more as show that it is `above` a target."""
    digits = next((n for n in range(3, 9) if float(f"{seconds:.{n}g}") > above), 9)
    if seconds < 0.9995:
        return f"{1000 * seconds:.{digits}g} ms"
    return f"{seconds:,.{digits}g} s" if seconds < 999.5 else f"{seconds:,.{max(0, digits - 4)}f} s"
