"""llama.cpp's compute buffers against those that llama.cpp itself reserves (tests/data/llamacpp_reserved.tsv)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.engines._allocation import Workload
from archcalc.engines.llamacpp import cache
from archcalc.engines.llamacpp.graph import ALIGNMENT, Graph, Node
from archcalc.zoo import spec

# What llama.cpp reserved there for other layouts: two and four GPUs, a cache, experts or all layers in the CPU's memory (Q8_0).
EXPERTS, DOWN, HEAD = 256 * 3072 * 1536 * 34 // 32, 14336 * 4096 * 34 // 32, 128256 * 4096 * 34 // 32
LAYOUTS: list[tuple[str, int, dict[str, Any], int]] = [
    ("llama-3.1-70b", 32768, {"here": range(41), "copies": 4, "head_here": False, "wide_masks": True}, 578854912),
    ("llama-3.1-70b", 32768, {"here": range(41), "copies": 4, "head_here": False}, 427859968),
    ("llama-3.1-70b", 32768, {"here": range(41, 80), "copies": 4, "wide_masks": True}, 547930112),
    ("llama-3.1-70b", 32768, {"here": range(41, 80), "copies": 4}, 547930112),
    ("qwen3-30b-a3b", 32768, {"here": range(25), "copies": 4, "head_here": False, "wide_masks": True}, 411082752),
    ("qwen3-30b-a3b", 32768, {"here": range(25, 48), "copies": 4}, 483180544),
    ("llama-3.1-8b", 4096, {"here": range(9, 17), "copies": 4, "head_here": False}, 197173248),
    ("minimax-m2.5", 120000, {"streamed_bytes": EXPERTS, "wide_masks": True}, 1690052608),
    ("minimax-m2.5", 120000, {"streamed_bytes": EXPERTS}, 1507076096),
    ("minimax-m2.5", 120000, {"streamed_bytes": EXPERTS, "here": range(16), "head_here": False}, 2573728896),
    ("minimax-m2.5", 120000, {"streamed_bytes": EXPERTS, "here": range(48, 62)}, 416022528),
    ("llama-3.1-8b", 32768, {"here": range(17, 32), "away": range(17), "streamed_bytes": DOWN}, 271056896),
    ("llama-3.1-8b", 32768, {"here": (), "away": range(32), "streamed_bytes": DOWN, "streamed_head_bytes": HEAD}, 829227008),
    ("qwen3-30b-a3b", 32768, {"n_ubatch": 2048}, 1261436928),
    ("qwen3-30b-a3b", 32768, {"n_parallel": 4, "kv_unified": True}, 315359232),
]  # fmt: skip
# Gates of shared experts, scales of queries by their length and weights before experts are left out.
ROUGH = {"exaone-4.0-32b": 0.05, "gemma-2-9b": 0.04, "lfm2-350m": 0.06, "llama-4-scout": 0.15, "nemotron-3-nano-30b-a3b": 0.05,
         "qwen3-next-80b-a3b": 0.025, "qwen3.6-35b-a3b": 0.045}  # fmt: skip


def rows() -> Iterator[list[str]]:
    for line in (Path(__file__).parent / "data" / "llamacpp_reserved.tsv").read_text().splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


def reserved(name: str, context: int, **options: Any) -> int:
    model = spec(name)
    assert model is not None
    return int(cache.allocate(model, Workload(context, 1), cache.CacheOptions(**options)).details["compute_buffer_bytes"])


@pytest.mark.parametrize("name", sorted({row[1] for row in rows()}))
def test_the_buffer_is_what_llama_cpp_reserves(name: str) -> None:
    for release, _, context, flash, outputs, size in (row for row in rows() if row[1] == name):
        wide = release == "63d93d17"
        found = reserved(name, int(context), flash_attn=flash == "1", n_outputs=int(outputs), wide_masks=wide)
        assert found == pytest.approx(int(size), rel=ROUGH.get(name, 0.015)), (release, context, flash, outputs)


@pytest.mark.parametrize(("name", "context", "options", "size"), LAYOUTS)
def test_the_buffer_on_several_gpus_and_beside_the_cpu(name: str, context: int, options: dict[str, Any], size: int) -> None:
    own: dict[str, Any] = {"wide_masks": False, **options}
    own |= {key: frozenset(own[key]) for key in ("here", "away") if key in own}
    assert reserved(name, context, **own) == pytest.approx(size, rel=0.001)


@pytest.mark.parametrize(
    ("name", "context", "options", "size"),
    [
        # Keys and values of one layer in Q8_0 are written out in fp16 behind the result of flash attention.
        ("llama-3.1-8b", 32768, {"n_outputs": 1}, 201418880),
        ("qwen3.5-9b", 262144, {"n_outputs": 2, "n_parallel": 2, "kv_unified": True}, 1401192704),
        ("gpt-oss-20b", 131072, {"n_outputs": 1}, 432097408),
        ("qwen3-30b-a3b", 32768, {}, 315359232),
    ],
)
def test_a_quantized_cache_is_unpacked_in_the_buffer(name: str, context: int, options: dict[str, Any], size: int) -> None:
    """ggml/src/ggml-cuda/fattn.cu `ggml_cuda_flash_attn_ext_get_alloc_size` (pull request 23907)."""
    model = spec(name)
    assert model is not None
    own = cache.CacheOptions(wide_masks=False, unpacks=True, **options)
    found = cache.allocate(model, Workload(context, 1, "q8_0"), own).details["compute_buffer_bytes"]
    assert found == pytest.approx(size, rel=0.045)


def chain(sizes: list[int], inplace: bool) -> Graph:
    g = Graph()
    node = g.input(sizes[0])
    for size in sizes[1:]:
        node = g.op((size,), node, inplace=inplace, width=1)
    g.expand(node)
    return g


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=20))
def test_a_chain_holds_two_neighbours_at_least_and_all_of_them_at_most(sizes: list[int]) -> None:
    padded = [-(-size // ALIGNMENT) * ALIGNMENT for size in sizes]
    most = max((a + b for a, b in pairwise(padded)), default=padded[0])
    assert most <= chain(sizes, inplace=False).reserve() <= sum(padded)


@given(st.integers(1, 1 << 40), st.integers(2, 20))
def test_what_works_in_place_takes_no_more(size: int, steps: int) -> None:
    padded = -(-size // ALIGNMENT) * ALIGNMENT
    g = Graph()
    node = g.op((size,), inplace=True, width=1)
    for _ in range(steps):
        node = g.op((size,), node, inplace=True, width=1)
    g.expand(node)
    assert g.reserve() == padded
    assert chain([size] * steps, inplace=False).reserve() == 2 * padded


def test_a_view_keeps_what_it_looks_into() -> None:
    g = Graph()
    whole = g.op((1024,))
    seen = g.view(whole)
    other = g.op((1024,), Node(4096, None, (), False, None))
    g.expand(other)
    g.expand(g.op((1024,), seen, other, inplace=True))
    # Nothing takes the place of a view's memory, but the other's.
    assert g.reserve() == 2 * 4096
