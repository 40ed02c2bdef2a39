"""What a host's own measurements say of its forecasts: the factors that make forecasts agree with them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from statistics import median
from typing import Any

from archcalc import report, units
from archcalc.analysis.fit import Ask, Candidate, plans
from archcalc.analysis.speed.coefficients import within
from archcalc.analysis.speed.forecast import Calibration, Forecast
from archcalc.analysis.speed.measured import Measurement, Of, read_text
from archcalc.analysis.speed.plan import Wanted, of_fit
from archcalc.analysis.speed.terms import SERVED
from archcalc.engines.placement import Placement, rank_weights
from archcalc.errors import ArchcalcError, ContextError, UsageError
from archcalc.loader import Loaded
from archcalc.model import Architecture

ENOUGH = 5
"""Measurements of a phase whose own scatter is the interval; of fewer it is at least what rows of one source had around their middle."""
SLOWEST = 20.0
"""What takes so many times the forecast ran elsewhere than on the GPU; rows of published measurements take up to 6 times as long."""


def engine_of(measured: list[Measurement], asked: str | None) -> str | None:
    """The engine that the tool measures, where it measures one alone; else the one asked for. Raises `UsageError` for another."""
    found = next((m.of.engine for m in measured if m.of.engine), None)
    if found and asked is not None and asked != found:
        raise UsageError(f"--engine {asked}: the file's tool measures {found}", f"--engine {found}, or leave it out")
    return found or asked


def calibrate(
    loaded: Loaded, ask: Ask, wanted: Wanted, measured: list[Measurement], notes: Sequence[str] = ()
) -> report.CalibrationReport:
    """How measurements stand to forecasts, and the factors of each phase. Raises `UsageError` where nothing is forecast to compare with."""
    from archcalc.analysis.host_memory import could_have_more

    rows: list[report.Calibrated] = []
    why = ""
    terms: dict[str, None] = {}
    ask = _as_said(ask, measured)
    for m in measured:
        _is_of(m, loaded, ask)
        one = wanted._replace(isl=m.isl, osl=m.osl, tpot=None, ttft=None, calibration=None, ubatch=m.of.ubatch)
        asked = ask._replace(context_tokens=m.isl + m.osl, concurrency=m.concurrency)
        try:
            found = plans(loaded.architecture, asked, alternatives=0)
        except ContextError as error:
            raise UsageError(
                f"{error.message}: the file's requests are of {m.isl:,} and {m.osl:,} tokens",
                "name the model that was measured, or set the length that its engine was told with --set",
            ) from None
        _is_stored(m.of, found.model, asked)
        # What ran has the memory that it takes.
        made = of_fit(found, found.best, asked, one, parts=True, raised=could_have_more(found.best, asked))
        _possible(m, made, loaded, asked)
        prompt = made.prompt_tokens_per_s
        times = {
            "decode": made.tpot.value if made.tpot else None,
            "prefill": m.isl / prompt.value if prompt else None,
            "ttft": made.ttft.value if made.ttft else None,
        }
        time = times[m.phase]
        why = made.why or why
        terms |= dict.fromkeys(part.name for part in made.parts if part.phase == m.phase)
        ratio = None if time is None else round(m.seconds / time, 4)
        if ratio is not None and ratio > SLOWEST:
            raise UsageError(
                f"{units.format_seconds(m.seconds)} ({m.phase}) is {ratio:,.3g} times the forecast: that did not run on"
                f" {asked.gpus.count} x {asked.gpus.device.name} alone",
                "name the GPUs, the storage and the engine that were measured",
            )
        rows.append(
            report.Calibrated(
                m.phase,
                m.isl,
                m.osl,
                m.concurrency,
                round(1000 * m.seconds, 4),
                None if time is None else round(1000 * time, 4),
                ratio,
            )
        )
    known: dict[str, list[float]] = {}
    for row in rows:
        if row.ratio:
            known.setdefault("decode" if row.phase == "decode" else "prefill", []).append(row.ratio)
    if not known:
        raise UsageError(f"nothing is forecast that these measurements could be compared with: {why}", "see docs/speed.md")
    factors = {phase: round(math.exp(median(map(math.log, ratios))), 4) for phase, ratios in known.items()}
    served = (wanted.engine or ask.engine) in SERVED
    spreads = {phase: round(_spread(ratios, factors[phase], within(phase, served)), 4) for phase, ratios in known.items()}
    return report.CalibrationReport(
        report.SCHEMA_VERSION,
        loaded.source.name,
        ask.gpus.device.id,
        wanted.engine or ask.engine,
        factors,
        max(spreads.values()),
        spreads,
        len(rows),
        ask.gpus.count,
        list(terms),
        rows,
        list(notes),
    )


def _as_said(ask: Ask, measured: list[Measurement]) -> Ask:
    """The question with the storage and the cache's type that the file says, where the options leave them open.

    Raises `UsageError` for a file of several, and for a cache kept otherwise than was asked for."""
    stored = {m.of.storage for m in measured} - {""}
    kept = {_cached(m.of.kv) for m in measured if m.of.kv}
    for said, key in ((stored, "model_type"), (kept, "type_k, type_v")):
        if len(said) > 1:
            raise UsageError(f"the file is of {' and '.join(sorted(said))} ({key})", "give a file of one at a time")
    if stored and ask.quant is None:
        ask = ask._replace(quant=next(iter(stored)))
    if not kept:
        return ask
    kv = next(iter(kept))
    if ask.kv_dtype is None:
        return ask if kv == "f16" else ask._replace(kv_dtype=kv)
    if _cached(ask.kv_dtype) != kv:
        raise UsageError(f"the file is of a cache in {kv} (type_k, type_v), and --kv-dtype is {ask.kv_dtype}", f"--kv-dtype {kv}")
    return ask


def _cached(dtype: str) -> str:
    """A cache's type by one name, numbers of 16 bits alike."""
    name = units.parse_cache_dtype(dtype)
    return "f16" if name in ("f16", "fp16", "bf16") else name


STORED = 0.15
"""How far the bytes of a file may lie from those of its type: publishers mix types of their own (UD-Q3_K_XL and the like)."""


def _is_stored(of: Of, model: Candidate, ask: Ask) -> None:
    """Raises `UsageError` for a measurement of weights that are stored otherwise than was asked."""
    from archcalc.quant import file_type_of, is_plain

    asked = "plain" if is_plain(model.quant) else file_type_of(model.quant) or model.quant
    said = "plain" if of.storage and is_plain(of.storage) else of.storage
    if said and said != asked:
        raise UsageError(
            f"the file is of weights in {of.storage} (model_type), and {'--quant is' if ask.quant else 'those asked about are in'}"
            f" {model.quant}",
            f"--quant {of.storage} is what was measured",
        )
    if of.quantized and (asked == "plain" or ("fp8" in of.quantized) != ("fp8" in asked)):
        raise UsageError(
            f"the file is of weights quantized by {of.quantized[:40]} (server_info), and"
            f" {'--quant is' if ask.quant else 'those asked about are in'} {model.quant}",
            "name the storage that was measured (--quant)",
        )
    one = rank_weights(model.architecture, Placement(1, 1, 1, 1), model.options, model.tensors)
    size = one.bytes + one.cpu_bytes
    if of.size is not None and abs(of.size - size) > STORED * size:
        raise UsageError(
            f"the file is of {units.format_bytes(of.size)} of weights (model_size), and in {model.quant} they are"
            f" {units.format_bytes(size)}",
            "name the model and the storage (--quant) that were measured",
        )


_BACKENDS = {"CUDA": ("nvidia",), "ROCm": ("amd",), "HIP": ("amd",), "Metal": ("apple",), "MTL": ("apple",), "MUSA": (), "CANN": ()}
"""The makers whose GPUs a back end of ggml runs on, where it runs on those of few."""


def _is_of(m: Measurement, loaded: Loaded, ask: Ask) -> None:
    """Raises `UsageError` for a measurement of another model or machine, or of one that ran on the CPU in part."""
    from archcalc import zoo
    from archcalc.engines.llamacpp.cache import architecture_name
    from archcalc.hardware import parse_spec

    a, of = loaded.architecture, m.of
    total, text = _counted(a)
    # A tuned release has its base's speed.
    named = zoo.find(of.model)
    if named is not None and (other := zoo.spec(named.name)) is not None and _counted(other) != (total, text):
        raise UsageError(
            f"the file is of {of.model} (model_id), and {loaded.source.name} is asked about", "name the model that was measured"
        )
    try:
        seen = parse_spec(of.gpu).device if of.gpu else None
    except UsageError:
        seen = None
    device = ask.gpus.device
    # What drivers call a card that is sold with several sizes of memory says nothing of the size.
    if seen is not None and device.id != "custom" and _SIZE.sub("", seen.id) != _SIZE.sub("", device.id):
        raise UsageError(f"the file is of {of.gpu} (gpu_info), and --gpu is {device.name}", "name the GPU that was measured")
    if of.gpus is not None and of.gpus != ask.gpus.count:
        where = "gpu_info" if of.gpu else "server_info"
        raise UsageError(
            f"the file is of {of.gpus} GPU{'' if of.gpus == 1 else 's'} ({where}), and --gpu is {ask.gpus.count} x {device.name}",
            f"--gpu {of.gpus}x{device.id}, or measure on as many as are asked about",
        )
    strange = next((name for name in of.backends if device.vendor not in (*_BACKENDS.get(name, (device.vendor,)), "custom")), None)
    if strange is not None:
        raise UsageError(
            f"the file is of the back end {strange} (backends), and --gpu is {device.name}", "name the GPU that was measured"
        )
    if of.params is not None and not any(abs(of.params - each) <= each // 100 for each in (total, text)):
        raise UsageError(
            f"the file is of a model of {of.params / 1e9:.3g} B parameters (model_n_params),"
            f" and {loaded.source.name} has {total / 1e9:.3g} B",
            "name the model that was measured",
        )
    try:
        arch = architecture_name(a)
    except ArchcalcError:
        arch = ""
    if of.arch and arch and _spelled(of.arch) != _spelled(arch):
        raise UsageError(
            f"the file is of a {of.arch} (model_type), and {loaded.source.name} is a {arch}", "name the model that was measured"
        )
    layers = sum(sum(stack.counts()) for stack in a.stacks if stack.part == "decoder")
    if of.off_gpu or (of.gpu_layers is not None and of.gpu_layers < layers):
        said = of.off_gpu or f"on the CPU (n_gpu_layers {of.gpu_layers} of {layers})"
        raise UsageError(
            f"part of the model ran {said}, and a forecast is of whole layers on the GPUs alone",
            "measure it with all layers on the GPU",
        )


def _spelled(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_SIZE = re.compile(r"-\d+gb$")


def _counted(a: Architecture) -> tuple[int, int]:
    """Parameters in all, and those that a GGUF file has: it may leave out towers and layers of MTP, and adds no more than the factors of
    rotary embeddings."""
    of = [(part, t.elements * n) for part, t, n in a.each_tensor() if t.counted]
    return sum(n for _, n in of), sum(n for part, n in of if part in ("embedding", "decoder", "head"))


def _possible(m: Measurement, made: Forecast, loaded: Loaded, ask: Ask) -> None:
    """Raises `UsageError` for a measurement that the device's bandwidth or its matrix units rule out."""
    most, least = made.bound_tokens_per_s, made.floor_s
    hint = "name the GPUs, the storage and the engine that were measured; tokens that were drafted cannot be compared"
    where = f"{loaded.source.name} in {ask.quant or 'its own storage'} on {ask.gpus.count} x {ask.gpus.device.name}"
    if m.phase == "decode" and most is not None and m.concurrency / m.seconds > most:
        raise UsageError(
            f"{1000 * m.seconds:.3g} ms a token at {m.concurrency} at once is faster than the bandwidth lets {where} be"
            f" ({1000 * m.concurrency / most:.3g} ms)",
            hint,
        )
    if m.phase != "decode" and least is not None and m.seconds < least:
        raise UsageError(
            f"{1000 * m.seconds:.3g} ms for a prompt of {m.isl:,} tokens is less than the matrix units need for {where}"
            f" ({1000 * least:.3g} ms)",
            hint,
        )


def _spread(ratios: list[float], factor: float, usual: float) -> float:
    """The end of 80 % around the factor; a tenth at least."""
    off = sorted(abs(math.log(ratio / factor)) for ratio in ratios)
    own = max(1.1, math.exp(off[min(len(off) - 1, 8 * len(off) // 10)]))
    return own if len(off) >= ENOUGH else max(own, usual)


def read_calibration(path: str, other: str = "") -> Calibration | None:
    """What `archcalc calibrate --format json` wrote; None for a file with the key `other`. Raises `UsageError` for anything else."""
    hint = "write it with `archcalc calibrate BENCH … --format json`"
    try:
        raw = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}", hint) from None
    if other and isinstance(raw, dict) and other in raw:
        return None
    held = raw if isinstance(raw, dict) else {}
    factors, spreads, rows = held.get("factors"), held.get("spreads"), held.get("rows")
    if not isinstance(factors, dict) or not factors or not factors.keys() <= {"decode", "prefill"}:
        raise UsageError(f"{path} holds no factors of `archcalc calibrate`", hint)
    if not isinstance(spreads, dict) or spreads.keys() != factors.keys():
        raise UsageError(f"{path}: spreads: one for each of the factors was expected", hint)
    for name, values, least in (("factors", factors, 0.001), ("spreads", spreads, 1)):
        for key, value in values.items():
            if not _within(value, least):
                raise UsageError(f"{path}: {name}.{key}: {str(value)[:40]}: a number from {least:g} to 1,000 was expected", hint)
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise UsageError(f"{path}: rows: {str(rows)[:40]}: a number of measurements was expected", hint)
    for key in ("gpu", "engine", "source"):
        if not isinstance(held.get(key), str):
            raise UsageError(f"{path}: {key}: {str(held.get(key))[:40]}: a name was expected", hint)
    gpus, terms = held.get("gpus", 0), held.get("terms", [])
    if not isinstance(gpus, int) or isinstance(gpus, bool):
        raise UsageError(f"{path}: gpus: {str(gpus)[:40]}: a number of GPUs was expected", hint)
    if not isinstance(terms, list) or not all(isinstance(term, str) for term in terms):
        raise UsageError(f"{path}: terms: {str(terms)[:40]}: a list of names was expected", hint)
    return Calibration(factors, spreads, rows, held["gpu"], held["engine"], held["source"], gpus, frozenset(terms))


def _within(value: Any, least: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value < 1000
