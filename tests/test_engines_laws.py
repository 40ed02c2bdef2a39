"""What holds for every engine and every bundled model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from archcalc import zoo
from archcalc.analysis import kv
from archcalc.arch import parse
from archcalc.engines._allocation import Allocation, Workload
from archcalc.engines.engine import names, servers
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture

SPECS: dict[str, Architecture] = {name: spec for name in zoo.names() if (spec := zoo.spec(name)) is not None}
models = st.sampled_from(sorted(SPECS))
engines = st.sampled_from(names())
tokens = st.integers(1, 2**21)
batches = st.integers(1, 64)


def made(name: str, engine: str, n: int, batch: int = 1, **options: object) -> Allocation:
    """The allocation, or no example where the engine cannot hold the model so."""
    try:
        return kv.allocate(SPECS[name], engine, Workload(n, batch), options)
    except ArchcalcError:
        assume(False)
        raise


def compressed(a: Architecture) -> bool:
    return any(cache.compress > 1 for s in a.stacks for layer in s.kinds for cache in layer.caches)


@settings(deadline=None)
@given(models, engines, tokens, tokens, batches)
def test_more_tokens_never_need_less(name: str, engine: str, some: int, more: int, batch: int) -> None:
    # transformers drops what waited for compression whenever a row is full.
    assume(engine != "transformers" or not compressed(SPECS[name]))
    assert made(name, engine, some, batch).bytes <= made(name, engine, some + more, batch).bytes


@settings(deadline=None)
@given(models, engines, tokens, batches, batches)
def test_more_sequences_never_need_less(name: str, engine: str, n: int, some: int, more: int) -> None:
    assert made(name, engine, n, some).bytes < made(name, engine, n, some + more).bytes


@settings(deadline=None)
@given(models, engines, tokens, batches)
def test_kinds_add_up(name: str, engine: str, n: int, batch: int) -> None:
    got = made(name, engine, n, batch)
    assert got.bytes == sum(f.bytes for f in got.figures) > 0
    assert all(0 <= f.state_bytes <= f.bytes and f.bytes_per_token >= 0 and f.formula and f.source for f in got.figures)
    held = {(c.kind, c.window) for s in SPECS[name].stacks if s.part == "decoder" for layer in s.kinds for c in layer.caches}
    if engine == "textbook":
        assert {(f.kind, f.window) for f in got.figures} == held


@settings(deadline=None)
@given(models, st.sampled_from(("vllm", "sglang")), tokens, batches, st.integers(0, 4))
def test_tensor_parallelism_never_costs_a_rank_more(name: str, engine: str, n: int, batch: int, doublings: int) -> None:
    alone, split = made(name, engine, n, batch), made(name, engine, n, batch, tp=2**doublings)
    assert split.bytes <= alone.bytes
    assert split.gpus == 2**doublings


@settings(deadline=None)
@given(models, tokens, st.integers(0, 3))
def test_pipelines_never_cost_a_rank_more(name: str, n: int, doublings: int) -> None:
    # Stages see more batches in flight, which windows must hold.
    assume(all(cache.window is None for s in SPECS[name].stacks for layer in s.kinds for cache in layer.caches))
    assert made(name, "vllm", n, pp=2**doublings).bytes <= made(name, "vllm", n).bytes


@settings(deadline=None)
@given(models, engines, tokens, batches)
def test_no_engine_holds_less_than_the_textbook(name: str, engine: str, n: int, batch: int) -> None:
    """But for the token of a window that transformers leaves out, caches in fp8, and states in half precision."""
    got, least = made(name, engine, n, batch), made(name, "textbook", n, batch)
    assume("fp8" not in got.dtype)
    short = {f.kind for f in got.figures} & {"sliding", "chunked", "index", "state"}
    if not short:
        assert got.bytes >= least.bytes


@settings(deadline=None, max_examples=30)
@given(models, tokens, st.integers(30, 44))
def test_what_vllm_reports_is_what_the_pool_holds(name: str, n: int, exponent: int) -> None:
    got = made(name, "vllm", n, kv_cache_memory=2**exponent).details
    assert got["num_blocks"] == 2**exponent // got["bytes_per_block"]
    assert got["max_concurrency"] == got["num_blocks"] / got["blocks_per_request"]
    assert got["kv_tokens"] == int(got["max_concurrency"] * n)


@pytest.mark.parametrize("name", sorted(SPECS))
def test_every_model_is_held_by_some_engine_that_serves(name: str) -> None:
    a = SPECS[name]
    work = Workload(min(a.facts.context_tokens or 4096, 4096))
    held = []
    for engine in servers():
        try:
            held.append(kv.allocate(a, engine, work).engine)
        except ArchcalcError as error:
            assert error.message
    # DeepSeek-V4.1's class is in no engine but vLLM, whose caches of it are laid out by code of their own.
    assert held or a.classes == ("DeepseekV41ForCausalLM",)


GOLDEN = Path(__file__).parent / "golden"
COMPOSITES = {
    config["model_type"]: config
    for path in sorted(GOLDEN.glob("*.jsonl"))
    for config in (json.loads(line).get("config") or {} for line in path.read_text(encoding="utf-8").splitlines())
    if isinstance(config.get("text_config"), dict) and config["text_config"].get("model_type") and config.get("model_type")
}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_model_is_refused_where_its_text_model_alone_is(engine: str) -> None:
    """Caches are the text model's: an engine whose layout of them is not modelled lays them out so below a tower too."""

    def refused(config: dict[str, Any]) -> bool | None:
        try:
            architecture = parse(config)
        except ArchcalcError:
            return None
        try:
            return kv.allocate(architecture, engine, Workload(4096)) is None
        except ArchcalcError as error:
            # A registry may have no class for the whole, or none for the text model alone.
            return True if "not modelled" in error.message else None

    differ = []
    for name, config in COMPOSITES.items():
        whole, text = refused(config), refused(config["text_config"])
        if None not in (whole, text) and whole != text:
            differ.append(name)
    assert not differ
