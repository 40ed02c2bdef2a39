"""What changed in SGLang's budget, release by release, as read in the wheels of 0.3.6 to 0.5.23.

Sources: srt/server_args.py `__post_init__` (to 0.5.2), `_handle_gpu_memory_settings` (0.5.3 to 0.5.18), srt/arg_groups/memory_hook.py
`handle_gpu_memory_settings` (since 0.5.19); srt/model_executor/cuda_graph_runner.py `get_batch_sizes_to_capture`;
srt/mem_cache/kv_cache_configurator.py `_handle_max_mamba_cache`, before 0.5.16 srt/model_executor/model_runner.py.
"""

from __future__ import annotations

import re

from archcalc.engines._version import parse, released
from archcalc.records import NamedTuple

FIRST, NEWEST = "0.3.6", "0.5.23"
Key = tuple[int, int, int, int]


def key(version: str | None) -> Key:
    """The version with its post-release, which SGLang numbers rules by; None is the newest."""
    if version is None:
        return (1 << 20, 0, 0, 0)
    a, b, c = parse("SGLang", version).numbers[:3]
    post = re.search(r"post(\d+)", version)
    return (a, b, c, int(post[1]) if post else 0)


def check_known(version: str | None) -> None:
    """Raises `UsageError` for a version before the first whose source was read."""
    released("SGLang", version, FIRST, NEWEST)


def since(version: str | None, *wanted: int) -> bool:
    return key(version) >= (*wanted, *(0,) * (4 - len(wanted)))


def spreads_by_switch(version: str | None) -> bool:
    """Whether `--enable-ep-moe` spreads experts, over all ranks, and `--ep-size` alone changes nothing: 0.4.0 to 0.4.10,
    srt/layers/moe/ep_moe/layer.py `get_moe_impl_class` (to 0.4.6 in srt/models/), srt/server_args.py, which sets `ep_size` to `tp_size`.
    In 0.5.1 the switch is deprecated, and the size alone spreads."""
    return not since(version, 0, 5)


class Reserve(NamedTuple):
    """What a default of `--mem-fraction-static` is made of: ranks, the chunk, the largest batch captured, what else is kept free for."""

    gpu_mib: int
    tp: int = 1
    pp: int = 1
    chunk: int = 8192
    batch: int = 256
    mla: bool = False
    vision: tuple[int, int] | None = None
    speculation: str = ""
    attention_dp: int = 1
    prefill_graphs: bool = True
    graphs: bool = True


def fraction(version: str | None, r: Reserve) -> float:
    """`--mem-fraction-static` where none is given."""
    found = _fraction(version, r)
    if r.vision is not None and since(version, 0, 4, 9):
        if not since(version, 0, 4, 9, 4):
            return found * 0.9
        layers, width = r.vision
        complexity = layers * width**2 / (24 * 1024**2)
        found *= 0.95 * max(0.8, min(1.05, 1 - 0.1 * (complexity - 1)))
    return found


def _fraction(version: str | None, r: Reserve) -> float:
    g, ranks = r.gpu_mib, r.tp * r.pp
    if not since(version, 0, 4, 7, 1):
        n = ranks if since(version, 0, 4, 6, 2) else r.tp
        table = 0.79 if n >= 16 else 0.81 if n >= 8 else 0.85 if n >= 4 else 0.87 if n >= 2 else 0.88
        if not since(version, 0, 4, 6):
            return table
        if not since(version, 0, 4, 6, 2):
            return table if g <= 81920 else (g - 13 * 1024) / g
        found = table if g <= 81920 else 0.88
        if g > 96 * 1024:
            found = min(found + 48 * 1024 * (1 - found) / g, (g - (20 if r.speculation else 18) * 1024) / g)
        elif r.speculation:
            found *= 0.95
        return 0.79 if since(version, 0, 4, 7) and g > 180_000 else found
    if not since(version, 0, 5, 3):
        if g < 35 * 1024:
            kept = (2.8 + ranks / 10) * 1024
        elif g < 90 * 1024:
            kept = (9.5 + ranks / 2) * 1024
        elif g < 160 * 1024:
            kept = (12 + ranks / 2) * 1024
        else:
            kept = 32 * 1024
        if r.speculation:
            kept += (6 if r.speculation == "STANDALONE" and since(version, 0, 5, 2) else 2) * 1024
        kept += 4 * 1024 if r.attention_dp > 1 else 0
        return round((g - kept) / g, 3)
    kept = 512 + 1.5 * max(r.chunk, 2048) + ranks / 8 * 1024 + 2 * r.batch
    if r.attention_dp > 1:
        kept += 3 * r.batch * r.attention_dp * (1.5 if r.batch > 300 else 1)
    if r.prefill_graphs and since(version, 0, 5, 10):
        kept += 1536 if r.mla else 8 * captured(r.chunk, 576 if since(version, 0, 5, 23) else 640)
    if g > 60 * 1024:
        kept = max(kept, 10 * 1024)
    if r.speculation and r.speculation != "NGRAM" and not since(version, 0, 5, 14):
        kept += (6 if r.speculation == "STANDALONE" else 4 if since(version, 0, 5, 10) else 2) * 1024
    return round((g - kept) / g, 3)


def captured(chunk: int, middle: int) -> int:
    """How many prefill lengths are captured (`generate_prefill_cuda_graph_batch_sizes`)."""
    steps = ((4, 33, 4), (48, 257, 16), (288, 513, 32), (middle, 1025, 64), (1280, 4097, 256), (4608, chunk + 1, 512))
    return sum(size <= chunk for step in steps for size in range(*step))


# GPUs with less than so many GiB: the chunk, and the largest batch captured on fewer than four ranks and on more.
_SIZES: tuple[tuple[Key, tuple[tuple[int, int, int, int], ...]], ...] = (
    ((0, 5, 20, 0), ((20, 2048, 8, 8), (35, 4096, 48, 160), (60, 4096, 32, 160), (160, 8192, 256, 512), (1 << 20, 16384, 512, 512))),
    ((0, 5, 4, 3), ((20, 2048, 8, 8), (35, 2048, 24, 80), (60, 4096, 32, 160), (160, 8192, 256, 512), (1 << 20, 16384, 512, 512))),
    ((0, 5, 3, 0), ((20, 2048, 8, 8), (35, 2048, 16, 80), (60, 4096, 32, 160), (160, 8192, 256, 512), (1 << 20, 16384, 512, 512))),
    ((0, 4, 7, 1), ((35, 2048, 8, 80), (90, 8192, 160, 160), (160, 8192, 256, 256), (1 << 20, 16384, 512, 512))),
    ((0, 4, 6, 2), ((25, 2048, 8, 80), (176, 8192, 160, 160), (1 << 20, 16384, 160, 160))),
    ((0, 4, 0, 0), ((25, 2048, 8, 80), (1 << 20, 8192, 160, 160))),
    ((0, 0, 0, 0), ((1 << 20, 8192, 160, 160),)),
)  # fmt: skip


def sizes(version: str | None, gpu_mib: int, tp: int) -> tuple[int, int]:
    """`--chunked-prefill-size` and the largest decode batch captured as a graph, by the GPU's memory."""
    rows = next(rows for first, rows in _SIZES if key(version) >= first)
    for limit, chunk, small, large in rows:
        if gpu_mib < limit * 1024:
            return chunk, small if tp < 4 else large
    raise AssertionError("the last row holds for all")


def slots_per_request(version: str | None, *, tracked: bool, asked: bool | None) -> int:
    """State slots of a running request with the radix cache: its own and those kept for it; tracked ones by default since 0.5.14."""
    if asked is None:
        asked = tracked and since(version, 0, 5, 14)
    return 5 if asked else 3
