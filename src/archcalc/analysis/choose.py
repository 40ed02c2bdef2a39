"""What is chosen where a question leaves it out: the longest context that fits, and on a machine of one's own how weights are stored.

A context that is named is a constraint, and so is a storage. Where none is named the model's own context is tried first, and then the
longest that some plan holds, in whole k.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from archcalc.analysis.fit import Ask, Candidate, Plans, candidate, max_context, plans, too_heavy
from archcalc.engines.engine import DEFAULT, LOCAL, chosen_for, server
from archcalc.errors import ArchcalcError
from archcalc.hardware import Device
from archcalc.model import Architecture
from archcalc.records import NamedTuple

LEAST = 4096
"""Tokens below which a context that was not asked for is of no use: a page of a document and an answer. A choice of ours; a model whose
own context is shorter has all of its use with that."""
ENOUGH = 16384
"""Tokens for which a list takes a smaller storage: a conversation with documents. A choice of ours too."""
_STEP = 1024


class Own(NamedTuple):
    """The model's own context, and the plans for it."""

    tokens: int
    found: Plans

    @property
    def fits(self) -> bool:
        return self.found.best.fits

    @property
    def headroom_bytes(self) -> int:
        return self.found.best.headroom_bytes


class Held(NamedTuple):
    """The plans of one storage under one engine, at the context that was asked for or chosen; `own` is None where one was asked for."""

    found: Plans
    ask: Ask
    own: Own | None
    published: bool

    @property
    def whole(self) -> bool:
        """Whether all that could be wanted fits: the context asked for, or else the model's own."""
        return self.found.best.fits and (self.own is None or self.own.fits)

    @property
    def enough(self) -> bool:
        """Whether it fits with a context that a list is content with."""
        return self.whole or (self.found.best.fits and self.found.best.context_tokens >= ENOUGH)


class Choice(NamedTuple):
    """What answers the question, and the storages that were tried for it where the published one does not hold all."""

    best: Held
    formats: tuple[Held, ...] = ()


class Step(NamedTuple):
    """A storage to try, and the engine that holds it so; None is what the engine makes of what is published."""

    engine: str
    quant: str | None


def choose(
    architecture: Architecture,
    ask: Ask,
    steps: Sequence[Step] = (),
    *,
    alternatives: int = 3,
    brief: bool = False,
    free: bool = False,
    usable: Callable[[Held], bool] = lambda held: True,
) -> Choice:
    """The weights as published, or as asked; where they do not hold enough of a context or are not fast enough to be `usable`, the first of
    `steps` that does and is.

    The rest are told of: each engine's first that fits, and what holds the whole context or comes closest to it; `brief`, for a list,
    gives the same answer and tells of none.
    `free` is whether the engine was left out, and another may take what the CPU's memory holds. Raises what `analysis.fit.plans` raises.
    """
    if free and ask.engine == chosen_for(ask.gpus.device):
        ask = ask._replace(engine=reader(architecture, ask.gpus.device, ask.quant))
    steps = [step for step in steps if step.quant in server(step.engine).storages(architecture)]
    # Most models of a list are far too large: as published they are judged only where nothing else fits.
    model = candidate(architecture, ask) if brief and steps else None
    skipped = model is not None and too_heavy(model, ask)
    tried: dict[str, list[Held]] = {ask.engine: []}
    seen: dict[int, bool] = {}

    def good(of: Held) -> bool:
        if id(of) not in seen:
            seen[id(of)] = of.enough and usable(of)
        return seen[id(of)]

    if not skipped:
        published = held(architecture, ask, model, alternatives)
        if (published.whole or brief) and good(published):
            return Choice(published)
        tried[ask.engine].append(published)
    # The last of each engine is judged in any case: it comes closest where none fits.
    last = {step.engine: step for step in steps}
    elements = sum(t.elements * n for part, t, n in architecture.each_tensor() if part == "decoder" and t.counted)
    for step in steps:
        if step is not last[step.engine] and elements * _bits(step.quant) > 8 * _whole(ask):
            continue
        under = tried.setdefault(step.engine, [])
        other = brief and step.engine != ask.engine and any(each.found.best.fits for each in tried[ask.engine])
        if other or (any(map(good, under)) if brief else under and under[-1].whole and good(under[-1])):
            continue
        asked = _under(ask, step)
        try:
            made = candidate(architecture, asked)
            if step is not last[step.engine] and too_heavy(made, asked):
                continue
            under.append(held(architecture, asked, made, alternatives, published=False))
        except ArchcalcError:
            continue
    if skipped and not any(each.found.best.fits for under in tried.values() for each in under):
        published = held(architecture, ask, model, alternatives)
        tried[ask.engine].insert(0, published)
    fitting = [each for under in tried.values() for each in under if each.found.best.fits]
    if not fitting and (free or LOCAL in tried) and (beside := beside_ram(architecture, ask)) is not None:
        return Choice(beside, () if brief or beside.published else (published, beside))
    if not fitting:
        # With storages to choose from, the one that comes closest under the engine that was asked for, of those that it runs here.
        return Choice(max(tried[ask.engine], key=lambda each: (not each.found.best.start.refused, each.found.best.headroom_bytes)))
    # Of the engine asked for before others: what holds enough, and of that what is fast enough.
    first = [each for each in fitting if each.ask.engine == fitting[0].ask.engine]
    first = [each for each in first if each.enough] or first
    best = next(filter(usable, first), first[0])
    if (
        ask.ram_bytes is not None
        and (free or LOCAL in tried)
        and not best.published
        and under_four(best.ask.engine, best.ask.quant or "")
    ):
        # A larger card gets no worse weights: four bits with a part in the CPU's memory come before fewer on the GPU alone.
        gentler = beside_ram(architecture, ask, four=True)
        if gentler is not None and (gentler.enough or not best.enough):
            return Choice(gentler, () if brief else (published, gentler, best))
    if brief:
        return Choice(best)
    told = [published]
    for under in tried.values():
        of = [each for each in under if each.found.best.fits]
        # Of each engine the gentlest, the last, and the four bits that most people take.
        usual = next((each for each in of if "4" in (each.ask.quant or "")), None)
        of_note = [id(each) for each in (*of[:1], *of[-1:], usual, best)]
        told += [each for each in of if each is not published and id(each) in of_note]
    return Choice(best, tuple(told) if len(told) > 1 else ())


def _bits(quant: str | None) -> int:
    """No fewer bits of each weight than a storage has, by its name: 8 of fp8 and q8_0, 4 of w4a16 and q4_k_m."""
    digit = re.search("[0-9]", quant or "")
    return int(digit[0]) if digit else 0


def _whole(ask: Ask) -> int:
    """All memory of the GPUs, in bytes."""
    return sum(device.visible_bytes for device in ask.gpus.each)


def under_four(engine: str, quant: str) -> bool:
    """Whether a storage comes behind those of four bits on the engine's ladder."""
    ladder = server(engine).ladder
    last = max((i for i, each in enumerate(ladder) if "4" in each), default=len(ladder))
    return quant in ladder and ladder.index(quant) > last


def reader(architecture: Architecture, device: Device, quant: str | None) -> str:
    """The engine where none is named: the device's, unless the weights are published as that reads none and another does, as AWQ's packed
    ones, of which no GGUF file is made; on a machine of one's own the one whose files GGUF's types are, where one of them is asked for."""
    from archcalc.quant import file_type_of

    usual = chosen_for(device)
    if quant is not None and device.personal and file_type_of(quant) and not server(LOCAL).runs_on(device):
        return LOCAL
    if quant is not None or architecture.quantization is None or usual == DEFAULT:
        return usual
    try:
        server(usual).load(architecture, None, device)
    except ArchcalcError:
        other = server(DEFAULT)
        try:
            other.load(architecture, None, device)
        except ArchcalcError:
            return usual
        return usual if other.runs_on(device) else DEFAULT
    return usual


def beside_ram(architecture: Architecture, ask: Ask, four: bool = False) -> Held | None:
    """The plans with part of the model in the CPU's memory, where its size was given and an engine in question can leave some there: in
    the storage that was asked for, in what is published in four bits, or in the first of four bits or less that fits, with `four` in that
    of four bits alone."""
    if ask.ram_bytes is None:
        return None
    from archcalc.analysis.beside_ram import spilled
    from archcalc.quant import method_of

    own, ladder = architecture.quantization, server(LOCAL).ladder
    quants: tuple[str | None, ...] = ladder[next((i for i, quant in enumerate(ladder) if "4" in quant), 0) :]
    if ask.quant is not None:
        quants = (ask.quant,)
    elif server(LOCAL).storages(architecture) == (None,) or (own is not None and method_of(own) == "gguf"):
        quants = (None,)
    return spilled(architecture, ask, quants[:1] if four else quants)


def steps_of(device: Device, engine: str, *, alone: bool, listed: bool = False) -> tuple[Step, ...]:
    """The storages that are tried where none is named: on a machine of one's own all that its engine has, and those of GGUF files unless
    the engine stands `alone`, as one that was named does; on others none, as a deployment is of the weights that were asked about, and for
    a list of what such a machine can run the gentlest of the engine."""
    if not device.personal:
        return tuple(Step(engine, quant) for quant in server(engine).ladder[:1]) if listed else ()
    found = [Step(engine, quant) for quant in server(engine).ladder]
    if not alone and engine != LOCAL and not server(LOCAL).runs_on(device):
        found += [Step(LOCAL, quant) for quant in (None, *server(LOCAL).ladder)]
    return tuple(found)


def _under(ask: Ask, step: Step) -> Ask:
    if step.engine == ask.engine:
        return ask._replace(quant=step.quant)
    return Ask(ask.gpus, step.engine, ask.context_tokens, ask.concurrency, quant=step.quant, ram_bytes=ask.ram_bytes)


def held(
    architecture: Architecture, ask: Ask, model: Candidate | None = None, alternatives: int = 0, *, published: bool = True
) -> Held:
    """The plans at the context asked for, else at the model's own, else at the longest that fits; `model` as for `analysis.fit.plans`."""
    found = plans(architecture, ask, alternatives, model)
    if ask.context_tokens is not None or (ask.own is not None and not server(ask.engine).lowers_context(ask)):
        return Held(found, ask, None, published)
    best = found.best
    own = Own(best.context_tokens, found)
    if best.fits or own.tokens <= LEAST:
        return Held(found, ask._replace(context_tokens=own.tokens), own, published)

    def at(tokens: int, others: int = 0) -> Plans:
        return plans(architecture, ask._replace(context_tokens=tokens), others, found.model)

    def holds(steps: int) -> bool:
        return at(steps * _STEP).best.fits

    shortest = at(LEAST)
    if not shortest.best.fits:
        return Held(at(LEAST, alternatives) if alternatives else shortest, ask._replace(context_tokens=LEAST), own, published)
    low, high = LEAST // _STEP, -(-own.tokens // _STEP)
    # What one plan holds is soon found, and mostly all that any does.
    alike = best.start.starts and ask.gpus.count == 1
    once = {fit.placement: fit for fit in (best, shortest.best)}.values() if alike else (shortest.best, best)
    near = max(max_context(found.model, fit, ask) for fit in once) // _STEP
    if low < near < high and holds(near):
        low = near
        if not holds(low + 1):
            high = low + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    tokens = _STEP * low
    return Held(at(tokens, alternatives), ask._replace(context_tokens=tokens), own, published)
