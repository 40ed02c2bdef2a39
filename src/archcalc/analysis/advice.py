"""What would make a model fit that does not, or give it what it lacks: each change is tried before it is named, cheapest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from archcalc import hardware, units
from archcalc.analysis.fit import SHORTEST, Ask, Fit, Plans, largest, max_context, plans
from archcalc.engines.engine import SYSTEM_LEAST, server
from archcalc.errors import ArchcalcError
from archcalc.hardware import Device, GpuSpec
from archcalc.model import Architecture
from archcalc.quant import canonical
from archcalc.records import NamedTuple

_MOST_GPUS = 64


class Change(NamedTuple):
    """A change that makes it fit: what to do, the options that do it, and the plan that follows. `values` are those of the question that
    an engine's command has words of its own for, and `gpus` other GPUs."""

    what: str
    options: str
    fit: Fit
    usd_per_hour: float | None = None
    values: Mapping[str, Any] = MappingProxyType({})
    gpus: GpuSpec | None = None


def would_fit(architecture: Architecture, ask: Ask, found: Plans) -> list[Change]:
    """Changes that were tried and make it fit, cheapest first: settings of the engine, another cache, fewer tokens, other weights, more
    GPUs, other GPUs. Fewer sequences at once than the engine's default are part of every plan that needs them."""
    return [
        *_settings(architecture, ask, found),
        *_limit(architecture, ask, found),
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
    """Each of the engine's settings, and all of them together only where none is enough alone."""
    settings = server(ask.engine).settings(ask, found.best.budget)
    enough = False
    for what, options, values in settings:
        if fit := _tried(architecture, _set(ask, values)):
            enough = True
            yield Change(what, options, fit, values=values)
    if len(settings) > 1 and not enough:
        together = {name: value for setting in settings for name, value in setting.values.items()}
        if fit := _tried(architecture, _set(ask, together)):
            yield Change("; ".join(s.what for s in settings), " ".join(s.options for s in settings), fit, values=together)


def _set(ask: Ask, values: Mapping[str, Any]) -> Ask:
    own = {name: value for name, value in values.items() if name not in Ask._fields}
    asked = {name: value for name, value in values.items() if name in Ask._fields}
    return ask._replace(**asked, **({"own": ask.own._replace(**own)} if own else {}))


def _limit(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    """On a Mac, more of the memory for the GPU than macOS gives it by default: mlx 0.30, docs of `mlx.core.set_wired_limit`."""
    device, best = ask.gpus.device, found.best
    if device.vendor != "apple" or device.ram_bytes is None or device.visible_basis == "measured":
        return
    b = best.budget
    taken = b.weights_bytes + b.activation_bytes + b.overhead_bytes + max(0, best.kv_needed_bytes)
    whole = -(-taken >> 30) << 30
    left = device.ram_bytes - whole
    if left < SYSTEM_LEAST or whole <= device.visible_bytes:
        return
    more = GpuSpec(device._replace(visible_bytes=whole), ask.gpus.count)
    if fit := _tried(architecture, ask._replace(gpus=more)):
        what = f"sudo sysctl iogpu.wired_limit_mb={whole >> 20} first, which leaves {units.format_bytes(left)} for all else"
        yield Change(what, f"--vram {whole >> 30}GiB", fit, gpus=more)


def _caches(architecture: Architecture, ask: Ask) -> Iterator[Change]:
    if ask.kv_dtype is None:
        for dtype in server(ask.engine).smaller_caches:
            if fit := _tried(architecture, ask._replace(kv_dtype=dtype)):
                yield Change(f"the cache kept in {dtype}", f"--kv-dtype {dtype}", fit, values={"kv_dtype": dtype})
                return


def _tokens(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    best = found.best
    tokens = max_context(found.model, best, ask)
    if tokens < SHORTEST < found.best.context_tokens:
        # Where no plan of this length leaves room, one of a short length may, with settings that are taken for it.
        try:
            short = plans(architecture, ask._replace(context_tokens=4 * SHORTEST), alternatives=0)
        except ArchcalcError:
            short = found
        if short.best.fits:
            tokens = max_context(short.model, short.best, short.asked(ask))
    # Of what another limit stops more may fit than a command asks for.
    if tokens >= SHORTEST and (ask.own is None or tokens < best.context_tokens):
        # Whole k: nobody types the last token.
        tokens = tokens // 1024 * 1024
        if fit := _tried(architecture, ask._replace(context_tokens=tokens)):
            context = units.format_tokens(tokens)
            yield Change(f"{context} tokens of context", f"--ctx {context}", fit, values={"context_tokens": tokens})
    if ask.concurrency > 1 and best.max_concurrency >= 1:
        n = largest(lambda n: bool(_tried(architecture, ask._replace(concurrency=n))), ask.concurrency)
        if n and (fit := _tried(architecture, ask._replace(concurrency=n))):
            yield Change(f"{n} sequences at once", f"--concurrency {n}", fit, values={"concurrency": n})


def _weights(architecture: Architecture, ask: Ask) -> Iterator[Change]:
    engine = server(ask.engine)
    if ask.quant is None:
        for quant in engine.storages(architecture):
            if quant is not None and (fit := _tried(architecture, ask._replace(quant=quant))):
                # A reader should know that this is another download, where the engine does not quantize as it loads.
                as_is = engine.loading(ask.version, canonical(quant)) is not None and fit.loads
                what = f"weights quantized to {quant}" if as_is else f"a checkpoint in {quant}"
                yield Change(what, f"--quant {quant}", fit, values={"quant": quant})
                return


def _gpus(architecture: Architecture, ask: Ask, found: Plans) -> Iterator[Change]:
    device, count = ask.gpus.device, ask.gpus.count
    # What cannot hold one copy of the weights need not be tried.
    least = found.best.weights.total_bytes // found.best.placement.dp
    if device.category not in ("soc", "laptop"):
        more = count * 2
        while more <= _MOST_GPUS:
            options = named(device, more)
            if options and device.visible_bytes * more > least and (found_on := _on(architecture, ask, GpuSpec(device, more))):
                fit, without, values = found_on
                what = f"{more} GPUs of the same kind{without}"
                yield Change(what, options, fit, _price(device, more), values, GpuSpec(device, more))
                break
            more *= 2
    enough = max(device.visible_bytes + 1, least // count)
    other = [d for d in hardware.devices() if _comparable(d, device) and d.visible_bytes >= enough and d.status == "shipping"]
    # Of those without a price one that is sold still comes before an older one.
    priced = sorted(other, key=lambda d: (_price(d, count) or 1e9, d.year < device.year, d.visible_bytes))
    for candidate in priced[:12]:
        options = named(candidate, count)
        if options and (found_on := _on(architecture, ask, GpuSpec(candidate, count))):
            fit, without, values = found_on
            size = f" {candidate.ram_bytes >> 30} GB" if candidate.ram_bytes and len(candidate.ram_options) > 1 else ""
            options = options if not size else _sized(candidate, options)
            name = f"{candidate.name}{size}" if count == 1 else f"{count} x {candidate.name}{size}"
            yield Change(f"{name}{without}", options, fit, _price(candidate, count), values, GpuSpec(candidate, count))
            break


def named(device: Device, count: int) -> str:
    """The options that name so many GPUs of a device; empty where none do, as for several Macs and for half a package."""
    seen = device.visible_bytes
    size = f"{seen >> 30}GiB" if seen % (1 << 30) == 0 else f"{seen}B"
    if device.vendor == "custom":
        return f"--gpu {count} --vram {size}"
    packages, left = divmod(count, device.per_package)
    text = f"{packages}x{device.id}" if packages > 1 else device.id
    try:
        spec = hardware.parse_spec(text)
    except ArchcalcError:
        return ""
    # Of several sizes the name has the one that it is taken with.
    sold = device._replace(id=f"{device.id}-{device.nominal_gb}gb") if len(device.ram_options) > 1 else device
    if left or (spec.device.id, spec.count) != (sold.id, count):
        return ""
    return f"--gpu {text}{'' if spec.device.visible_bytes == device.visible_bytes else f' --vram {size}'}"


def _sized(device: Device, options: str) -> str:
    """Options that name a device with its memory, where that is one of several sizes."""
    text = f"{device.id}-{(device.ram_bytes or 0) >> 30}gb"
    try:
        spec = hardware.parse_spec(text)
    except ArchcalcError:
        return options
    return f"--gpu {text}" if spec.device.visible_bytes == device.visible_bytes else options


def _on(architecture: Architecture, ask: Ask, gpus: GpuSpec) -> tuple[Fit, str, dict[str, Any]] | None:
    """The plan on other GPUs, split as asked; where none fits so, split otherwise, and which options to leave out for that. A command's
    own split is widened: what of it says so then."""
    wider = ask._replace(gpus=gpus)
    if hasattr(ask.own, "nodes"):
        # As many as there are: the flags that say so are words of the command then.
        wider = wider._replace(own=ask.own._replace(nodes=max(ask.own.nodes, gpus.nodes)))
    if ask.own is not None and ask.tp and gpus.count != ask.gpus.count:
        tp, left = divmod(ask.tp * gpus.count, ask.gpus.count)
        ep = ask.ep * gpus.count // ask.gpus.count if ask.ep and ask.ep > 1 else ask.ep
        if not left and (fit := _tried(architecture, wider._replace(tp=tp, ep=ep))):
            return fit, "", {"tp": tp}
        return None
    alone = {"shares": None} if gpus.count != ask.gpus.count and getattr(ask.own, "shares", None) else {}
    # Shares of some GPUs leave the others empty.
    if fit := _tried(architecture, _set(wider, alone)):
        return fit, "", alone
    asked = [name for name in ("tp", "pp", "ep", "dp") if getattr(ask, name)]
    if ask.own is not None or not asked or not (fit := _tried(architecture, wider._replace(tp=None, pp=None, ep=None, dp=None))):
        return None
    return fit, f", without --{' --'.join(asked)}", {}


def _comparable(other: Device, device: Device) -> bool:
    """A device that takes the same place: of the same vendor, and a Mac for a Mac."""
    return other.vendor == device.vendor and (other.category == "soc") == (device.category == "soc") and other.category != "laptop"


def _price(device: Device, count: int) -> float | None:
    offers = hardware.offers(device.id, count) if device.vendor != "custom" else []
    return offers[0][0] if offers else None
