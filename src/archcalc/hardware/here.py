"""What this machine has: GPUs, what of their memory others use, and RAM, from the vendors' own tools. Nothing is installed or changed.

Sources: `nvidia-smi --help-query-gpu` (NVML's figures: memory.total, memory.used), `amd-smi static` and `metric` or the kernel's
/sys/class/drm/card*/device/mem_info_vram_total, `sysctl hw.memsize machdep.cpu.brand_string iogpu.wired_limit_mb` on a Mac, and
/proc/meminfo or `GlobalMemoryStatusEx` for RAM.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from archcalc.errors import UsageError
from archcalc.hardware import Device, GpuSpec, custom, parse_spec
from archcalc.records import NamedTuple
from archcalc.units import format_bytes

_MIB = 1 << 20
Run = Callable[[Sequence[str]], "str | None"]


class Seen(NamedTuple):
    """One GPU as its vendor's tool shows it."""

    name: str
    total_bytes: int
    used_bytes: int


def run(words: Sequence[str]) -> str | None:
    """What a tool prints, None where it is not there or fails."""
    try:
        done = subprocess.run(list(words), capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout if done.returncode == 0 else None


def gpus(tool: Run = run) -> list[Seen]:
    """The GPUs of this machine, by the first tool that knows some."""
    return (
        nvidia(tool("nvidia-smi --query-gpu=name,memory.total,memory.used --format=csv,noheader,nounits".split()))
        or amd(tool)
        or []
    )


def nvidia(text: str | None) -> list[Seen]:
    """The lines of nvidia-smi's query: a name, MiB of memory, MiB in use. Where the system shares it there is no figure."""
    found = []
    for line in (text or "").splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdecimal():
            found.append(Seen(parts[0], int(parts[1]) * _MIB, int(parts[2]) * _MIB if parts[2].isdecimal() else 0))
        elif len(parts) == 3 and parts[0]:
            found.append(Seen(parts[0], 0, 0))
    return found


def amd(tool: Run = run, root: Path = Path("/sys/class/drm")) -> list[Seen]:
    """AMD's, by amd-smi's names and the kernel's sizes."""
    names = re.findall(r"(?mi)^\s*MARKET_NAME:\s*(\S.*?)\s*$", tool(["amd-smi", "static", "--asic"]) or "")
    found: list[Seen] = []
    for card in sorted(root.glob("card[0-9]*/device/mem_info_vram_total")):
        try:
            total = int(card.read_text())
            used = int((card.parent / "mem_info_vram_used").read_text())
        except (OSError, ValueError):
            continue
        found.append(Seen(names[len(found)] if len(found) < len(names) else "AMD GPU", total, used))
    return found


def ram_bytes(tool: Run = run, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """All RAM of this machine."""
    try:
        found = re.search(r"MemTotal:\s+(\d+) kB", meminfo.read_text())
        if found:
            return int(found[1]) * 1024
    except OSError:
        pass
    text = (tool(["sysctl", "-n", "hw.memsize"]) or "").strip()
    if text.isdecimal():
        return int(text)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def spec(tool: Run = run, platform: str = sys.platform) -> GpuSpec:
    """This machine as `--gpu` would name it. Raises `UsageError` where it has no GPU that is known, or several kinds."""
    if platform == "darwin":
        return _mac(tool)
    seen = gpus(tool)
    if not seen:
        ram = ram_bytes(tool)
        of = f"; it has {format_bytes(ram)} of RAM" if ram else ""
        raise UsageError(
            f"--gpu here: no GPU is found on this machine{of}",
            "nvidia-smi and amd-smi show none: name the machine that is meant, such as --gpu 4090",
        )
    kinds = sorted({s.name for s in seen})
    if len(kinds) > 1:
        raise UsageError(
            f"--gpu here: this machine has {' and '.join(kinds)}, and a plan is for one kind",
            "name one, such as --gpu 4090, with CUDA_VISIBLE_DEVICES set",
        )
    device = _listed(seen[0])
    used = max(s.used_bytes for s in seen)
    notes: tuple[str, ...] = (f"here is {len(seen)}x {seen[0].name}",)
    # A driver keeps some hundred MiB for itself on a GPU that nobody uses.
    if used > 1024 * _MIB and device.ram_bytes is None:
        device = device._replace(free_bytes=device.visible_bytes - used)
        notes += (f"{format_bytes(used)} of its memory are in use by others",)
    return GpuSpec(device, len(seen), notes=notes)


def _listed(seen: Seen) -> Device:
    """The catalog's device of that name, with the memory that this one shows; a card by its memory where none is listed."""
    try:
        device = parse_spec(seen.name).device
    except UsageError:
        if not seen.total_bytes:
            raise
        return custom(seen.total_bytes)
    if seen.total_bytes and abs(seen.total_bytes - device.driver_bytes) > 64 * _MIB and device.ram_bytes is None:
        by_size = _of_size(seen)
        device = by_size or with_memory(device, seen.total_bytes - (device.driver_bytes - device.visible_bytes))
    return device


def _of_size(seen: Seen) -> Device | None:
    """Of cards sold in several sizes under one name, the one with this much."""
    from archcalc.hardware import search

    words = re.sub(r"(?i)nvidia|geforce|\d+\s*gb", " ", seen.name).strip()
    near = [d for d in search(words) if abs(d.driver_bytes - seen.total_bytes) <= 64 * _MIB]
    return near[0] if len(near) == 1 else None


def with_memory(device: Device, visible_bytes: int, *, said: bool = False) -> Device:
    """A listed card of which an engine sees another size, as under WSL or in a slice of a card. Where that is `said`, its name says so."""
    return device._replace(
        name=f"{device.name} ({format_bytes(visible_bytes)} by --vram)" if said else device.name,
        visible_bytes=visible_bytes,
        driver_bytes=visible_bytes,
        driver_basis="given",
        visible_basis="given",
        free_bytes=None,
        free_most_bytes=None,
    )


def resized(spec: GpuSpec, size: int, said: str) -> GpuSpec:
    """A listed machine whose cards have `size` bytes each, as `said`. Raises `UsageError` where that is no other size of the same card, nor
    of a part of it: the smallest has one of eight slices of the memory (NVIDIA, Multi-Instance GPU User Guide, supported profiles), of
    which it shows a little less."""
    listed = spec.device
    if not listed.visible_bytes // 10 <= size <= listed.visible_bytes * 5 // 4:
        raise UsageError(
            f"--vram {said}: {listed.name} has {format_bytes(listed.visible_bytes)}", "name another card, or leave --gpu out"
        )
    notes = spec.notes
    if 4 * size < 3 * listed.visible_bytes:
        notes += (
            f"speed, bounds and price are of a whole {listed.name}: a part of it (MIG) has its share of the compute and the bandwidth",
        )
    return spec._replace(device=with_memory(listed, size, said=True), notes=notes)


def _mac(tool: Run) -> GpuSpec:
    brand = (tool(["sysctl", "-n", "machdep.cpu.brand_string"]) or "").strip()
    memory = (tool(["sysctl", "-n", "hw.memsize"]) or "").strip()
    if not brand.startswith("Apple") or not memory.isdecimal():
        raise UsageError(
            "--gpu here: this Mac has no Apple chip that is known", "name the machine that is meant, such as --gpu m4-max-64gb"
        )
    size = int(memory)
    found = parse_spec(f"{brand.removeprefix('Apple ').strip()} {size >> 30}gb")
    limit = (tool(["sysctl", "-n", "iogpu.wired_limit_mb"]) or "").strip()
    if limit.isdecimal() and int(limit):
        device = found.device._replace(visible_bytes=int(limit) * _MIB, visible_basis="measured")
        return found._replace(device=device, notes=(*found.notes, f"iogpu.wired_limit_mb is {limit}"))
    return found
