"""What the CPU's memory does for a plan: where a GPU shares it, what the system must be told first; elsewhere, what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from archcalc import units
from archcalc.analysis.fit import Ask, Fit
from archcalc.engines.engine import LOCAL, server

SYSTEM = 8 << 30
"""What a machine with shared memory should keep for its system and its programs where the GPU's limit is raised: a rule of thumb of
ours, no source states one."""


def ram_is_shared(ask: Ask) -> str:
    """Why `--ram` is no budget of its own."""
    return f"--ram changes nothing: CPU and GPU of {ask.gpus.device.name} share one memory, whose size its name or --vram says"


def ram_unused(ask: Ask, best: Fit) -> Iterator[str]:
    """Why the CPU's memory that was named changes nothing."""
    if ask.ram_bytes is None or best.ram_bytes:
        return
    title = server(ask.engine).title
    if best.fits:
        yield f"--ram changes nothing: with this plan {title} leaves nothing in the CPU's memory"
    elif ask.engine != LOCAL:
        how = "as this command says" if ask.own is not None else "here"
        by = server(ask.engine).leaves_by
        of = f"; {title} leaves it there by {by}" if by else ""
        yield f"--ram changes nothing {how}: what the GPUs do not hold is planned beside them under {server(LOCAL).title} alone{of}"


def could_have_more(best: Fit, ask: Ask) -> bool:
    """Whether a plan that does not fit would, where the system that shares its memory were told to give the GPU more of it.

    Sources: AMD, ROCm 7.14 documentation, reference/system-optimization/rdna3-5 (TTM's limit; half of the RAM by default) and amd-ttm(1),
    amd-debug-tools 0.2.19 (`--set`); thefrontierlab/post2-bench, README.md (124 GiB of 128 by `ttm.pages_limit`); for macOS mlx 0.30, docs
    of `mlx.core.set_wired_limit` (`sysctl iogpu.wired_limit_mb`).
    """
    device, b = ask.gpus.device, best.budget
    if best.headroom_bytes >= 0 or best.start.refused or device.ram_bytes is None:
        return False
    seen = (_taken(best) if device.vendor == "apple" else _taken(best) / b.utilization) if b.utilization else 0.0
    edge = device.vendor == "amd" and device.category == "edge" and seen > device.visible_bytes
    return (device.vendor == "apple" or edge) and seen <= device.ram_bytes - SYSTEM


def to_raise_first(best: Fit, ask: Ask) -> Iterator[str]:
    """What the system must be told first, where it shares the memory and gives a GPU less by default than the plan takes."""
    device, b = ask.gpus.device, best.budget
    if device.ram_bytes is None:
        return
    taken = _taken(best)
    size = next((o for o in device.ram_options if o.gb << 30 == device.ram_bytes), None)
    default = size.visible_bytes if size else device.visible_bytes
    raised = device.visible_basis != "measured"
    if device.vendor == "apple":
        older = size.visible_bytes_older if size else None
        limit = f"sudo sysctl iogpu.wired_limit_mb={-(-taken // 2**20)}"
        whole = units.format_bytes(device.ram_bytes)
        if best.fits and raised and taken > default:
            yield f"macOS gives the GPU {units.format_bytes(default)} of {whole} by default: {limit} first"
        elif best.fits and raised and older and taken > older:
            yield f"macOS 15 and older give the GPU {units.format_bytes(older)} of {whole}: there, {limit} first"
        elif could_have_more(best, ask):
            given = units.format_bytes(device.visible_bytes)
            # As much as --vram says, which takes whole GiB.
            limit = f"sudo sysctl iogpu.wired_limit_mb={-(-taken // 2**30) << 10}"
            yield f"macOS gives the GPU {given} by default: {limit} raises that until the next start, which {_vram(taken)} plans for"
    elif device.vendor == "amd" and device.category == "edge":
        seen = taken / b.utilization  # an engine takes a share of what it sees
        limit = f"ttm.pages_limit={ceil(seen / 4096)} on the kernel's command line"
        if best.fits and seen > device.ram_bytes // 2:
            also = ", or that much in the firmware" if seen <= default else ""
            yield f"Linux gives the GPU half of the RAM by default: set {limit}{also}"
        elif could_have_more(best, ask):
            given = units.format_bytes(device.visible_bytes)
            yield f"under Linux the GPU can have more than {given}: {limit}, which {_vram(seen)} plans for"
    elif device.free_bytes is not None and server(ask.engine).reads_free:
        yield f"{units.format_bytes(device.free_bytes)} of {units.format_bytes(device.visible_bytes)} are free for an engine here"


def _taken(best: Fit) -> int:
    b = best.budget
    return b.weights_bytes + b.activation_bytes + b.overhead_bytes + max(0, best.kv_needed_bytes)


def _vram(taken: float) -> str:
    return f"--vram {ceil(taken / 2**30)}GiB"
