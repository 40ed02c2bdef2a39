"""What would make a model fit that does not, or give it what it lacks: each change is tried before it is named, cheapest first."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from archcalc import hardware, units
from archcalc.analysis.fit import Ask, Fit, Plans, largest, max_context, plans
from archcalc.engines.starting import loading
from archcalc.errors import ArchcalcError
from archcalc.hardware import Device, GpuSpec
from archcalc.model import Architecture
from archcalc.quant import canonical

_SMALLER_CACHE = {"vllm": ("fp8",), "sglang": ("fp8_e4m3",), "llama.cpp": ("q8_0", "q4_0"), "transformers": ()}
# From the gentlest to the most aggressive, by what each engine loads.
QUANTIZATIONS = {
    "vllm": ("fp8", "w4a16"),
    "sglang": ("fp8", "w4a16"),
    "llama.cpp": ("q8_0", "q6_k", "q5_k_m", "q4_k_m", "q3_k_m", "q2_k"),
    "transformers": ("bnb-int8", "nf4"),
}
_MOST_GPUS = 64
# What vLLM's own recipes go up to, and the steps of its default for GPUs with less memory (engine/arg_utils.py `get_batch_defaults`).
# SGLang's share is not raised: it measures no peak, and what its graphs and a prefill need stays outside of it.
_LARGER_SHARE, _SMALLER_STEP = 0.95, 2048


class Change(NamedTuple):
    """A change that makes it fit: what to do, the options that do it, and the plan that follows."""

    what: str
    options: str
    fit: Fit
    usd_per_hour: float | None = None


def would_fit(architecture: Architecture, ask: Ask, found: Plans) -> list[Change]:
    """Changes that were tried and make it fit, cheapest first: settings of the engine, another cache, fewer tokens, other weights, more
    GPUs, other GPUs. Fewer sequences at once than the engine's default are part of every plan that needs them."""
    return [
        *_settings(architecture, ask, found),
        *_caches(architecture, ask),
        *_tokens(architecture, ask, found),
        *_weights(architecture, ask),
        *_gpus(architecture, ask, found),
    ]


def _tried(architecture: Architecture, ask: Ask) -> Fit | None:
    try:
        best = plans(architecture, ask, alternatives=0).best
    except ArchcalcError:
        return None
    return best if best.fits else None


def _settings(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    """A larger share of the memory and smaller steps, both together only where neither alone is enough."""
    b = found.best.budget
    if ask.engine != "vllm":
        return
    settings: list[tuple[str, str, dict[str, Any]]] = []
    share = _LARGER_SHARE
    # Where CPU and GPU share the memory, the share is already all that is free.
    if ask.utilization is None and ask.gpus.device.free_bytes is None and b.utilization < share:
        left = units.format_bytes(b.memory_bytes - int(b.memory_bytes * share))
        settings.append((f"a share of {share:g}: {left} stay for all else", f"--utilization {share:g}", {"utilization": share}))
    if ask.batched_tokens is None and b.batched_tokens > _SMALLER_STEP:
        what = f"steps of {_SMALLER_STEP:,} tokens in place of {b.batched_tokens:,}: slower prompts"
        settings.append((what, f"--max-num-batched-tokens {_SMALLER_STEP}", {"batched_tokens": _SMALLER_STEP}))
    enough = False
    for what, options, values in settings:
        if fit := _tried(architecture, ask._replace(**values)):
            enough = True
            yield Change(what, options, fit)
    if len(settings) == 2 and not enough:
        (what, options, values), (more, further, others) = settings
        if fit := _tried(architecture, ask._replace(**values, **others)):
            yield Change(f"{what}; {more}", f"{options} {further}", fit)


def _caches(architecture: Architecture, ask: Ask) -> Iterator[Change]:
    if ask.kv_dtype is None:
        for dtype in _SMALLER_CACHE[ask.engine]:
            if fit := _tried(architecture, ask._replace(kv_dtype=dtype)):
                yield Change(f"keep the cache in {dtype}", f"--kv-dtype {dtype}", fit)
                return


def _tokens(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    best = found.best
    tokens = max_context(found.model, best, ask)
    if tokens >= 1024:
        # Whole k: nobody types the last token.
        tokens = tokens // 1024 * 1024
        if fit := _tried(architecture, ask._replace(context_tokens=tokens)):
            yield Change(f"{units.format_tokens(tokens)} tokens of context", f"--ctx {units.format_tokens(tokens)}", fit)
    if ask.concurrency > 1 and best.max_concurrency >= 1:
        n = largest(lambda n: bool(_tried(architecture, ask._replace(concurrency=n))), ask.concurrency)
        if n and (fit := _tried(architecture, ask._replace(concurrency=n))):
            yield Change(f"{n} sequences at once", f"--concurrency {n}", fit)


def _weights(architecture: Architecture, ask: Ask) -> Iterator[Change]:
    if ask.quant is None and (ask.engine == "llama.cpp" or not architecture.quantization):
        for quant in QUANTIZATIONS[ask.engine]:
            if fit := _tried(architecture, ask._replace(quant=quant)):
                # A reader should know that this is another download, where the engine does not quantize as it loads.
                as_is = ask.engine == "llama.cpp" or loading(ask.engine, ask.version, canonical(quant)) is not None
                what = f"weights quantized to {quant}" if as_is else f"a checkpoint in {quant}"
                yield Change(what, f"--quant {quant}", fit)
                return


def _gpus(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    device, count = ask.gpus.device, ask.gpus.count
    # What cannot hold one copy of the weights need not be tried.
    least = found.best.weights.total_bytes // found.best.placement.dp
    if device.category not in ("soc", "laptop"):
        more = count * 2
        while more <= _MOST_GPUS:
            if device.visible_bytes * more > least and (found_on := _on(architecture, ask, GpuSpec(device, more))):
                fit, without = found_on
                yield Change(f"{more} GPUs of the same kind{without}", f"--gpu {more}x{device.id}", fit, _price(device, more))
                break
            more *= 2
    enough = max(device.visible_bytes + 1, least // count)
    other = [d for d in hardware.devices() if _comparable(d, device) and d.visible_bytes >= enough and d.status == "shipping"]
    priced = sorted(other, key=lambda d: (_price(d, count) or 1e9, d.visible_bytes))
    for candidate in priced[:12]:
        if found_on := _on(architecture, ask, GpuSpec(candidate, count)):
            fit, without = found_on
            name = candidate.name if count == 1 else f"{count} x {candidate.name}"
            options = f"--gpu {count}x{candidate.id}" if count > 1 else f"--gpu {candidate.id}"
            yield Change(f"{name}{without}", options, fit, _price(candidate, count))
            break


def _on(architecture: Architecture, ask: Ask, gpus: GpuSpec) -> tuple[Fit, str] | None:
    """The plan on other GPUs, split as asked; where none fits so, split otherwise, and which options to leave out for that."""
    ask = ask._replace(gpus=gpus)
    if fit := _tried(architecture, ask):
        return fit, ""
    asked = [name for name in ("tp", "pp", "ep", "dp") if getattr(ask, name)]
    if not asked or not (fit := _tried(architecture, ask._replace(tp=None, pp=None, ep=None, dp=None))):
        return None
    return fit, f", without --{' --'.join(asked)}"


def _comparable(other: Device, device: Device) -> bool:
    """A device that takes the same place: of the same vendor, and a Mac for a Mac."""
    return other.vendor == device.vendor and (other.category == "soc") == (device.category == "soc") and other.category != "laptop"


def _price(device: Device, count: int) -> float | None:
    offers = hardware.offers(device.id, count) if device.vendor != "custom" else []
    return offers[0][0] if offers else None


def offload(found: Plans) -> tuple[int, int] | None:
    """For llama.cpp: how many of the layers fit on the GPU beside their cache (`-ngl`, the head counting as one), and how many there are.

    Layers are taken from the last, as llama.cpp does, the head first. None if nothing fits.
    """
    model, best = found.model, found.best
    layers = model.architecture.layers
    each = [0] * layers
    rest = 0
    for tensor in model.tensors:
        size = sum(piece.bytes for piece in tensor.pieces)
        if not tensor.gpu:
            continue
        for layer in tensor.layers:
            each[layer] += size
        if not tensor.layers:
            rest += size * tensor.copies
    room = best.budget.kv_room_bytes + best.budget.weights_bytes - rest
    cache = -(-best.kv_needed_bytes // layers)
    held = 0
    for size in reversed(each):
        room -= size + cache
        if room < 0:
            break
        held += 1
    if room < 0 and not held:
        return None
    return held + 1, layers + 1
