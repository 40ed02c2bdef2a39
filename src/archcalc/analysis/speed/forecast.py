"""A forecast: the terms of a step and of a prompt times their coefficients, with the interval that unseen sources had; else a bound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from archcalc.analysis.speed.coefficients import Coefficient, Errors, Fitted, batched, device_class, kinds_left_out, known, within
from archcalc.analysis.speed.departures import Departure
from archcalc.analysis.speed.rates import UNTOLD, peak
from archcalc.analysis.speed.terms import (
    BATCH,
    ROWS,
    SERVED,
    Load,
    Term,
    decode,
    fastest_prompt,
    first,
    packing,
    prefill,
    reference,
)
from archcalc.analysis.speed.work import Work
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement
from archcalc.hardware import Device
from archcalc.records import NamedTuple

MARGIN = 1.3
"""What a forecast is multiplied by before it is compared with a target, so that most measurements keep it too."""
KINDS = frozenset({"latent_layer", "recurrent_layer", "indexed_layer"})
"""The terms of kinds of layers that a forecast can do without, in a wider interval."""
MOST_SEQUENCES = 1 << 14
_USUAL_STEP = 2048
"""Tokens of a step of engines that serve many, at least, in what was measured (`terms.BATCH`)."""
ENGINES = "vllm", "sglang", "llama.cpp", "mlx"
"""Engines that a reader can ask for where the one asked for is not forecast."""
BATCHED = SERVED | {"llama.cpp"}
"""Engines that rows of several sequences at once were measured under."""


class Interval(NamedTuple):
    """A value and the ends of its 80 %, in the unit of the field."""

    value: float
    low: float
    high: float

    def inverse(self, of: float) -> Interval:
        """`of` over it."""
        return Interval(of / self.value, of / self.high, of / self.low)


class Part(NamedTuple):
    """One term of a forecast: seconds, the quantity and the coefficient that give them, and what the coefficient stands on."""

    phase: Literal["decode", "prefill", "ttft"]
    name: str
    seconds: float
    formula: str
    coefficient: float
    rows: int
    sources: int


class Forecast(NamedTuple):
    """Of one plan under one load. Times in seconds; rates of all requests and replicas. None where nothing is forecast, and `why`.

    `bound_tokens_per_s` is what the bandwidth allows, `floor_s` what the matrix units need for one prompt; `prompt_tokens_per_s` is of one
    prompt; `prompts_per_s` is how many prompts of as many requests as there are all replicas read where nothing else is done, short ones
    several to a step; `stands` says what the coefficients were fitted to. Of requests of one output token `tpot` is the time to that, the
    first, as there is none between two. `begun` is the time to the first token of a request that begins when another ends, where that is
    not `ttft`.
    """

    load: Load
    tpot: Interval | None = None
    ttft: Interval | None = None
    prompt_tokens_per_s: Interval | None = None
    bound_tokens_per_s: float | None = None
    floor_s: float | None = None
    why: str | None = None
    stands: str = ""
    parts: tuple[Part, ...] = ()
    prompts_per_s: Interval | None = None
    begun: Interval | None = None

    @property
    def between(self) -> Interval | None:
        """The time between two tokens; None of requests that have one."""
        return None if self.load.osl == 1 else self.tpot

    @property
    def basis(self) -> Literal["fitted", "bound"]:
        return "fitted" if self.tpot or self.prompt_tokens_per_s else "bound"

    @property
    def tokens_per_s(self) -> Interval | None:
        return None if self.tpot is None else self.tpot.inverse(self.load.concurrency)

    @property
    def requests_per_s(self) -> Interval | None:
        """Of as many requests as there are at once, each begun when another ends: they over the time of one, and no more than prompts are
        read. None where the wait for the first token is not forecast.

        Source: Little 1961, doi:10.1287/opre.9.3.383.
        """
        one, read = self.request_s, self.prompts_per_s
        made = None if one is None else one.inverse(self.load.concurrency)
        return made if made is None or read is None else Interval(*(min(ends) for ends in zip(made, read, strict=True)))

    @property
    def request_s(self) -> Interval | None:
        """The time of one request that begins when another ends: to its first token, and to each of the others."""
        if self.tpot is None or self.ttft is None:
            return None
        more = self.load.osl - 1
        return Interval(*(f + more * t for f, t in zip(self.begun or self.ttft, self.tpot, strict=True)))

    @property
    def read_per_s(self) -> Interval | None:
        """Tokens of prompts a second where nothing else is done, of all replicas."""
        made = self.prompts_per_s
        return None if made is None else Interval(*(self.load.isl * x for x in made))

    @property
    def output_per_s(self) -> Interval | None:
        """Output tokens a second of all requests, the wait for their first token included."""
        made = self.requests_per_s
        return None if made is None else Interval(*(self.load.osl * x for x in made))


class Calibration(NamedTuple):
    """What one host's own measurements multiply the times of a phase by, the ends of 80 % around it, and how many they were.

    `gpu`, `engine`, `source` and `gpus` are what was measured, empty where the file does not say; `terms` are those of a forecast that the
    measurements had a part of, `alike` is whether the same model on as many GPUs is asked about.
    """

    factors: Mapping[str, float]
    spreads: Mapping[str, float]
    rows: int
    gpu: str = ""
    engine: str = ""
    source: str = ""
    gpus: int = 0
    terms: frozenset[str] = frozenset()
    alike: bool = True

    def of(self, source: str, gpus: int) -> Calibration:
        """As it is of a model on so many GPUs."""
        return self._replace(alike=(source, gpus) == (self.source, self.gpus))


def bound_tokens_per_s(
    work: Work, device: Device, load: Load, away: int | None = None, other: Departure | None = None
) -> float | None:
    """The most tokens a second of all sequences: each step reads the weights once, of the experts those of one token at least.

    `away` is the bandwidth to weights in the CPU's memory; where it is not known, they are taken to be read as fast as the GPU's own.
    `other` is a way to run that can be so many times as fast.
    """
    faster = 1 if other is None else other.faster
    if faster is None:
        return None
    bandwidth = device.bandwidth_bytes_per_s
    p = work.placement
    if bandwidth is None or not work.floor_bytes(1, load.isl, 1) or not work.decodes:
        return None
    far = work.floor_away() if away is not None else 0.0

    def rate(requests: int) -> float:
        # Stages work on different sequences at once, each on its share of them, and no more stages than there are sequences.
        at_once = requests / min(p.pp, requests)
        read = work.floor_bytes(requests, load.isl, at_once)
        return requests / ((read - far) / bandwidth + (far / away if away else 0.0))

    # Shared out evenly they are fastest; a replica without any adds nothing.
    fewer, fuller = divmod(load.concurrency, p.dp)
    return faster * (fuller * rate(fewer + 1) + ((p.dp - fuller) * rate(fewer) if fewer else 0.0))


def floor_s(work: Work, device: Device, engine: str, isl: int) -> float | None:
    """The least seconds of one prompt; None where no matrix rate is published."""
    # Replicas that share experts read a prompt's tokens together; of a dense model one replica reads all of it.
    gpus = work.placement.tp * work.placement.pp * work.sharing
    least = fastest_prompt(work, device, isl, engine)
    return None if least is None else sum(part.seconds for part in least) / gpus


STANDS_IN = {"tensorrt-llm": "sglang"}
"""Whose memory rules, and places of ranks, stand in for an engine's that are not modelled, where its speed is."""


def over_network(placement: Placement, moe: bool, device: Device, engine: str) -> bool:
    """Whether each layer exchanges between machines, of which the forecast has no term: tensor parallelism over several, and experts that
    lie on several, split by columns (sums) or spread (every token is sent to its experts' ranks and back).

    Machines take ranks in order. vLLM counts all stages of a replica before the next replica, so that replicas that share a stage's experts
    lie `tp x pp` ranks apart (0.33, distributed/parallel_state.py `initialize_model_parallel`, engine/arg_utils.py
    `data_parallel_size_local`); SGLang counts a stage's ranks first, replicas among them (0.5.23, srt/managers/data_parallel_controller.py
    `launch_tensor_parallel_group`: `pp_size_per_node`).
    """
    ways = placement.tp
    if moe and placement.dp > 1:
        ways *= placement.dp * (placement.pp if server(STANDS_IN.get(engine, engine)).stages_first else 1)
    return ways > device.per_machine


def _crosses(placement: Placement, device: Device) -> str:
    what = "sums" if placement.tp > device.per_machine or placement.ep == 1 else "exchange of tokens between experts' ranks"
    return f"each layer's {what} cross{'' if what == 'sums' else 'es'} the network between machines, and the forecast has no term for that"


def forecast(
    work: Work,
    device: Device,
    quant: str,
    engine: str,
    load: Load,
    calibration: Calibration | None = None,
    parts: bool = False,
    away: int | None = None,
    other: Departure | None = None,
    prompts: bool = True,
) -> Forecast:
    """Forecast a plan that fits. With `parts` every term is kept; `away` is the bandwidth to weights in the CPU's memory, `other` what the
    engine is told that nothing was measured with. Without `prompts` nothing is said of them."""
    bound, floor = bound_tokens_per_s(work, device, load, away, other), floor_s(work, device, engine, load.isl)
    none = Forecast(load, bound_tokens_per_s=bound, floor_s=floor)
    if not work.decodes:
        what = "an encoder decodes no tokens" if work.encodes else "without a head for its vocabulary it writes no tokens"
        if work.use:
            what = f"its publisher makes {work.use} of it: it writes no tokens"
        if work.refines:
            what = "a diffusion model writes its text in passes over all of it"
        return none._replace(why=f"{what}, and none was measured reading its input")
    if work.crosses:
        held = "an encoder reads the input: its work before the first token, and what each step reads of the cache of its output"
        return none._replace(why=f"{held}, stand in no term; the bounds are of the decoder alone")
    if device.bandwidth_bytes_per_s is None:
        custom = device.vendor == "custom"
        held = f"nothing is known of the bandwidth of a {device.name}" if custom else f"no bandwidth is published for {device.name}"
        return none._replace(why=held + ("; --gpu names the card" if custom else ""))
    if work.away:
        held = (
            f"{work.away / 2**30:.3g} GiB of the weights lie in the CPU's memory: no measurements of that stand behind a forecast"
        )
        slow = (
            f"the bound reads them at {away / 1e9:,.0f} GB/s"
            if away
            else "the bound takes it to be as fast as the GPU's own (--ram-bandwidth says how fast it is)"
        )
        return none._replace(why=f"{held}; {slow}")
    if other is not None:
        return none._replace(why=other.why)
    if engine in SERVED and _otherwise(quant):
        return none._replace(why=f"no measurements of {engine} with weights in {quant} stand behind a forecast")
    if over_network(work.placement, work.sharing > 1, device, engine):
        return none._replace(why=_crosses(work.placement, device))
    fits = known(engine, device)
    if fits is None:
        instead = next((name for name in ENGINES if known(name, device) is not None), None)
        hint = f"; --engine {instead} is forecast there" if instead else ""
        held = f"no measurements of {engine} on such a device ({device_class(device, engine)}) stand behind a forecast"
        return none._replace(why=held + hint)
    together = load.concurrency > work.placement.dp and engine not in SERVED
    if together and engine not in BATCHED:
        return none._replace(why=f"no measurements of {engine} with several sequences at once stand behind a forecast")
    if load.concurrency > work.placement.dp and reference(device, engine) is None:
        return none._replace(why=f"no matrix rate is published for {device.name}, which products of several sequences need")
    kept: list[Part] = []
    found: dict[str, Interval] = {}
    packed, begun = 1, None
    passes: Interval | None = None
    missing: list[str] = []
    if reference(device, engine) is None:
        missing.append(f"no matrix rate is published for {device.name}: nothing is said of prompts")
    beside = _bridged(work, device) + _staged(work, device, load) + _untold(work, device, engine)
    stands = _stands(fits) + _calibrated(calibration) + beside
    for phase, needed in _phases(work, device, engine, load, prompts).items():
        errors = fits.errors.get(phase)
        if errors is None:
            missing.append(f"{phase}: too few sources")
            continue
        if phase != "decode" and engine in SERVED and load.batch and _small_step(load, work):
            missing.append(f"{phase}: prompts were measured with {_USUAL_STEP:,} tokens of a step and more, not {load.batch:,}")
            continue
        if phase == "prefill" and engine not in SERVED and work.experts and load.batch and not _usual(load, engine):
            missing.append(
                f"prefill: prompts of models with experts were measured with {BATCH[engine]} tokens at once (--ubatch-size, Ollama's"
                f" num_batch), not {load.batch:,}"
            )
            continue
        lacking = [t.name for t in needed if t.quantity and t.name not in fits.terms]
        terms = [t for t in needed if t.quantity and t.name in fits.terms]
        if phase == "decode" and lacking and KINDS.issuperset(lacking):
            # Left out of the value: the interval is that of models whose kind of layer a fit had not seen.
            errors = _wider(errors, kinds_left_out(engine in SERVED))
            stands += f"; {', '.join(lacking)} stands on fewer than three sources and is left out, the interval is wider for it"
            lacking = []
        if phase == "decode" and fits.batch == 1 < load.concurrency and engine in SERVED and fits.others is not None:
            errors = _wider(errors, fits.others)
            stands += (
                "; what was measured there are single requests, and the interval of several is that of classes that were left out"
            )
        if phase == "decode" and together:
            errors = _wider(errors, at_once := batched())
            stands += f"; several sequences at once on {at_once.rows} rows of {at_once.sources} threads that nothing was fitted to"
        if lacking:
            missing.append(f"{phase}: {', '.join(lacking)} {'stand' if len(lacking) > 1 else 'stands'} on fewer than three sources")
            continue
        errors = (
            errors
            if calibration is None
            else _calibrated_errors(errors, phase, calibration, [t.name for t in terms], engine in SERVED)
        )
        of = fits.of(phase, {t.name: t.quantity for t in terms})
        found[phase] = _interval(sum(t.quantity * of[t.name].value for t in terms), errors, phase, calibration)
        if phase == "prefill":
            packed, times = packing(work, load, engine)
            seconds = sum(t.quantity * of[t.name].value * (times if t.name in ROWS else 1) for t in terms)
            passes = _interval(seconds, errors, phase, calibration)
        if parts:
            kept += (_part(phase, t, of[t.name]) for t in terms)
    tpot, prompt, ttft = found.get("decode"), found.get("prefill"), found.get("ttft")
    if bound is not None and tpot is not None:
        tpot = _within(tpot, load.concurrency / bound)
    if prompt is not None and ttft is None and tpot is not None:
        # Of requests that come at once the first waits for its own prompt, the last for all of them; where each begins when another ends it
        # reads its own, and the steps of the others have theirs.
        each = -(-load.concurrency // work.placement.dp)
        begun = Interval(*(p + t for p, t in zip(prompt, tpot, strict=True)))
        ttft = Interval((each + 1) / 2 * prompt.value + tpot.value, prompt.low + tpot.low, each * prompt.high + tpot.high)
    if ttft is not None:
        if floor and ttft.low < floor:
            stands += "; the low end of the first token is cut where the matrix units would run at their peak"
        # A pass reads the weights once, of the experts those of one token at least.
        ttft = _within(ttft, max(floor or 0.0, work.floor_bytes(1, 0, 0) / device.bandwidth_bytes_per_s))
    replicas = 1 if work.sharing > 1 else min(work.placement.dp, load.concurrency)
    read = None if passes is None else _within(passes, packed * (floor or 0.0)).inverse(packed * replicas)
    if load.osl == 1:
        if ttft is not None and read is not None:
            # The first token is all of a request: it takes as long as others of which one ends when it begins.
            ttft = Interval(*(max(ends) for ends in zip(begun or ttft, read.inverse(load.concurrency), strict=True)))
            begun = None
        tpot = ttft if ttft is None or bound is None else _within(ttft, load.concurrency / bound)
    return none._replace(
        tpot=tpot,
        ttft=ttft,
        prompt_tokens_per_s=None if prompt is None else _within(prompt, floor or 0.0).inverse(load.isl),
        why="; ".join(missing) or None,
        stands=stands,
        parts=tuple(kept),
        prompts_per_s=read,
        begun=begun,
    )


_SLOW = frozenset(
    {"nf4", "nf4-dq", "bnb-int8", "bnb-8bit", "fp4", "fp32", "float32", "f32", "hqq", "gguf", "torchao", "experts-int8", "bitnet"}
)
"""Storages that engines which serve many multiply otherwise than those that were measured (16 bits, FP8, FP4, INT8, and INT4 of GPTQ, AWQ
and compressed-tensors): as their own libraries do, or in single precision."""


def _otherwise(quant: str) -> bool:
    """Whether weights stored so are multiplied in a way that nobody measured under such engines."""
    from archcalc.quant import canonical, file_type_of

    return canonical(quant) in _SLOW or bool(file_type_of(quant))


def _phases(
    work: Work, device: Device, engine: str, load: Load, prompts: bool = True
) -> dict[Literal["decode", "prefill", "ttft"], list[Term]]:
    found: dict[Literal["decode", "prefill", "ttft"], list[Term]] = {}
    if work.dense_bytes:
        found["decode"] = decode(work, device, load, engine)
    if not prompts:
        return found
    try:
        if engine in SERVED:
            found["ttft"] = first(work, device, load, engine)
            found["prefill"] = first(work, device, load._replace(concurrency=1), engine)
        else:
            found["prefill"] = prefill(work, device, load.isl, engine, load.batch)
    except ValueError:
        # No matrix rate is published: nothing is said of prompts.
        pass
    return found


def _interval(seconds: float, errors: Errors, phase: str, calibration: Calibration | None) -> Interval:
    factor = 1.0 if calibration is None else calibration.factors.get(_measured(phase), 1.0)
    seconds *= factor
    return Interval(seconds, seconds * errors.low, seconds * errors.high)


def _measured(phase: str) -> str:
    return "decode" if phase == "decode" else "prefill"


def _calibrated_errors(errors: Errors, phase: str, calibration: Calibration, terms: Sequence[str], served: bool) -> Errors:
    """The errors around a host's own middle: its measurements' where they are of the same model on as many GPUs, what rows of one source
    have where they are of another, and those of unseen sources where a part of the time was in none of them."""
    spread = calibration.spreads.get(_measured(phase))
    if spread is None:
        return errors
    if not calibration.alike:
        spread = max(spread, within(_measured(phase), served))
    own = errors._replace(low=1 / spread, high=spread)
    return own if calibration.terms.issuperset(terms) else _wider(own, errors)


def _small_step(load: Load, work: Work) -> bool:
    """Whether steps are smaller than the measured ones and take no whole prompt beside a token of each other sequence of a replica."""
    others = -(-load.concurrency // work.placement.dp) - 1
    return load.batch is not None and load.batch < _USUAL_STEP and load.batch < load.isl + others


def _wider(errors: Errors, other: Errors) -> Errors:
    return errors._replace(low=min(errors.low, other.low), high=max(errors.high, other.high))


def _within(time: Interval, least: float) -> Interval:
    """No forecast is faster than its bound."""
    return Interval(max(time.value, least), max(time.low, least), max(time.high, least))


def _part(phase: Literal["decode", "prefill", "ttft"], term: Term, c: Coefficient) -> Part:
    return Part(phase, term.name, term.quantity * c.value, term.formula, c.value, c.rows, c.sources)


def _calibrated(calibration: Calibration | None) -> str:
    """What is said of a host's own measurements."""
    if calibration is None:
        return ""
    factors = " and ".join(f"{phase} x {factor:.3g}" for phase, factor in calibration.factors.items())
    of = f" of {calibration.source}" if calibration.source else ""
    return f"; times {factors} by {calibration.rows} measurements of this host{of} (--calibration)"


def _bridged(work: Work, device: Device) -> str:
    """What is taken of cards that only a bridge joins."""
    p = work.placement
    ranks = p.tp * work.sharing
    if not device.bridge or ranks == 1:
        return ""
    if ranks > device.bridge:
        return f"; {ranks} cards exchange over PCIe: a bridge of {device.link} joins {device.bridge} of them"
    return f"; the {ranks} cards are taken to be joined by a bridge ({device.link}), which is sold apart"


def _staged(work: Work, device: Device, load: Load) -> str:
    """What is said of stages on several machines, between which activations are sent: nothing was measured so."""
    p = work.placement
    machines = -(-p.tp * p.pp // device.per_machine)
    if p.pp == 1 or machines == 1:
        return ""
    sent = -(-load.concurrency // p.dp) * work.sent_bytes
    slow = 1000 * 8 * sent / _NETWORK
    return (
        f"; stages lie on {machines} machines, and no term is of the network between them: a step sends {sent / 1e6:,.3g} MB over it"
        f" {'once' if machines == 2 else f'{machines - 1} times'} ({slow:.2g} ms each at 100 Gbit/s, and the network's latency)"
    )


_NETWORK = 100 * 10**9
"""Bits a second that the time of a send is told at: a common network card's."""


def _untold(work: Work, device: Device, engine: str) -> str:
    """What is said of weights that an engine multiplies in more bits than it can, unless it is told otherwise."""
    for p in work.products:
        other = UNTOLD.get((engine, p.kind))
        if other is not None and peak(device, p.kind) != peak(device, other):
            return "; experts of MXFP4 are multiplied in 16 bits, as by default (--moe-backend flashinfer_trtllm_afp8 takes MXFP8)"
    return ""


def _usual(load: Load, engine: str) -> bool:
    """Whether the prompt is read in as many passes as by the engine's own setting."""
    return min(load.isl, load.batch or 0) == min(load.isl, BATCH[engine])


def _stands(known: Fitted) -> str:
    told = [
        f"{e.rows} rows of {e.sources} sources for {phase}" for phase, e in known.errors.items() if phase not in known.elsewhere
    ]
    near = [f"{e.rows} rows of {e.sources} classes for {phase}" for phase, e in known.errors.items() if phase in known.elsewhere]
    said = [f"{known.engine} on {known.device}, measured {known.years}: {', '.join(told)}"] if told else []
    if near:
        said.append(f"other classes than {known.device}, each left out of a fit once, stand in for it: {', '.join(near)}")
    if known.few:
        rows = ", ".join(f"{n} rows of {of} source{'s'[: of - 1]} for {phase}" for phase, (n, of) in known.few.items())
        said.append(f"too few sources of its own for an interval: {rows}")
    return "; ".join(said)
