"""What is chosen where a question leaves it out: the longest context that fits, and on a machine of one's own how weights are stored.

A context that is named is a constraint, and so is a storage. Where none is named the model's own context is tried first, and then the
longest that some plan holds, in whole k.
"""

from __future__ import annotations

from collections.abc import Sequence

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
) -> Choice:
    """The weights as published, or as asked; where they do not fit, the first of `steps` that does.

    The rest are told of: each engine's first that fits, and what holds the whole context or comes closest to it. `brief` takes the first
    that holds enough of a context, as a list does, and tells of none.
    `free` is whether the engine was left out, and another may take what the CPU's memory holds. Raises what `analysis.fit.plans` raises.
    """
    if free and ask.engine == chosen_for(ask.gpus.device):
        ask = ask._replace(engine=reader(architecture, ask.gpus.device, ask.quant))
    published = held(architecture, ask, None, alternatives)
    if published.whole or (brief and published.enough):
        return Choice(published)
    tried = {ask.engine: [published]}
    steps = [step for step in steps if step.quant in server(step.engine).storages(architecture)]
    # The last of each engine is judged in any case: it comes closest where none fits.
    last = {step.engine: step for step in steps}
    for step in steps:
        under = tried.setdefault(step.engine, [])
        done = any(each.enough for each in under) if brief else under and under[-1].whole
        if done:
            continue
        asked = _under(ask, step)
        try:
            model = candidate(architecture, asked)
            if step is not last[step.engine] and too_heavy(model, asked):
                continue
            under.append(held(architecture, asked, model, alternatives, published=False))
        except ArchcalcError:
            continue
    every = [each for under in tried.values() for each in under]
    fitting = [each for each in every if each.found.best.fits]
    if not fitting and (free or LOCAL in tried) and (beside := beside_ram(architecture, ask, brief)) is not None:
        return Choice(beside, () if brief or beside.published else (published, beside))
    if not fitting:
        # With storages to choose from, the one that comes closest under the engine that was asked for, of those that it runs here.
        return Choice(max(tried[ask.engine], key=lambda each: (not each.found.best.start.refused, each.found.best.headroom_bytes)))
    # As published where that fits, for it is what was asked about; else what holds enough, of the engine asked for before others.
    first = [each for each in fitting if each.ask.engine == fitting[0].ask.engine]
    best = next((each for each in first if each.enough), first[0]) if brief or not published.found.best.fits else published
    if ask.ram_bytes is not None and (free or LOCAL in tried) and _under_four(best):
        # A larger card gets no worse weights: four bits with a part in the CPU's memory come before fewer on the GPU alone.
        gentler = beside_ram(architecture, ask, True)
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


def _under_four(best: Held) -> bool:
    """Whether a storage that was chosen comes behind those of four bits."""
    ladder = server(best.ask.engine).ladder
    last = max((i for i, quant in enumerate(ladder) if "4" in quant), default=len(ladder))
    return not best.published and best.ask.quant in ladder and ladder.index(best.ask.quant) > last


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


def beside_ram(architecture: Architecture, ask: Ask, brief: bool) -> Held | None:
    """The plans with part of the model in the CPU's memory, where its size was given and an engine in question can leave some there: in
    the storage that was asked for, in what is published in four bits, or in the first of four bits or less that fits; a list goes down to
    four."""
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
    return spilled(architecture, ask, quants[:1] if brief else quants)


def steps_of(device: Device, engine: str, *, alone: bool) -> tuple[Step, ...]:
    """The storages that are tried where none is named: on a machine of one's own all that its engine has, and those of GGUF files unless
    the engine stands `alone`, as one that was named does; on others none."""
    if not device.personal:
        return ()
    found = [Step(engine, quant) for quant in server(engine).ladder]
    if not alone and engine != LOCAL and not server(LOCAL).runs_on(device):
        found += [Step(LOCAL, quant) for quant in (None, *server(LOCAL).ladder)]
    return tuple(found)


def listed_steps(device: Device, engine: str) -> tuple[Step, ...]:
    """The storages that a list of models tries, as little as makes one fit: down to four bits on a machine of one's own, else the
    gentlest of the engine."""
    ladder = server(engine).ladder
    last = next((i for i, quant in enumerate(ladder) if "4" in quant), len(ladder) - 1) if device.personal else 0
    return tuple(Step(engine, quant) for quant in ladder[: last + 1])


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
    once = {fit.placement: fit for fit in (best, shortest.best)}.values() if best.start.starts else (shortest.best, best)
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
