"""A fit as a report: the verdict in words, the figures of the fullest GPU, what else was tried, and the command that starts it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from archcalc import hardware, report, units
from archcalc.analysis import advice, kv, roofline
from archcalc.analysis.choose import Held, Own, Step, beside_ram, choose, reader
from archcalc.analysis.command import start, with_storage
from archcalc.analysis.fit import Ask, Candidate, Fit, Plans, judge, max_context
from archcalc.analysis.host_memory import could_have_more, ram_is_shared, ram_unused, to_raise_first
from archcalc.analysis.reasons import why
from archcalc.analysis.speed import plan as speed
from archcalc.analysis.speed.fastest import fastest
from archcalc.analysis.speed.fastest import shorter as shorter_held
from archcalc.analysis.speed.forecast import Forecast
from archcalc.analysis.speed.targets import aimed, goal, missed
from archcalc.engines.engine import LOCAL, server
from archcalc.engines.plan import Command, largest, longest_of, stretching
from archcalc.errors import UsageError
from archcalc.figures.checkpoint import base_dtype
from archcalc.loader import Loaded
from archcalc.model import Architecture
from archcalc.records import NamedTuple


def fit_report(
    loaded: Loaded,
    ask: Ask,
    *,
    brief: bool = False,
    max_quant: str | None = None,
    given: Given | None = None,
    wanted: speed.Wanted | None = None,
    steps: Sequence[Step] = (),
    unsaid: Sequence[str] = (),
) -> report.FitReport:
    """Judge a model on a machine. `brief` leaves out the alternatives and what would make it fit; `wanted` is what is asked of speed.

    `given` is the engine's command that was asked about, which is printed as it is.

    With `max_quant` weights may be quantized down to that, as little as makes it fit, and with `steps` in one of those storages; without,
    they are taken as stored, or as asked. Where no context is asked for it is the model's own, or the longest that fits. `unsaid` are
    the options that were left out, for the line that says what was taken for granted.
    """
    wanted = wanted or speed.Wanted()
    if wanted.calibration is not None:
        wanted = wanted._replace(calibration=wanted.calibration.of(loaded.source.name, ask.gpus.count))
    shares = ask.ram_bytes is not None and ask.gpus.device.shared_memory
    if shares:
        ask = ask._replace(ram_bytes=None)
    alone = _prompts_alone(loaded, ask, wanted) if given is None else None
    if alone is not None:
        ask = ask._replace(context_tokens=alone)
    usual = given is None and wanted.aims and ask.context_tokens is None and not wanted.whole
    if usual:
        # A target is about requests: room for whole contexts would let few of them run at once.
        longest_of_model = loaded.architecture.longest
        ask = ask._replace(context_tokens=min(2 * speed.USUAL, longest_of_model or 2 * speed.USUAL))
    if max_quant and ask.quant is None:
        steps = tuple(Step(ask.engine, quant) for quant in allowed(ask.engine, max_quant))
    choice = choose(
        loaded.architecture,
        ask,
        steps if ask.quant is None else (),
        alternatives=0 if brief else 3,
        brief=brief,
        free="--engine" in unsaid and given is None,
        # Who names a target has said what is fast enough.
        usable=lambda held: wanted.aims or not slow(held, wanted),
    )
    published = choice.formats[0] if choice.formats else choice.best
    found, asked, own = choice.best.found, choice.best.ask, choice.best.own
    typed = Typed(loaded.architecture, ask.quant is None, "--engine" in unsaid, max_quant is not None)
    found, ask, target = aimed(found, found.asked(asked), wanted)
    found, compared = fastest(found, ask, wanted)
    ask = ask._replace(sequences=found.sequences)
    best = found.best
    long = wanted.longest
    if given and long > best.context_tokens:
        raise UsageError(
            f"a prompt and its output of {long:,} tokens are beyond the command's context of {best.context_tokens:,}",
            "give the command a larger context, or ask for shorter ones",
        )
    shorter = _of_requests(found, ask, wanted) if given else None
    if shorter is not None:
        found, best, ask = found._replace(best=shorter), shorter, ask._replace(context_tokens=shorter.context_tokens)
    longest = max_context(found.model, best, ask)
    raised = could_have_more(best, ask)
    rates = speed.of_fit(found, best, ask, wanted, not brief, raised)
    whole = speed.at_context(found, best, ask, wanted).bound_tokens_per_s if best.fits else None
    ceiling, floor = (rates.bound_tokens_per_s, rates.floor_s) if best.fits else (None, None)
    offers = hardware.rent(ask.gpus)
    placement, b = best.placement, best.budget
    started = Command("")
    if given:
        started = with_storage(given.line, given.model, loaded, ask, found) if given.model else Command(given.line)
    elif best.fits:
        started = start(loaded, ask, found)
    return report.FitReport(
        schema_version=report.SCHEMA_VERSION,
        source=loaded.source.name,
        status=loaded.architecture.status,
        gpu=ask.gpus.id,
        gpus=ask.gpus.count,
        engine=wanted.engine or ask.engine,
        fits=best.fits,
        verdict=verdict(best, ask, own)
        + _unlike(choice.best, published, loaded, wanted)
        + (f"; the target is not shown to be kept: {said}" if best.fits and (said := missed(target, wanted, rates)) else "")
        + (unmodelled(given.unmodelled) if given else ""),
        plan=report.FitPlan(placement.tp, placement.pp, placement.ep, placement.dp, found.model.quant, best.kv_dtype),
        why=why(found, asked, compared, rates.load, target),
        per_gpu=report.FitPerGpu(
            memory_bytes=b.memory_bytes,
            budget_bytes=b.budget_bytes,
            weights_bytes=b.weights_bytes,
            activation_bytes=b.activation_bytes,
            overhead_bytes=b.overhead_bytes,
            kv_room_bytes=b.kv_room_bytes,
            kv_needed_bytes=best.kv_needed_bytes,
            headroom_bytes=best.headroom_bytes,
        ),
        context_tokens=best.context_tokens,
        concurrency=best.concurrency,
        max_context_tokens=longest,
        max_concurrency=units.at_least(best.max_concurrency, 3),
        kv_tokens=best.kv_tokens,
        decode_tokens_per_s_ceiling=None if ceiling is None else units.at_most(ceiling, 3),
        prefill_seconds_floor=None if floor is None else int(1e6 * floor) / 1e6,
        usd_per_hour=offers[0][0] if offers else None,
        instance=offers[0][2].id if offers else None,
        command=started.command if (best.fits or given) and wanted.engine is None else "",
        start=_start(best, ask, longest),
        runners_up=[] if brief else [_alternative(f, found, ask, wanted) for f in found.others],
        would_fit=[]
        if brief
        else _wanting(loaded, asked, found, own, typed)
        if given is None
        else _in_its_words(loaded, ask, found, given),
        speed=speed.record(rates, goal(target, wanted, rates), whole),
        cost=speed.cost(rates, ask),
        notes=list(
            dict.fromkeys(
                [
                    *speed.notes(wanted, ask, best.placement),
                    *([PROMPTS_ALONE] if alone is not None else []),
                    *started.notes,
                    *(given.notes if given else [loaded.note] if loaded.stands_in else ()),
                    *(_shorter(found, ask, wanted) if own is not None and not brief and given is None else ()),
                    *([_limit_of_command(choice.best.found.best, best)] if shorter is not None else []),
                    *_notes(ask, found, loaded.architecture.quantization),
                    *([ram_is_shared(ask)] if shares else ()),
                ]
            )
        ),
        explain=[] if brief else list(_explained(best, ask)),
        options=report.FitOptions(given.used, given.inert, given.unmodelled) if given else None,
        ram=report.FitRam(
            ask.ram_bytes,
            best.ram_bytes,
            best.assumed_ram_bytes if best.fits else 0,
            loaded.architecture.layers + 1,
            *server(ask.engine).offloaded(ask, loaded.architecture.layers),
        ),
        own_context=None if own is None else report.FitOwnContext(own.tokens, own.fits, own.headroom_bytes),
        formats=[] if brief or given else [_format(loaded, held, wanted) for held in choice.formats],
        assumed=assumed(loaded, found, ask, unsaid, own, wanted if usual else None),
        reads=None
        if loaded.architecture.writes
        else report.FitReads(int(best.max_concurrency), max(b.batched_tokens, best.context_tokens)),
    )


_WORDS = {"--gpu": "this machine", "--concurrency": "one sequence at once"}


def assumed(
    loaded: Loaded, found: Plans, ask: Ask, unsaid: Sequence[str], own: Own | None, aimed: speed.Wanted | None = None
) -> str:
    """One line of what was taken for granted, by the options left out; empty where none was. `aimed` is a target of requests whose lengths
    nobody said."""
    said = []
    for option in unsaid:
        words = _WORDS.get(option, "")
        if option == "--ctx" and aimed is not None:
            load = aimed.load(found.best.context_tokens, 1)
            lengths = f"{units.format_tokens(load.isl)} prompt and {units.format_tokens(load.osl)} output tokens"
            said.append(f"requests of {lengths} (--isl, --osl)")
        elif option == "--ctx" and own is not None:
            words = "the model's own context" if own.tokens == found.best.context_tokens else "the longest context that fits"
            if not found.best.fits:
                words = f"at least {units.format_tokens(found.best.context_tokens)} tokens of context"
        elif option == "--engine":
            words = server(ask.engine).title
        elif option == "--quant":
            stored, held = _stored(found.model, loaded.architecture), found.model.quant
            said_of = "" if ask.quant else ", as published" if stored == held else f", published in {stored}"
            words = f"weights in {held}{said_of}"
        if words:
            said.append(f"{words} ({option})")
    return "; ".join(said)


USABLE_TOKENS_PER_S = 10.0
"""Below it a model stands behind all others. Twice as fast as people read, as much of what models write today is thinking that nobody
reads: 238 words a minute in silence (Brysbaert 2019, "How many words do we read per minute?", Journal of Memory and Language 109), and
English has about four tokens in three words."""


def is_slow(forecast: float | None, ceiling: float | None, concurrency: int) -> bool:
    """Whether each of the sequences waits too long for its tokens, by the forecast of all together, else by their bound; not if neither is
    known.

    >>> is_slow(3.6, 5.1, 1), is_slow(None, 40.0, 4), is_slow(None, None, 1)
    (True, False, False)
    """
    rate = ceiling if forecast is None else forecast
    return rate is not None and rate / concurrency < USABLE_TOKENS_PER_S


def slow(held: Held, wanted: speed.Wanted) -> bool:
    """Whether the best plan of a storage is."""
    rates = _rates(held, wanted)
    made = speed.record(rates)
    return is_slow(made.decode_tokens_per_s, rates.bound_tokens_per_s, held.found.best.concurrency)


def _rates(held: Held, wanted: speed.Wanted) -> Forecast:
    found, ask = fastest(held.found, held.found.asked(held.ask), wanted)[0], held.found.asked(held.ask)
    return speed.of_fit(found, found.best, ask._replace(sequences=found.sequences), wanted, False, could_have_more(found.best, ask))


def _unlike(best: Held, published: Held, loaded: Loaded, wanted: speed.Wanted) -> str:
    """What a verdict adds where the weights are not as published."""
    if best is published or not best.found.best.fits:
        return ""
    other = published.found
    stored, held = _stored(other.model, loaded.architecture), other.model.quant
    held = held if stored == held else f"{stored}, which {server(published.ask.engine).title} holds in {held} here"
    lacks = f"{units.format_bytes(max(0, -other.best.headroom_bytes))} are missing"
    if other.best.start.refused:
        lacks = str(other.best.start.limit)
    elif other.best.fits and not published.enough:
        lacks = f"no more than {units.format_tokens(other.best.context_tokens)} tokens fit"
    elif other.best.fits:
        each = speed.record(_rates(published, wanted)).decode_tokens_per_s
        lacks = "it is slower" if each is None else f"it makes {each / other.best.concurrency:,.1f} tokens/s"
    return f"; with weights in {best.found.model.quant}: as published ({held}) {lacks}"


def _stored(model: Candidate, published: Architecture) -> str:
    """What the checkpoint stores floats as; the name of its quantization where it has one, which an engine may not hold it in."""
    from archcalc.quant import method_of

    if own := published.quantization:
        held = model.architecture.quantization
        return model.quant if held and method_of(held) == method_of(own) else method_of(own)
    stored = base_dtype(model.architecture)[0]
    return {"F32": "fp32", "BF16": "bf16", "F16": "fp16"}.get(stored, model.quant)


def _format(loaded: Loaded, held: Held, wanted: speed.Wanted) -> report.FitFormat:
    ask = held.ask
    found, ask = fastest(held.found, held.found.asked(ask), wanted)[0], held.found.asked(ask)
    best = found.best
    made = speed.of_fit(found, best, ask, wanted._replace(engine=None)) if best.fits else None
    rate, bound = (made.tpot, made.bound_tokens_per_s) if made else (None, None)
    context = units.format_tokens(best.context_tokens).replace(",", "")
    options = [f"--engine {ask.engine}", *([f"--quant {ask.quant}"] if ask.quant else []), f"--ctx {context}"]
    return report.FitFormat(
        engine=ask.engine,
        quant=held.found.model.quant,
        as_published=held.published,
        fits=best.fits,
        # Of a plan beside the CPU's memory the whole of it.
        weights_bytes=best.weights.bytes + (best.weights.cpu_bytes if ask.own is not None else 0),
        context_tokens=best.context_tokens,
        whole_context=held.whole,
        headroom_bytes=best.headroom_bytes,
        tokens_per_s=None if rate is None else round(1 / rate.value, 1),
        options=" ".join(options),
        command=start(loaded, ask, found).command if best.fits else "",
        bound_tokens_per_s=None if bound is None or made is None else units.at_most(bound / made.load.concurrency, 3),
    )


Told: TypeAlias = Callable[[advice.Change], "advice.Change | None"]
"""Writes a change into a command, and reads it back."""


class Given(NamedTuple):
    """An engine's command on one line, what became of its flags, and what to say of them. `model` is what it names where a storage was
    named beside it. `told` writes a change into the command and reads it back: the change in the command's words, None where it has none
    or does not fit so. `lifted` is the question of the command with the flags that its start asks for, and its plans."""

    line: str
    used: dict[str, str]
    inert: list[str]
    unmodelled: list[str]
    notes: tuple[str, ...] = ()
    model: str = ""
    told: Told | None = None
    lifted: Callable[[], tuple[Ask, Plans] | None] | None = None


def unmodelled(flags: list[str]) -> str:
    """What a verdict adds where flags of the command are not taken into account."""
    return f"; not taken into account: {', '.join(flags)}" if flags else ""


def allowed(engine: str, max_quant: str) -> tuple[str, ...]:
    """The quantizations that may be tried, gentlest first, down to `max_quant`."""
    from archcalc.quant import check_name

    check_name(max_quant)
    ladder = server(engine).ladder
    wanted = max_quant.lower().replace("-", "_")
    plain = [q.replace("-", "_") for q in ladder]
    if wanted in plain:
        return ladder[: plain.index(wanted) + 1]
    # Another name for four bits stands in place of the last step.
    return (*ladder[:-1], max_quant) if re.search(r"4|awq|gptq", wanted) else (max_quant,)


def verdict(fit: Fit, ask: Ask, own: Own | None = None) -> str:
    """One line: fits, and with what to spare; or does not, and by how much. `own` is the model's own context where none was asked for."""
    machine = ask.gpus.named
    what = f"{units.format_tokens(fit.context_tokens)} tokens x {fit.concurrency} on {machine} under {ask.engine}"
    ram = fit.ram_bytes
    beside = (
        f"; {units.format_bytes(ram)} in the CPU's memory, of {units.format_bytes(ask.ram_bytes)}" if ram and ask.ram_bytes else ""
    )
    fits = (
        f"fits, with {units.format_bytes(fit.assumed_ram_bytes)} of RAM that is not known here" if fit.assumed_ram_bytes else "fits"
    )
    if fit.fits and own is not None and own.tokens > fit.context_tokens:
        short = f", {units.format_bytes(-own.headroom_bytes)} missing" if own.headroom_bytes < 0 else ""
        return f"{fits} up to {what}; the model's own {units.format_tokens(own.tokens)} do not{short}{beside}"
    if fit.fits:
        return f"{fits}: {what}, {units.format_bytes(fit.headroom_bytes)} to spare on the fullest GPU{beside}"
    if own is not None and own.tokens > fit.context_tokens:
        what = f"not even {what}"
    if fit.start.refused:
        lacks = f", and {units.format_bytes(-fit.headroom_bytes)} are missing on the fullest GPU" if fit.headroom_bytes < 0 else ""
        return f"does not start: {what}; {fit.start.limit}{lacks}"
    if fit.headroom_bytes >= 0 and fit.start.starts:
        return f"does not fit: {what}; {fit.start.limit}"
    if fit.headroom_bytes >= 0:
        return f"does not start: {what}; {fit.start.limit}"
    if fit.start.starts and (beyond := server(ask.engine).beyond(ask)):
        return f"does not fit on the GPU{'s' if ask.gpus.count > 1 else ''} alone: {what}; {beyond}"
    if fit.budget.kv_room_bytes < 0:
        over = units.format_bytes(-fit.budget.kv_room_bytes)
        return f"does not fit: {what}; weights and overhead alone are {over} over on the fullest GPU"
    return f"does not fit: {what}; {units.format_bytes(-fit.headroom_bytes)} missing on the fullest GPU"


def _start(best: Fit, ask: Ask, longest: int) -> report.FitStart:
    """Whether the engine starts so. Where the plan takes flags for that, what they are for."""
    start, taken = best.start, best.taken
    if start.starts and not start.serves:
        return report.FitStart(True, start.limit, start.flag)
    if start.starts:
        return report.FitStart(True, "; ".join(taken.notes) or None, " ".join(taken.flags) or None)
    flag = start.flag
    context = server(ask.engine).context_flag
    if flag is None and best.headroom_bytes < 0 and longest and context:
        flag = f"{context} {longest}"
    return report.FitStart(False, start.limit, flag)


PROMPTS_ALONE = (
    "a prompt of the model's whole context leaves no room for a token: its reading is forecast, as a benchmark of prompts alone runs it,"
    " and a server refuses such a request"
)


def _prompts_alone(loaded: Loaded, ask: Ask, wanted: speed.Wanted) -> int | None:
    """The model's own context where prompts that fill all of it are read and nothing is written behind them; None else."""
    longest = longest_of(loaded.architecture, ask)
    whole = wanted.osl == 1 and wanted.isl is not None and wanted.isl == longest and wanted.lengths_said(ask.context_tokens)
    return longest if whole else None


def command(loaded: Loaded, ask: Ask, found: Plans) -> str:
    """The command line that starts the engine on this plan."""
    return start(loaded, ask, found).command


def _alternative(fit: Fit, found: Plans, ask: Ask, wanted: speed.Wanted) -> report.FitAlternative:
    p = fit.placement
    made = speed.of_fit(found, fit, ask, wanted) if fit.fits else None
    rate, requests, bound = (made.tokens_per_s, made.requests_per_s, made.bound_tokens_per_s) if made else (None, None, None)
    return report.FitAlternative(
        plan=report.FitPlan(p.tp, p.pp, p.ep, p.dp, found.model.quant, fit.kv_dtype),
        fits=fit.fits,
        weights_bytes=fit.weights.bytes,
        headroom_bytes=fit.headroom_bytes,
        max_concurrency=units.at_least(fit.max_concurrency, 3),
        tokens_per_s=None if rate is None else round(rate.value, 1),
        requests_per_s=None if requests is None else round(requests.value, 4),
        bound_tokens_per_s=None if bound is None else units.at_most(bound, 3),
    )


class Typed(NamedTuple):
    """A question without a command, and which of `--quant` and `--engine` it left open: options that are typed behind it are read with
    those open again, and what is chosen then depends on the machine. `bounded` is whether `--max-quant` was given, which `--quant` takes
    the place of."""

    architecture: Architecture
    any_quant: bool
    any_engine: bool
    bounded: bool

    def asks(self, what: str, options: str, ask: Ask) -> tuple[str, str]:
        """What to do and the options that ask what was judged: with the storage named where it was chosen, and the engine where the
        machine and the storage alone would choose another."""
        if self.any_quant and ask.quant is not None:
            options += "" if "--quant " in options else f" --quant {ask.quant}"
            what += "" if not self.bounded else " --max-quant" if ", without --" in what else ", without --max-quant"
        usual = reader(self.architecture, ask.gpus.device, ask.quant) if self.any_engine else ask.engine
        if usual != ask.engine and "--engine " not in options:
            options += f" --engine {ask.engine}"
        return what, options


def _wanting(loaded: Loaded, ask: Ask, found: Plans, own: Own | None, typed: Typed) -> list[report.FitChange]:
    """What makes it fit; where it does with less than the model's own context, what makes that fit."""
    if not found.best.fits:
        return _changes(loaded, ask, found, typed._replace(any_quant=typed.any_quant and not typed.bounded))
    if own is None or own.fits:
        return []
    made = _changes(loaded, ask._replace(context_tokens=None), own.found, typed)
    return [change for change in made if "--ctx " not in change.options]


def _changes(loaded: Loaded, ask: Ask, found: Plans, typed: Typed) -> list[report.FitChange]:
    def asked(change: advice.Change) -> Ask:
        return ask._replace(gpus=change.gpus or ask.gpus, quant=change.values.get("quant", ask.quant))

    out = [
        report.FitChange(
            *typed.asks(change.what, change.options, asked(change)),
            change.fit.headroom_bytes,
            units.at_least(change.fit.max_concurrency, 3),
            change.usd_per_hour,
        )
        # What was chosen to lie in the CPU's memory is chosen anew with each of them.
        for change in advice.would_fit(loaded.architecture, ask._replace(own=None), found)
    ]
    spilled = [
        report.FitChange(*way, 0, float(ask.concurrency), None) for way in server(ask.engine).spills(found.model, ask, found.best)
    ]
    place = min(2, len(out))
    out[place:place] = [*spilled, *([] if spilled else _with_ram(loaded, ask, typed))]
    return out


def _in_its_words(loaded: Loaded, ask: Ask, found: Plans, given: Given) -> list[report.FitChange]:
    """What makes a command fit, each change as it is written into the command, and in front of it where it is of the machine."""
    told, best = given.told, found.best
    if best.fits or told is None:
        return []
    alone = [advice.Change("the limit lifted", "", best)] if best.start.flag else []
    if best.start.refused and given.lifted is not None and (lifted := given.lifted()) is not None:
        # What is judged of a change is judged behind that limit.
        ask, found = lifted
        best = found.best
    made = [] if best.fits else list(advice.would_fit(loaded.architecture, ask, found))
    if alone and told(alone[0]) is not None:
        # What lacks flags alone needs no other GPUs.
        made = [*alone, *(change for change in made if change.gpus is None)]
    elif not any("context_tokens" in change.values for change in made) and not (best.start.refused or best.fits):
        made += _shorter_by_command(best, told)
    spilled = [] if best.fits else server(ask.engine).spills(found.model, ask, best)
    place = min(2, len(made))
    made[place:place] = [advice.Change(what, options, best) for what, options in spilled]
    return [
        report.FitChange(c.what, c.options, c.fit.headroom_bytes, round(c.fit.max_concurrency, 3), c.usd_per_hour)
        for change in made
        if (c := told(change)) is not None
    ]


def _shorter_by_command(best: Fit, told: Told) -> Iterator[advice.Change]:
    """The longest context, in whole k, with which a command fits whose cache is of a size of its own."""

    def of(k: int) -> advice.Change:
        return advice.Change(f"{k}k tokens of context", "", best, values={"context_tokens": k << 10})

    if k := largest(lambda k: told(of(k)) is not None, (best.context_tokens - 1) >> 10):
        yield of(k)


def _with_ram(loaded: Loaded, ask: Ask, typed: Typed) -> list[report.FitChange]:
    """llama.cpp with a part of the model in the CPU's memory, where that was named: as large as it is, or as it would have to be."""
    from archcalc.quant import file_type_of, is_plain

    if ask.ram_bytes is None or ask.own is not None:
        return []
    asked = ask if ask.engine == LOCAL else ask._replace(version=None, utilization=None)
    if ask.quant is not None and not (is_plain(ask.quant) or file_type_of(ask.quant)):
        # What llama.cpp has not: a storage of the engine that was asked about.
        asked = asked._replace(quant=None)
    for ram in (ask.ram_bytes, units.MAX_BYTES):
        held = beside_ram(loaded.architecture, asked._replace(ram_bytes=ram))
        if held is None:
            continue
        best, quant = held.found.best, held.ask.quant
        options = [f"--engine {LOCAL}"] if ask.engine != LOCAL else []
        options += [f"--quant {quant}"] if quant is not None and (quant != ask.quant or typed.any_quant) else []
        options += [f"--ctx {best.context_tokens}"] if ask.context_tokens is None else []
        options += [f"--ram {-(-best.ram_bytes >> 30)}GiB"] if best.ram_bytes > ask.ram_bytes else []
        what = f"under llama.cpp in {held.found.model.quant}, {units.format_bytes(best.ram_bytes)} of it in the CPU's memory"
        return [report.FitChange(what, " ".join(options), best.headroom_bytes, units.at_least(best.max_concurrency, 3), None)]
    return []


def _notes(ask: Ask, found: Plans, stored: Mapping[str, Any] | None) -> Iterator[str]:
    """What qualifies the answer; `stored` is the quantization that the checkpoint states."""
    yield from ask.gpus.notes
    engine = server(ask.engine)
    if found.best.context_tokens == found.model.architecture.facts.context_tokens and (how := stretching(found.model.architecture)):
        flag = "--ctx" if ask.own is None else engine.context_flag or "a longer context"
        yield f"{how}: {flag} {found.model.architecture.longest} plans for them"
    yield from engine.released(ask.version)
    yield from engine.serves(found.model.architecture, ask.version)
    yield from engine.notes(ask, found.model, stored)
    if found.settings:
        yield f"it does not fit with the defaults of {engine.title}; chosen are {'; '.join(s.what for s in found.settings)}"
    yield from found.best.budget.notes
    # Of what does not fit no command is printed: the flags that it would set are no news.
    stopped = found.best.headroom_bytes < 0 and ask.own is None
    yield from (note for note in found.best.taken.notes if not (stopped and note.startswith("--")))
    if found.best.start.flag and found.best.headroom_bytes >= 0:
        yield f"{found.best.start.flag} lifts the limit that stops the engine"
    if 0 < -found.best.headroom_bytes <= found.best.budget.first_start_bytes:
        more = units.format_bytes(found.best.budget.first_start_bytes)
        yield f"it stops at the first start alone: a second one finds the compiled model on disk, and has {more} more for the cache"
    yield from to_raise_first(found.best, ask)
    yield from ram_unused(ask, found.best)
    device, architecture = ask.gpus.device, found.model.architecture
    if found.model.quant.startswith("fp8") and roofline.native(device, "fp8") is False:
        yield f"{device.name} has no FP8 matrix units: the weights take as little memory, and are widened before each product"
    if found.best.kv_dtype.startswith("fp8") and roofline.native(device, "fp8") is False:
        yield f"{device.name} has no FP8 units: the cache is widened as it is read"
    if device.visible_basis == "estimated":
        yield f"what an engine sees of {device.name}'s memory is estimated, not measured"
    yield from architecture.doubts
    yield from architecture.notes if architecture.whole_latents else (n for n in architecture.notes if " passes it over" in n)
    yield from kv.crossing(architecture)


def _shorter(found: Plans, ask: Ask, wanted: speed.Wanted) -> Iterator[str]:
    """What a context that was left open costs in speed, where only a slow split holds so much."""
    if made := shorter_held(found, ask, wanted):
        context = units.format_tokens(made.context_tokens)
        yield (
            f"only slower splits hold {ask.concurrency:,} sequences of {units.format_tokens(found.best.context_tokens)}: with --ctx"
            f" {context.replace(',', '')} {made.placement.words} holds them, and {units.format_rate(made.rate)} {made.by.words} a second"
            " are forecast"
        )


def _of_requests(found: Plans, ask: Ask, wanted: speed.Wanted) -> Fit | None:
    """A command's plan for requests of the lengths asked about, where the engine starts and its cache has no room for as many of the
    command's whole context: that is a limit of a sequence, and takes nothing beforehand of an engine that gives out blocks."""
    best, length = found.best, wanted.context()
    if best.fits or not best.start.starts or length is None or length >= best.context_tokens or not server(ask.engine).torch:
        return None
    shorter = judge(found.model, best.placement, ask, length, best.concurrency)
    return shorter if shorter.start.starts else None


def _limit_of_command(whole: Fit, best: Fit) -> str:
    held = f"{units.format_held(whole.max_concurrency)} sequences of the {whole.context_tokens:,} that the command allows"
    return f"requests are taken to be of {best.context_tokens:,} tokens (--isl, --osl): the cache has room for {held}"


def _explained(best: Fit, ask: Ask) -> Iterator[report.Explained]:
    b, w = best.budget, best.weights
    yield report.Explained(
        "memory", b.memory_bytes, f"what an engine sees of {ask.gpus.device.name}", "; ".join(ask.gpus.device.sources[:1])
    )
    yield report.Explained(
        "budget",
        b.budget_bytes,
        f"{b.utilization:g} of it",
        "asked"
        if ask.utilization is not None
        else "what is free"
        if b.utilization == best.taken.utilization
        else "the engine's default",
    )
    shown = [c for c in w.components if c.bytes >= 1 << 26]
    rest = w.bytes - sum(c.bytes for c in shown)
    parts = " + ".join(f"{c.part} {c.role} {units.format_bytes(c.bytes)}" for c in shown)
    parts += f"{' + ' if parts else ''}the rest {units.format_bytes(rest)}" if rest or not parts else ""
    yield report.Explained("weights", w.bytes, parts, "tensors as the engine holds them: archcalc tensors, and docs/engines.md")
    for term in (*b.activation_terms, *b.overhead_terms):
        yield report.Explained(term.name, term.bytes, term.formula, f"{term.source} ({term.basis})")
    yield report.Explained("KV room", b.kv_room_bytes, "budget - weights - activations - overhead", "")
    yield report.Explained(
        "KV needed",
        best.kv_needed_bytes,
        f"{units.format_tokens(best.context_tokens)} tokens in each of {best.concurrency:,} sequences: {best.kv_rule}",
        "archcalc kv --explain",
    )
