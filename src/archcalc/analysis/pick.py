"""Which bundled model, weight format and plan suit a machine, from what fits and how fast it could be. Quality is not ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from archcalc import report, units, zoo
from archcalc.analysis.choose import Step, steps_of, under_four
from archcalc.analysis.fit import Ask, plans
from archcalc.analysis.params import components
from archcalc.analysis.speed.plan import USUAL, Wanted
from archcalc.analysis.speed.targets import keeps, under_target
from archcalc.analysis.verdict import USABLE_TOKENS_PER_S, allowed, fit_report, is_slow
from archcalc.engines.engine import server
from archcalc.engines.plan import longest_of
from archcalc.errors import ArchcalcError
from archcalc.loader import Loaded, load
from archcalc.model import Architecture

TASKS = ("chat", "code", "reasoning", "long-context")
OTHER_LICENSE, OTHER_TASK, SHORTER = "under another license", "not published for code", "made for a shorter context"
OTHER_FAMILY = "of another family"
NO_TEXT = "that write no text"
UNPLACED, TOO_LARGE, TOO_SLOW = "that cannot be placed so", "too large", "too slow by the bandwidth bound"
MISSES, UNFORECAST = "whose forecast misses the target", "of which nothing is forecast there"
"""Why a model is left out: what `n models` is followed by."""
# What publishers call the models: a fact of their names and cards, no judgement of ours.
_CODE = ("coder", "codellama", "devstral", "starcoder")


def pick(
    ask: Ask,
    *,
    task: str | None,
    max_tpot: float | None,
    license_word: str | None,
    max_quant: str | None,
    family: str | None = None,
    wanted: Wanted | None = None,
    steps: Sequence[Step] = (),
    most: int | None = 10,
    unsaid: Sequence[str] = (),
) -> report.Pick:
    """The bundled models that meet the requirements, the newest and largest first, `most` of them behind the best: then no others are
    judged, unless `most` is None or their order is known from the plans alone.

    Weights are as published, or as little as makes them fit in one of `steps`, or down to `max_quant`.

    `max_tpot` is seconds for each token of each sequence, compared with the bound that bandwidth sets: a model that misses the bound
    cannot meet it, one that meets it may. Targets of `wanted` are compared with the forecast times its margin at the concurrency asked for.
    """
    # Under a target the plan is chosen that keeps it with as many requests, at the context that would be taken without.
    wanted = (wanted or Wanted())._replace(requests=ask.concurrency, whole=True)
    # Who names a time per token has said what is fast enough.
    timed = max_tpot is not None or wanted.tpot is not None
    not_judged = first = 0
    found: list[report.Picked] = []
    said: dict[str, list[str]] = {}
    longest_of_all = 0
    left_out: dict[str, int] = {}
    tasks = {entry.name: entry.task for entry in zoo.entries()}

    def fine(fit: report.FitReport) -> bool:
        if wanted.ttft is not None and fit.speed.ttft_ms is None and fit.speed.prefill_ms_floor is None:
            # No matrix rate of the GPU is known, which the first token needs in any storage.
            return True
        if max_tpot is not None:
            floor = _floor(fit)
            return floor is not None and floor <= max_tpot and not _misses(fit.speed, wanted)
        return is_fine(fit, wanted)

    def standing(p: report.Picked) -> int:
        unrated = p.ram_bytes > 0 and p.tokens_per_s is None and wanted.ram_bytes_per_s is None
        return rank(not timed and _slow(p, ask.concurrency), unrated or bool(tasks[p.name]), p.engine, p.plan.quant)

    models = [(entry, load(entry.name)) for entry in zoo.entries()]
    if task != "long-context":
        models.sort(key=lambda of: _newest(of[0].release, *_sizes(of[1])))
    for entry, loaded in models:
        why = ""
        if license_word and license_word.lower() not in (entry.license or "").lower():
            why = OTHER_LICENSE
        elif family and family.lower() not in entry.family.lower():
            why = OTHER_FAMILY
        elif task == "code" and not any(word in entry.name for word in _CODE):
            why = OTHER_TASK
        elif entry.use:
            why = NO_TEXT
        longest = longest_of(loaded.architecture, ask)
        longest_of_all = max(longest_of_all, longest or 0)
        if not why and ask.context_tokens and longest and ask.context_tokens > longest:
            why = SHORTER
        if not why and _far_too_large(loaded.architecture, ask, max_quant):
            why = TOO_LARGE
        if not why and most is not None and first > most and task != "long-context":
            # All that come behind are smaller or older.
            not_judged += 1
            continue
        if not why:
            try:
                aimed = fine if wanted.aims or max_tpot is not None else None
                fit = listed(loaded, ask, max_quant=max_quant, wanted=wanted, steps=steps, fine=aimed, unsaid=unsaid)
            except ArchcalcError:
                why = UNPLACED
        if not why and not fit.fits:
            why = TOO_LARGE
        if not why:
            tpot = _floor(fit)
            if max_tpot is not None and (tpot is None or tpot > max_tpot):
                why = TOO_SLOW
            elif _misses(fit.speed, wanted):
                why = UNFORECAST if _unknown(fit.speed, wanted) else MISSES
            else:
                found.append(_picked(entry, loaded, fit, tpot))
                first += standing(found[-1]) == 0
                # What to put for a placeholder of the command.
                said[entry.name] = [note for note in fit.notes if "<" in note]
        if why:
            left_out[why] = left_out.get(why, 0) + 1
    found.sort(key=lambda p: (standing(p), *_order(task, p)))
    return report.Pick(
        schema_version=report.SCHEMA_VERSION,
        gpu=ask.gpus.device.id,
        gpus=ask.gpus.count,
        machine=ask.gpus.named,
        engine=ask.engine,
        context_tokens=ask.context_tokens,
        concurrency=ask.concurrency,
        task=task,
        best=found[0] if found else None,
        why=_reasons(found[0], found[1:], task, ask.concurrency) if found else [],
        runners_up=found[1:] if most is None else found[1 : 1 + most],
        left_out=left_out,
        not_judged=not_judged,
        notes=[
            "quality is not ranked: no scores are bundled; among what meets the requirements "
            + ("" if timed else f"{SLOW_LAST}, then ")
            + ("the cheapest cache of a long context" if task == "long-context" else NEWEST),
            "a floor is a bound of the bandwidth, with the whole context before the token; a forecast stands beside it with its 80 % where "
            "there are measurements, of requests as long as --isl and --osl say",
            *ask.gpus.notes,
            *(said[found[0].name] if found else []),
            *([] if found else _remedies(left_out, longest_of_all, wanted)),
        ],
    )


def _floor(fit: report.FitReport) -> float | None:
    """The least seconds of a token with the whole context before it, by the bandwidth; None where that is not known."""
    rate = fit.speed.bound_tokens_per_s_whole_context
    return fit.concurrency / rate if rate else None


def _far_too_large(a: Architecture, ask: Ask, max_quant: str | None) -> bool:
    """Whether the layers alone, in the fewest bits that any format of a list has, are more than all GPUs have."""
    bits = _FEWEST if a.quantization is None and max_quant is None else _FEWEST_PUBLISHED
    elements = sum(t.elements * n for part, t, n in a.each_tensor() if part == "decoder" and t.counted)
    return elements * bits > 8 * ((ask.ram_bytes or 0) + sum(device.visible_bytes for device in ask.gpus.each))


_FEWEST, _FEWEST_PUBLISHED = 2, 1
"""Bits of a weight: no list goes below two of what is published in more (`choose.steps_of`), and publishers not below one."""
NEWEST = "the newest and largest first: each half year that a model is older than the newest counts as half its size"
SLOW_LAST = (
    f"those of {USABLE_TOKENS_PER_S:g} tokens/s and more for each sequence come first, twice as fast as people read, and of them those of "
    "four bits and more that were made for no single task"
)


def rank(slow: bool, behind: bool, engine: str, quant: str) -> int:
    """0 for what stands before all else, 1 for what nobody knows the speed of and what was made for one task (`behind`), 2 for weights of
    fewer than four bits, 3 for what is too slow to be used."""
    return 3 if slow else 2 if under_four(engine, quant) else int(behind)


def _rate(p: report.Picked) -> str:
    return (
        f"{units.format_rate(p.tokens_per_s)} tokens/s"
        if p.tokens_per_s is not None
        else f"at least {units.format_seconds(p.tpot_seconds_floor or 0, least=True)} a token"
    )


def _slow(p: report.Picked, concurrency: int) -> bool:
    floor = p.tpot_seconds_floor
    return is_slow(p.tokens_per_s, concurrency / floor if floor else None, concurrency)


def listed(
    loaded: Loaded, ask: Ask, *, max_quant: str | None, wanted: Wanted, steps: Sequence[Step],
    fine: Callable[[report.FitReport], bool] | None, unsaid: Sequence[str] = (),
) -> report.FitReport:  # fmt: skip
    """A model of a list as `fit_report` says, which is what it says of the model by its name; where that is not `fine` by a target, in the
    first smaller storage that may be tried in which it is."""

    def made(asked: Ask) -> report.FitReport:
        return fit_report(loaded, asked, brief=True, max_quant=max_quant, wanted=wanted, steps=steps, unsaid=unsaid)

    first = made(ask)
    if fine is None or not first.fits or ask.quant is not None or fine(first):
        return first
    tried = allowed(ask.engine, max_quant) if max_quant else [step.quant for step in steps if step.engine == ask.engine]
    others = (asked for asked in smaller(loaded, ask, first, tried) if _could_keep(loaded, asked, wanted))
    return next((each for each in map(made, others) if each.fits and fine(each)), first)


def _could_keep(loaded: Loaded, ask: Ask, wanted: Wanted) -> bool:
    """Whether some plan keeps a target of so many requests with room for those alone. Where none does none does with room for longer ones:
    the time of a request of these lengths is the same, and fewer plans hold more. True where there is no such target."""
    if not wanted.aims or wanted.requests is None or wanted.engine is not None:
        return True
    context = wanted.context(ask.context_tokens) or 2 * USUAL
    asked = ask._replace(context_tokens=min(context, longest_of(loaded.architecture, ask) or context))
    try:
        found = plans(loaded.architecture, asked, alternatives=0)
        target = under_target(found, found.asked(asked), wanted) if found.best.fits else None
    except ArchcalcError:
        return False
    return target is not None and target.met


def smaller(loaded: Loaded, ask: Ask, first: report.FitReport, tried: Sequence[str | None]) -> Iterator[Ask]:
    """The question in each of the storages that are tried, gentlest first, which a model has and which come behind that of `first`."""
    left = list(tried)
    if first.plan.quant in left:
        left = left[left.index(first.plan.quant) + 1 :]
    has = server(ask.engine).storages(loaded.architecture)
    yield from (ask._replace(quant=quant) for quant in left if quant in has)


def keeping(
    loaded: Loaded, ask: Ask, first: report.FitReport, max_quant: str | None, make: Callable[[Ask], report.FitReport]
) -> report.FitReport:
    """The report of a model that is asked for by name where it misses a target: with `max_quant` that of the first smaller storage, down to
    it, that keeps the target; without, the same, which says in which storage of a list of models it would be kept."""
    target = first.speed.target
    if not first.fits or target is None or target.met or ask.quant is not None or max_quant == "none":
        return first
    tried = (
        allowed(ask.engine, max_quant)
        if max_quant
        else [step.quant for step in steps_of(ask.gpus.device, ask.engine, alone=True, listed=True)]
    )
    for asked in smaller(loaded, ask, first, tried):
        made = make(asked)
        if made.fits and made.speed.target is not None and made.speed.target.met:
            if max_quant:
                return made
            target.why = f"{target.why}; --quant {asked.quant} keeps it, with {made.speed.concurrency:,} at once"
            break
    return first


def is_fine(of: report.FitReport, wanted: Wanted) -> bool:
    """Whether it keeps the targets that are asked for; where none is of the time per token, whether it is fast enough to be used."""
    kept = of.speed.target.met if of.speed.target is not None else not _misses(of.speed, wanted)
    slow = is_slow(of.speed.decode_tokens_per_s, of.decode_tokens_per_s_ceiling, of.concurrency)
    return kept and (wanted.tpot is not None or not slow)


def _misses(s: report.FitSpeed, wanted: Wanted) -> bool:
    """Whether a target is asked for and the forecast does not keep it, or there is none."""
    if not wanted.aims:
        return False
    if _unknown(s, wanted):
        return True
    token, first = keeps((s.tpot_ms or 0.0), s.ttft_ms_high)
    return any(t is not None and ms > 1000 * t for ms, t in ((token, wanted.tpot), (first, wanted.ttft)))


def _unknown(s: report.FitSpeed, wanted: Wanted) -> bool:
    """Whether a time for which a target is asked is not forecast."""
    return (wanted.tpot is not None and s.tpot_ms is None) or (wanted.ttft is not None and s.ttft_ms is None)


def _remedies(left_out: dict[str, int], longest: int, wanted: Wanted) -> list[str]:
    """What to ask for instead where nothing is left, by what left most models out."""
    unknown = "a token's time" if wanted.ttft is None else "the first token"
    licenses = sorted({entry.license for entry in zoo.entries() if entry.license})
    said = {
        OTHER_LICENSE: f"licenses of the bundled models: {', '.join(licenses)}",
        OTHER_FAMILY: f"families of the bundled models: {', '.join(sorted({entry.family for entry in zoo.entries()}))}",
        OTHER_TASK: "any other --task, or none, takes models by what fits",
        NO_TEXT: "`archcalc fit MODEL` places a model that makes embeddings",
        SHORTER: f"the longest context of a bundled model is {units.format_tokens(longest)}: ask for a shorter --ctx",
        TOO_LARGE: "a shorter --ctx, fewer at once (--concurrency), a smaller --kv-dtype, --max-quant w4a16 (q4_k_m under llama.cpp) or "
        "more GPUs make more of them fit",
        TOO_SLOW: "a larger --max-tpot, more GPUs or faster ones leave more of them",
        MISSES: "a larger --tpot or --ttft, fewer at once (--concurrency), or more or faster GPUs leave more of them",
        UNFORECAST: f"{unknown} is not forecast there, which no larger target changes (`archcalc fit MODEL` says why):"
        + (" --max-tpot takes what the bandwidth does not rule out" if wanted.ttft is None else " leave --ttft out"),
        UNPLACED: "`archcalc fit MODEL` with the same options says why one cannot be placed",
    }
    return [said[why] for why, _ in sorted(left_out.items(), key=lambda item: -item[1])]


def _order(task: str | None, p: report.Picked) -> tuple[float, ...]:
    if task == "long-context":
        return (-float(p.max_context_tokens), float(p.kv_bytes_per_token), -float(p.params_total))
    return _newest(p.release, p.params_total, p.params_active)


def _newest(release: str | None, total: int, active: int) -> tuple[float, ...]:
    """The order where nothing is asked of it: the newest and largest first."""
    return -zoo.standing(total, release), float(active)


def _sizes(loaded: Loaded) -> tuple[int, int]:
    """Parameters in all and active, without those of MTP layers."""
    parts = [c for c in components(loaded.architecture) if c.part != "mtp"]
    return sum(c.total for c in parts), sum(c.active for c in parts)


def _picked(entry: zoo.Entry, loaded: Loaded, fit: report.FitReport, tpot: float | None) -> report.Picked:
    from archcalc.figures import memory

    a = loaded.architecture
    total, active = _sizes(loaded)
    return report.Picked(
        name=entry.name,
        repo=entry.repo,
        license=entry.license,
        release=entry.release,
        params_total=total,
        params_active=active,
        attention=a.facts.attention,
        engine=fit.engine,
        plan=fit.plan,
        headroom_bytes=fit.per_gpu.headroom_bytes,
        max_context_tokens=fit.max_context_tokens,
        max_concurrency=fit.max_concurrency,
        kv_bytes_per_token=sum(k.bytes_per_token for k in memory.textbook(a, fit.context_tokens, 1, 2)),
        tpot_seconds_floor=None if tpot is None else int(tpot * 1e5) / 1e5,
        isl=fit.speed.isl,
        osl=fit.speed.osl,
        tpot_ms=fit.speed.tpot_ms,
        tpot_ms_low=fit.speed.tpot_ms_low,
        tpot_ms_high=fit.speed.tpot_ms_high,
        tokens_per_s=fit.speed.decode_tokens_per_s,
        context_tokens=fit.context_tokens,
        ram_bytes=fit.ram.used_bytes,
        command=fit.command,
        ttft_ms=fit.speed.ttft_ms,
        requests_per_s=fit.speed.requests_per_s,
        bound_tokens_per_s=fit.speed.bound_tokens_per_s,
        usd_per_hour=fit.usd_per_hour,
        usd_per_million_output_tokens=fit.cost.usd_per_million_output_tokens if fit.cost else None,
        price_of=fit.cost.of if fit.cost else None,
    )


def _reasons(best: report.Picked, others: Sequence[report.Picked], task: str | None, concurrency: int) -> list[str]:
    """What the choice rests on, in terms of the knobs, and what the next ones would trade."""
    spec = _architecture(best.name)
    out = []
    if best.params_active < best.params_total:
        share = units.format_share(best.params_active, best.params_total)
        part = "MoE" if spec.facts.moe else "tables that are looked up"
        whole, read = units.format_count(best.params_total), units.format_count(best.params_active)
        out.append(f"{part}: memory holds {whole}, a token reads {read} ({share})")
    else:
        out.append(f"dense: every token reads all {units.format_count(best.params_total)}")
    layers: dict[str, int] = {}
    for stack in spec.stacks:
        if stack.part == "decoder":
            for layer, n in zip(stack.kinds, stack.counts(), strict=True):
                for kind in {cache.kind for cache in layer.caches}:
                    layers[kind] = layers.get(kind, 0) + n
    token = f"one more token costs {units.format_bytes(best.kv_bytes_per_token)}"
    for kind, text in (
        ("latent", "MLA: one compressed latent a token serves all heads"),
        ("state", "linear attention: a state that does not grow"),
        ("sliding", "sliding windows"),
        ("chunked", "chunked attention"),
    ):
        if kind in layers:
            out.append(f"{text}, in {layers[kind]} of {spec.layers} layers; {token}")
    if layers.keys() <= {"full"}:
        f = spec.facts
        shared = f"{f.heads} queries share {f.kv_heads} KV heads" if f.kv_heads < f.heads else "every query has keys of its own"
        out.append(f"{f.attention}: {shared}; {token}")
    if best.plan.quant not in ("bf16", "fp16"):
        out.append(f"weights in {best.plan.quant}: fewer bytes to hold and to read for each token")
    larger = next((p for p in others if p.params_total > best.params_total and _slow(p, concurrency)), None)
    if larger is not None and not _slow(best, concurrency):
        out.append(f"{larger.name} has {units.format_count(larger.params_total)} parameters, and stands behind: {_rate(larger)}")
    for other in others[:3]:
        trade = []
        if other.tpot_seconds_floor and best.tpot_seconds_floor and best.tpot_seconds_floor > 1.05 * other.tpot_seconds_floor:
            trade.append(f"{best.tpot_seconds_floor / other.tpot_seconds_floor:.1f} times as fast at best")
        lengths = units.format_tokens(other.context_tokens), units.format_tokens(best.context_tokens)
        held = units.format_held(other.max_concurrency), units.format_held(best.max_concurrency)
        if lengths[0] != lengths[1]:
            # Sequences of other lengths cannot be compared.
            trade.append(f"{lengths[0]} tokens of context in place of {lengths[1]}")
        elif other.max_concurrency > best.max_concurrency and held[0] != held[1]:
            trade.append(f"{held[0]} sequences in place of {held[1]}")
        sizes = units.format_count(other.params_total), units.format_count(best.params_total)
        if sizes[0] != sizes[1]:
            trade.append(f"{sizes[0]} parameters in place of {sizes[1]}")
        out.append(f"{other.name} instead: {', '.join(trade) if trade else 'the same in size, with no gain in speed or room'}")
    return out


def _architecture(name: str) -> Architecture:
    spec = zoo.spec(name)
    return spec if spec is not None else load(name).architecture
