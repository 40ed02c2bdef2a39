"""A plan's forecast and cost: what `fit`, `pick`, `sweep` and the charts ask, from a plan that was judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archcalc import report, units
from archcalc.analysis.fit import Ask, Fit, Plans, judge
from archcalc.analysis.speed.departures import Departure, Flags, departure
from archcalc.analysis.speed.forecast import (
    Calibration,
    Forecast,
    Interval,
    bound_tokens_per_s,
    floor_s,
    forecast,
)
from archcalc.analysis.speed.terms import Load
from archcalc.analysis.speed.work import Work, work
from archcalc.engines.engine import server
from archcalc.engines.placement import ComponentBytes, Placement, rank_weights
from archcalc.errors import UsageError
from archcalc.hardware import GpuSpec, rent
from archcalc.records import NamedTuple

_ELEMENT = {
    "auto": 2.0,
    "f16": 2.0,
    "fp16": 2.0,
    "float16": 2.0,
    "bf16": 2.0,
    "bfloat16": 2.0,
    "f32": 4.0,
    "fp32": 4.0,
    "fp8": 1.0,
    "fp8_e5m2": 1.0,
    "fp8_e4m3": 1.0,
    "fp8_per_token_head": 1.0,
    "int8_per_token_head": 1.0,
    "int4_per_token_head": 0.5,
    "fp8_ds_mla": 656 / 576,
    "nvfp4": 9 / 16,
    "nvfp4_ds_mla": 352 / 576,
    "mxfp8": 33 / 32,
    "int8": 34 / 32,
    "int4": 18 / 32,
    "q8_0": 34 / 32,
    "q5_1": 24 / 32,
    "q5_0": 22 / 32,
    "q4_1": 20 / 32,
    "q4_0": 18 / 32,
    "iq4_nl": 18 / 32,
}
"""Bytes of a cached element, as engines name its kind, with the scales of its groups; those of each token and head, a few bytes of a row,
are left out. GGUF's types as quant/gguf.py has them; MLX's of 32 bits for each 64 elements (mlx_lm/models/cache.py `QuantizedKVCache`);
vLLM 0.33, v1/kv_cache_interface.py `MLAAttentionSpec` (656 and 352 bytes for a row of 576)."""


def element_bytes(dtype: str) -> tuple[float, float]:
    """Bytes of a cached element of keys and of values, of which a cache of two kinds has the names of both ("q8_0/f16").

    Raises `KeyError` for a kind that no engine here has.
    """
    keys, _, values = dtype.partition("/")
    return _ELEMENT[keys], _ELEMENT[values or keys]


RAISED = "only where the GPU is given more of the memory than by default, as the notes say: it does not fit else"
USUAL = 1024
"""Prompt and output tokens of a request where nobody says: a common setting of published benchmarks."""


class Wanted(NamedTuple):
    """What is asked of speed beside the plan.

    `engine` names one whose memory is not modelled and whose plan stands in for it. Targets are in seconds, `requests` how many at once
    they are asked of, the most that keep them where it is None. `ram_bytes_per_s` is the bandwidth of the CPU's memory, for weights that
    lie there, `flags` are a command's, `ubatch` is how many tokens of a
    prompt were multiplied at once. `whole` is whether a context that nobody asked for is the longest that fits where there is a target
    too, and not that of usual requests. `offered` is how many requests there are at once where a command runs a number of its own; as many
    as the plan is for where it is None.
    """

    isl: int | None = None
    osl: int | None = None
    engine: str | None = None
    tpot: float | None = None
    ttft: float | None = None
    calibration: Calibration | None = None
    ram_bytes_per_s: int | None = None
    requests: int | None = None
    flags: Flags | None = None
    ubatch: int | None = None
    offered: int | None = None
    whole: bool = False

    @property
    def aims(self) -> bool:
        """Whether a target is asked for."""
        return self.tpot is not None or self.ttft is not None

    def context(self, asked: int | None = None) -> int | None:
        """The context that is asked for, or that requests of such lengths need; None where none is given.

        All tokens of a request count. The last of its output is not read again, but vLLM and SGLang count it all the same, and llama-server
        stops at `n_tokens + 1 >= n_ctx` (0c1e57098, tools/server/server-context.cpp `process_token`) and refuses a prompt that leaves no
        room for one. Raises `UsageError` for requests that are longer than the context that is asked for, and for a time between tokens of
        which there is one.
        """
        if self.osl == 1 and self.tpot is not None:
            said = "requests of one output token (--osl 1) have no time between two, which --tpot is"
            raise UsageError(said, "--ttft is the time to that one; or give a longer --osl")
        if asked is not None:
            if (long := self.longest) > asked:
                said = f"a prompt and its output of {long:,} tokens are beyond --ctx {asked:,}"
                raise UsageError(said, "give a larger --ctx, or leave it out")
            return asked
        if not self.sized:
            return None
        return (self.isl or USUAL) + (self.osl or USUAL)

    @property
    def longest(self) -> int:
        """The tokens of a request of the lengths given."""
        return (self.isl or 0) + (self.osl or 0)

    @property
    def sized(self) -> bool:
        """Whether requests of some length are asked about."""
        return self.isl is not None or self.osl is not None

    def lengths_said(self, context: int | None) -> bool:
        """Whether a context is that of requests, whose lengths alone were given."""
        return self.sized and context == self.context()

    def load(self, context: int, concurrency: int) -> Load:
        """The requests, within the context: of a length that nobody says `USUAL` tokens, or what the other leaves of a shorter context,
        half of it where neither is said."""
        half = max(1, min(USUAL, context // 2))
        left = max(1, min(USUAL, context - self.longest))
        unsaid = left if self.sized else half
        return Load(self.isl or unsaid, self.osl or unsaid, concurrency)


def work_of(found: Plans, fit: Fit) -> Work:
    """What a step asks of one rank of all stages."""
    p = fit.placement
    of, held = found.model.works.get((p, fit.kv_dtype), (None, None))
    if held is None or of is not fit.weights:
        held = _work(found, fit)
        found.model.works[p, fit.kv_dtype] = fit.weights, held
    return held


def _work(found: Plans, fit: Fit) -> Work:
    p, model, weights = fit.placement, found.model, fit.weights
    if p.pp == 1:
        components: Iterable[ComponentBytes] = (*weights.components, *weights.left)
    else:
        # The fullest stage is not all of them.
        components = rank_weights(model.architecture, p._replace(pp=1), model.options, model.tensors).components
    cached = "fp8" if fit.kv_dtype.startswith("fp8") else ""
    done = work(model.architecture, components, p, element_bytes(fit.kv_dtype), weights.left, cached)
    return done._replace(apart=True) if model.options.apart else done


def of_fit(
    found: Plans, fit: Fit, ask: Ask, wanted: Wanted, parts: bool = False, raised: bool = False, prompts: bool = True
) -> Forecast:
    """The forecast of a plan; of one that does not fit the reason, and a bound where only requests wait for one another. `raised` is a plan
    that would fit if the system were told to give the GPU more of the memory that it shares; without `prompts` nothing is said of them."""
    load = wanted.load(fit.context_tokens, wanted.offered or fit.concurrency)._replace(batch=_prompt_batch(fit, ask, wanted))
    whole, fit = fit, fit if raised else _of_lengths(found, fit, ask, load, wanted)
    waits = None if raised else _waits(fit, ask, load, wanted)
    if waits is not None:
        those = load._replace(concurrency=waits.runs)
        # Of fewer than run at once all that is known is said where they are asked for.
        hint = f"; --concurrency {waits.runs} is forecast" if _forecast(found, fit, ask, wanted, those).tpot else ""
        # So many are of the whole context: of shorter requests more may run.
        bounded = load if waits.whole and load.isl + load.osl < fit.context_tokens else those
        return _bounds(found, fit, ask, bounded, wanted)._replace(load=load, why=waits.why + hint)
    if not fit.fits and not raised:
        return Forecast(load, why="the plan does not fit: no rate is printed for it")
    made = _forecast(found, fit, ask, wanted, load, parts, prompts)
    if ask.version and made.stands:
        made = made._replace(stands=f"{made.stands}; {ask.engine} {ask.version} is not told from the releases that were measured")
    if fit is not whole and made.stands:
        made = made._replace(
            stands=f"{made.stands}; the cache has room for requests of these lengths, not for as many whole contexts"
        )
    return made._replace(stands=f"{RAISED}; {made.stands}") if raised and made.stands else made


def _of_lengths(found: Plans, fit: Fit, ask: Ask, load: Load, wanted: Wanted) -> Fit:
    """The plan for requests of the lengths that are asked about, where it has no room for as many whole contexts: a server that shares out
    its cache as requests need it makes none of them wait for more."""
    tokens = load.isl + load.osl
    if fit.fits or not (wanted.sized and tokens < fit.context_tokens and fit.start.starts and server(ask.engine).torch):
        return fit
    return judge(found.model, fit.placement, ask, tokens, load.concurrency)


def _forecast(found: Plans, fit: Fit, ask: Ask, wanted: Wanted, load: Load, parts: bool = False, prompts: bool = True) -> Forecast:
    """The forecast of a plan of which so many requests run at once."""
    return forecast(
        work_of(found, fit),
        ask.gpus.device,
        found.model.quant,
        wanted.engine or ask.engine,
        load,
        wanted.calibration,
        parts,
        away_bytes_per_s(ask, wanted),
        _other(found, fit, ask, wanted, load.concurrency),
        prompts or load.osl == 1,
    )


def _other(found: Plans, fit: Fit, ask: Ask, wanted: Wanted, requests: int) -> Departure | None:
    """Why the plan is run otherwise than what was measured; of an engine whose memory is not modelled nothing is known."""
    return None if wanted.engine else departure(wanted.flags, ask, fit, work_of(found, fit), requests)


def _prompt_batch(fit: Fit, ask: Ask, wanted: Wanted) -> int | None:
    """How many tokens of a prompt are multiplied at once, where a command or an option says so."""
    if wanted.ubatch is not None:
        return wanted.ubatch
    if ask.own is not None and hasattr(ask.own, "ubatch"):
        return int(ask.own.ubatch)
    served = server(ask.engine).torch and wanted.engine is None
    if not served or (ask.own is None and ask.batched_tokens is None):
        return None
    return min(fit.budget.batched_tokens, getattr(ask.own, "prompt_step", None) or fit.budget.batched_tokens)


class _Waits(NamedTuple):
    """How many requests run at once where others wait for them, and why; `whole` where they are counted as long as the context."""

    runs: int
    why: str
    whole: bool = False


def _waits(fit: Fit, ask: Ask, load: Load, wanted: Wanted) -> _Waits | None:
    """Whether some of the requests wait until others have ended, in a server that starts; None where they do not."""
    # Such as llama.cpp take the whole cache at the start, or do not start.
    if not fit.start.starts or not (fit.fits or server(ask.engine).torch):
        return None
    rest, requests = "the others wait, and nothing is forecast of that", load.concurrency
    held = requests if fit.fits else int(fit.max_concurrency)
    limit = None if wanted.engine else server(ask.engine).at_once(ask, fit, load.isl + load.osl)
    if limit is not None and limit[0] < requests and limit[0] <= held:
        runs, said = limit
        why = f"{runs:,} of {requests:,} requests run at once ({said}): {rest}"
        return _Waits(runs, why)
    if 0 < held < requests:
        of = f"{requests:,} requests of {fit.context_tokens:,} tokens"
        why = f"the cache has room for {held:,} of {of} at once: {rest}"
        return _Waits(held, why, whole=True)
    return None


def away_bytes_per_s(ask: Ask, wanted: Wanted) -> int | None:
    """How fast weights in the CPU's memory are read: by the CPU where the engine computes with them there, over PCIe by the GPU else.

    None where nobody says. Sources: llama.cpp 0c1e57098, ggml/src/ggml-backend.cpp `ggml_backend_sched_split_graph` (an operation runs
    where its weights are); vLLM 0.33, model_executor/offloader/uva.py (the GPU reads the CPU's memory at each use).
    """
    if server(ask.engine).torch:
        return ask.gpus.device.pcie_bytes_per_s
    return wanted.ram_bytes_per_s


def at_once(ask: Ask, placement: Placement) -> list[int | None]:
    """How many sequences a replica may run at most: what was asked for or chosen, and where nothing was fewer, as many as there are at
    least."""
    if ask.sequences is not None or ask.own is not None:
        return [ask.sequences]
    return [None, *(n for n in server(ask.engine).fewer_sequences if n * placement.dp >= ask.concurrency)]


def record(made: Forecast, goal: report.FitTarget | None = None, whole: float | None = None) -> report.FitSpeed:
    """As printed. `goal` is what became of a target, `whole` the bound of sequences that have reached the context."""
    tpot, ttft, rate, prompt = made.between, made.ttft, made.tokens_per_s, made.read_per_s

    bound = None if made.bound_tokens_per_s is None else units.at_most(made.bound_tokens_per_s, 3)
    t, f, r, q = (_ends(x, scale, digits) for x, scale, digits in ((tpot, 1000, 3), (ttft, 1000, 3), (rate, 1, 1), (prompt, 1, 1)))
    if bound is not None:
        # Rounded up an end would stand above the bound.
        r = _capped(r[0], bound), _capped(r[1], bound), _capped(r[2], bound)
    requests = _ends(made.requests_per_s, 1, 4)
    return report.FitSpeed(
        basis=made.basis,
        isl=made.load.isl,
        osl=made.load.osl,
        concurrency=made.load.concurrency,
        tpot_ms=t[0],
        tpot_ms_low=t[1],
        tpot_ms_high=t[2],
        ttft_ms=f[0],
        ttft_ms_low=f[1],
        ttft_ms_high=f[2],
        decode_tokens_per_s=r[0],
        decode_tokens_per_s_low=r[1],
        decode_tokens_per_s_high=r[2],
        requests_per_s=requests[0],
        requests_per_s_low=requests[1],
        requests_per_s_high=requests[2],
        prefill_tokens_per_s=q[0],
        prefill_tokens_per_s_low=q[1],
        prefill_tokens_per_s_high=q[2],
        bound_tokens_per_s=bound,
        bound_tokens_per_s_whole_context=None if whole is None else units.at_most(whole, 3),
        prefill_ms_floor=None if made.floor_s is None else int(1e6 * made.floor_s) / 1000,
        why=made.why,
        stands_on=made.stands or None,
        target=goal,
        terms=[
            report.SpeedTerm(p.phase, p.name, round(1000 * p.seconds, 4), p.formula, p.coefficient, p.rows, p.sources)
            for p in made.parts
        ],
    )


def quickest(made: report.FitSpeed, sized: bool, unrated: bool = False) -> tuple[float, float]:
    """The key of an order by speed: forecasts first, then bounds, which are no speeds, those that are not known to be one (`unrated`) last.

    Of requests whose lengths were asked about (`sized`) whole ones are compared, by their output tokens; else tokens as they decode, which
    lists show.
    """
    rate = made.decode_tokens_per_s
    if made.requests_per_s is not None and (sized or rate is None):
        rate = made.osl * made.requests_per_s
    if rate is not None:
        return 0.0, -rate
    bound = made.bound_tokens_per_s
    return (3.0, 0.0) if bound is None else (1.0 + unrated, -bound)


def _ends(x: Interval | None, scale: float, digits: int) -> tuple[float | None, float | None, float | None]:
    if x is None:
        return None, None, None
    return round(scale * x.value, digits), round(scale * x.low, digits), round(scale * x.high, digits)


def _capped(x: float | None, most: float) -> float | None:
    return None if x is None else min(x, most)


class Price(NamedTuple):
    """Dollars an hour, and of what: the instance, whether a plan uses all of it, and where and when that was its list price."""

    usd: float
    of: str


def price(gpus: GpuSpec) -> Price | None:
    """The list price of the instance that is named, else of the cheapest such machine; None where there is none."""
    priced = rent(gpus)
    if not priced:
        return None
    usd, instances, offer = priced[0]
    count = offer.gpu_count * instances
    of = f"the whole of {f'{instances} x ' if instances > 1 else ''}{offer.id} ({count} GPU{'s' if count > 1 else ''})"
    if count > gpus.count // gpus.device.per_package:
        of += f", of which the plan uses {gpus.count}"
    of += "".join(f", {words}" for words in (offer.provider, offer.price_region, "on demand", offer.price_date) if words)
    return Price(usd, of)


def cost(made: Forecast, ask: Ask) -> report.FitCost | None:
    """What the tokens cost at the price of the machine; None where there is none."""
    priced = price(ask.gpus)
    if priced is None:
        return None
    usd, of = priced
    scale = usd / 3600 * 1e6
    # Output is paid with the whole request, prompt and all; prompts are paid where nothing else is done.
    out, into = (_ends(x and x.inverse(scale), 1, 4) for x in (made.output_per_s, made.read_per_s))
    return report.FitCost(
        usd_per_hour=round(usd, 4),
        usd_per_million_output_tokens=out[0],
        usd_per_million_output_tokens_low=out[1],
        usd_per_million_output_tokens_high=out[2],
        usd_per_million_input_tokens=into[0],
        usd_per_million_input_tokens_low=into[1],
        usd_per_million_input_tokens_high=into[2],
        of=of,
    )


def at_context(found: Plans, fit: Fit, ask: Ask, wanted: Wanted) -> Forecast:
    """The bounds for sequences that have reached the context, as many as run at once, and for a prompt as long."""
    load = Load(fit.context_tokens, 1, wanted.offered or fit.concurrency)
    waits = _waits(fit, ask, load._replace(isl=fit.context_tokens - 1), wanted)
    return _bounds(found, fit, ask, load if waits is None else load._replace(concurrency=waits.runs), wanted)


def _bounds(found: Plans, fit: Fit, ask: Ask, load: Load, wanted: Wanted) -> Forecast:
    """The bounds alone."""
    made, device = work_of(found, fit), ask.gpus.device
    other = _other(found, fit, ask, wanted, load.concurrency)
    return Forecast(
        load,
        bound_tokens_per_s=bound_tokens_per_s(made, device, load, away_bytes_per_s(ask, wanted), other),
        floor_s=floor_s(made, device, wanted.engine or ask.engine, load.isl),
    )


def notes(wanted: Wanted, ask: Ask, placement: Placement) -> Iterator[str]:
    """What qualifies the plan of an engine whose memory is not modelled, of a command that runs a number of requests of its own, and of
    replicas that have none."""
    requests = wanted.offered or ask.concurrency
    idle = placement.dp - requests
    if idle > 0 and (requests > 1 or ask.dp or wanted.offered):
        many = f"{requests:,} request{'s'[: requests - 1]} at once"
        yield f"{idle:,} of {placement.dp:,} replicas {'have' if idle > 1 else 'has'} nothing to do with {many} (--concurrency)"
    if wanted.offered not in (None, ask.concurrency):
        slots = f"{ask.concurrency:,} sequence{'' if ask.concurrency == 1 else 's'} of its context"
        yield f"the command takes the memory of {slots}; the speed is of {wanted.offered:,} at once (--concurrency)"
    elif wanted.engine is not None:
        yield f"the memory of {wanted.engine} is not modelled: the verdict, the plan and the room are {ask.engine}'s, in its place"
