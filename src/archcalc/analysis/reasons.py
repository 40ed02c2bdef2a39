"""Why a plan is the one that was chosen: what its forecast was compared with, what was asked for, and the rules of preference."""

from __future__ import annotations

from archcalc import units
from archcalc.analysis.fit import Ask, Plans, copies_cache
from archcalc.analysis.speed.fastest import Compared
from archcalc.analysis.speed.forecast import MARGIN
from archcalc.analysis.speed.targets import Target
from archcalc.analysis.speed.terms import Load
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement
from archcalc.engines.plan import machines


def why(found: Plans, ask: Ask, compared: Compared | None = None, load: Load | None = None, target: Target | None = None) -> str:
    """Why this placement, in words; `load` is what its forecast was compared with others' for, `target` what became of one."""
    if target is not None and _free(ask):
        return _aimed(target)
    if compared is None:
        return _placed(found, ask)
    by, rate, other = compared.by, units.format_rate(compared.rate), compared.other.words
    others = "not forecast" if compared.other_rate is None else units.format_rate(compared.other_rate)
    of = f", of {units.format_tokens(load.isl)} prompt and {units.format_tokens(load.osl)} output tokens" if load else ""
    at_once = f"{ask.concurrency:,} at once{of}"
    if compared.ahead:
        of_other = f"{other} is not forecast" if compared.other_rate is None else f"{other} {others}"
        return f"the most {by.words} of the splits that fit: {rate} a second forecast with {at_once}; {of_other}"
    if compared.other_rate is None or compared.other_rate <= compared.rate:
        return f"{_placed(found, ask)}; no other split that fits is forecast to make more {by.words} with {at_once}"
    near = f"less than x {MARGIN:g} apart, which forecasts are held to"
    return f"{_placed(found, ask)}; {other} is forecast {others} {by.words} a second with {at_once}, this {rate}: {near}"


def _placed(found: Plans, ask: Ask) -> str:
    """Why this placement by the rules of preference."""
    p = found.best.placement
    if asked := [name for name in ("tp", "pp", "ep", "dp") if getattr(ask, name)]:
        return _rest(p, ask, asked)
    if ask.gpus.count == 1:
        return "one GPU"
    if server(ask.engine).layered:
        return "layers spread over the GPUs"
    if not found.best.fits and found.others:
        return "no split fits; this one comes closest"
    moe = found.model.architecture.facts.moe
    copied = copies_cache(found.model.architecture)
    if copied and moe and p.dp > 1 and p.ep == ask.gpus.count:
        return _spread(found, ask, moe.experts)
    if p.dp == 1 and p.pp == 1 and p.tp == ask.gpus.count:
        copies = "; it costs a copy of the latent cache on each" if copied else ""
        count, link = machines(ask.gpus), ask.gpus.device.link
        shared = (
            "they share a machine"
            if count == 1
            else f"{link} joins them, on {count:,} hosts"
            if not ask.gpus.networked
            else (f"they are {count:,} machines, which exchange over the network in each layer")
        )
        return f"tensor parallelism over all GPUs: {shared}, and every GPU works on every token{copies}"
    parts = []
    if p.tp > 1:
        parts.append(f"tensor parallelism of {p.tp}, the widest that the model, the machine and what is asked for take")
    if p.pp > 1:
        rest = " over the rest" if p.tp * p.dp > 1 else ""
        parts.append(f"{p.pp} pipeline stages{rest}, which idle unless as many requests are under way")
    if p.dp > 1:
        parts.append(
            f"{p.dp} replicas, each with {'the attention' if moe and not found.model.options.apart else 'all'} of the weights"
        )
    if found.refused:
        parts.append(f"because {found.refused[0]}")
    return "; ".join(parts)


def _spread(found: Plans, ask: Ask, experts: int) -> str:
    """Why attention is in replicas, what that is better than, and what it costs."""
    p = found.best.placement
    of = f" of {p.tp} GPUs" if p.tp > 1 else ""
    other = next((f for f in found.others if f.placement.dp == 1), None)
    held = units.format_held(found.best.max_concurrency)
    better = f": {other.placement.words} holds {units.format_held(other.max_concurrency)} sequences, this {held}" if other else ""
    network = ", between machines over the network" if ask.gpus.networked else ""
    return (
        f"attention in {p.dp} replicas{of}, the {experts:,} experts spread over all {ask.gpus.count:,} GPUs, for tensor parallelism keeps a"
        f" copy of the latent cache on each of its ranks{better}; it costs the attention's weights on every replica and an exchange of"
        f" tokens among all GPUs in each layer{network}: one sequence alone is slower"
    )


def _free(ask: Ask) -> bool:
    """Whether there are splits to choose from."""
    return ask.gpus.count > 1 and not server(ask.engine).layered and not any((ask.tp, ask.pp, ask.ep, ask.dp))


def _aimed(target: Target) -> str:
    if not target.met:
        return "the split that comes nearest to the target"
    return f"of the splits that keep the target, the one that is forecast to make most {target.by.words}"


def _rest(p: Placement, ask: Ask, asked: list[str]) -> str:
    """What was asked of the placement, and what the other GPUs do."""
    chosen = [name for name in ("tp", "pp", "dp") if name not in asked and getattr(p, name) > 1]
    if not chosen:
        return "as asked"
    rest = ", ".join(f"{name} {getattr(p, name)}" for name in chosen)
    copies = f": {p.dp} replicas that share the requests" if "dp" in chosen else ""
    return f"{', '.join(asked)} as asked, and {rest} so that all {ask.gpus.count:,} GPUs are used{copies}"
