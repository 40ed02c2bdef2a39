"""A new engine is one folder and one line; a new kind of cache gets a rule or a refusal by its name, never a figure."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args

import pytest

from archcalc import zoo
from archcalc.engines import engine as registry
from archcalc.engines._allocation import Allocation, Figure, Workload
from archcalc.engines.budget import Budget, Serving, budgeted
from archcalc.engines.engine import Engine, Registered, Server, names
from archcalc.engines.placement import Placement, RankWeights
from archcalc.engines.plan import Ask, Candidate, Command, Fit, Named, Pooled, Start
from archcalc.engines.weights import Keep, WeightOptions
from archcalc.errors import UnsupportedError
from archcalc.hardware import Device
from archcalc.model import Architecture, Cache
from conftest import Run


class Abacus(Server):
    """A byte a token and layer, and nothing in advance."""

    name = "abacus"
    title = "Abacus"
    kinds = frozenset({"full"})
    recurrences = frozenset({""})
    axes = frozenset({"tp", "pp", "dp"})

    def cache(self, architecture: Architecture, work: Workload, options: Mapping[str, Any]) -> Allocation:
        size = architecture.layers * work.context_tokens * work.batch
        figure = Figure("full", None, architecture.layers, size, architecture.layers, 0, "beads", "Abacus")
        return Allocation("abacus", "1", work.context_tokens, work.batch, "bf16", (figure,), "a bead a token")

    def load(self, architecture: Architecture, quant: str | None, device: Device) -> tuple[Architecture, str]:
        return architecture, "bf16"

    def keep(self, architecture: Architecture, options: WeightOptions) -> Keep:
        return Keep(architecture, options)

    def loading(self, version: str | None, quant: str) -> tuple[str, ...] | None:
        return None

    def budget(
        self, device: Device, architecture: Architecture, placement: Placement, weights: RankWeights, serving: Serving
    ) -> Budget:
        return budgeted(device.visible_bytes, 1.0, device.visible_bytes, weights.bytes, [], [], 1, 1)

    def pooled(self, architecture: Architecture, placement: Placement, ask: Ask, budget: Budget) -> Pooled:
        layers = architecture.layers
        return Pooled(lambda n, s: layers * n * s, lambda room, n: (room / layers / n, room // layers), "bf16", "a bead a token")

    def starts(
        self, ask: Ask, budget: Budget, pooled: Pooled, context: int, sequences: int, tokens: int
    ) -> tuple[Start, tuple[str, ...]]:
        return Start(), ()

    def command(self, named: Named, ask: Ask, model: Candidate, fit: Fit) -> Command:
        return Command(f"abacus {named.name}")


@pytest.fixture
def abacus(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine as a folder would hold it, and its line."""
    module = ModuleType("abacus_engine")
    module.ENGINE = Abacus()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "abacus_engine", module)
    monkeypatch.setitem(registry.REGISTRY, "abacus", Registered("abacus_engine"))


@pytest.mark.usefixtures("abacus")
def test_every_command_knows_a_new_engine(cli: Run) -> None:
    kv = json.loads(cli("kv", "llama-3.1-8b", "--engine", "abacus", "--ctx", "1k", "--format", "json").stdout)
    assert (kv["engine"], kv["bytes"], kv["rule"]) == ("abacus", 32 * 1024, "a bead a token")
    assert "\nabacus " in cli("kv", "llama-3.1-8b", "--ctx", "1k").stdout
    inspected = json.loads(cli("inspect", "llama-3.1-8b", "--engine", "abacus", "--ctx", "1k", "--format", "json").stdout)
    assert (inspected["kv_cache"]["engine"], inspected["kv_cache"]["bytes"]) == ("abacus", 32 * 1024)
    fit = json.loads(cli("fit", "llama-3.1-8b", "--engine", "abacus", "--gpu", "h100", "--ctx", "1k", "--format", "json").stdout)
    assert (fit["fits"], fit["engine"], fit["command"]) == (True, "abacus", "abacus meta-llama/Llama-3.1-8B")
    assert fit["per_gpu"]["kv_needed_bytes"] == 32 * 1024
    swept = cli("sweep", "llama-3.1-8b", "--gpu", "h100", "--ctx", "1k", "--engine", "abacus,vllm", "--jobs", "1")
    rows = [json.loads(line) for line in swept.stdout.splitlines()]
    assert [row["engine"] for row in rows] == ["abacus", "vllm"]
    assert rows[0]["kv_needed_bytes"] == 32 * 1024
    plotted = cli("plot", "memory", "llama-3.1-8b", "--gpu", "h100", "--ctx", "1k", "--engine", "abacus")
    assert plotted.returncode == 0 and "abacus" in plotted.stdout
    wrong = cli("kv", "llama-3.1-8b", "--engine", "abax")
    assert wrong.returncode == 2 and "abacus" in wrong.stderr


@pytest.mark.usefixtures("abacus")
def test_options_of_other_engines_are_not_its_own(cli: Run) -> None:
    for arguments in (
        ("kv", "llama-3.1-8b", "--engine", "abacus", "--tp", "2"),
        ("fit", "llama-3.1-8b", "--engine", "abacus", "--gpu", "h100", "--engine-version", "1"),
    ):
        done = cli(*arguments)
        assert done.returncode == 2 and "not of abacus" in done.stderr


@pytest.mark.usefixtures("abacus")
def test_a_model_of_kinds_that_it_has_no_rule_for_is_refused(cli: Run) -> None:
    for arguments in (("kv", "gemma-3-27b"), ("fit", "gemma-3-27b", "--gpu", "h100"), ("inspect", "gemma-3-27b")):
        done = cli(*arguments, "--engine", "abacus", "--ctx", "1k")
        assert done.returncode == 2
        assert "Abacus has no rule for caches of kind 'sliding'" in done.stderr


def with_cache(cache: Cache) -> Architecture:
    """Llama with another kind of cache in every layer."""
    a = zoo.spec("llama-3.1-8b")
    assert a is not None
    stacks = tuple(s._replace(kinds=tuple(layer._replace(caches=(cache,)) for layer in s.kinds)) for s in a.stacks)
    return a._replace(stacks=stacks)


def engines() -> Iterator[Engine]:
    yield from (registry.engine(name) for name in names())


@pytest.mark.parametrize(
    ("cache", "said"),
    [
        (Cache("holographic", 8, 128, 128), "'holographic'"),  # type: ignore[arg-type]
        (Cache("state", recurrence="tidal"), "tidal|kind 'state'"),  # type: ignore[arg-type]
    ],
)
def test_an_unknown_kind_is_refused_by_name_by_every_engine(cache: Cache, said: str) -> None:
    for engine in engines():
        with pytest.raises(UnsupportedError, match=said):
            engine.allocate(with_cache(cache), Workload(4096))


def test_an_unknown_kind_is_no_figure_of_a_page_or_a_table_either() -> None:
    from archcalc.figures import memory

    with pytest.raises(UnsupportedError, match="the textbook has no rule for caches of kind 'holographic'"):
        memory.textbook(with_cache(Cache("holographic", 8, 128, 128)), 4096, 1, 2)  # type: ignore[arg-type]


def test_an_unknown_kind_is_no_figure_of_the_planner_either() -> None:
    from archcalc.engines.sglang import cache as sglang
    from archcalc.engines.vllm import cache as vllm

    strange = with_cache(Cache("holographic", 8, 128, 128))  # type: ignore[arg-type]
    for allocate in (vllm.allocate, sglang.allocate):
        with pytest.raises(UnsupportedError, match="holographic"):
            allocate(strange, Workload(4096))


def test_an_engine_that_states_less_than_it_must_is_named() -> None:
    class Bare(Abacus):
        pass

    Bare()
    for name in ("kinds", "axes"):
        kept = getattr(Abacus, name)
        delattr(Abacus, name)
        try:
            with pytest.raises(TypeError, match=f"Bare states no {name}"):
                Bare()
        finally:
            setattr(Abacus, name, kept)


@pytest.mark.usefixtures("abacus")
def test_no_plan_takes_a_parallelism_that_the_engine_lacks(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Abacus, "axes", frozenset({"tp"}))
    asked = ("fit", "llama-3.1-8b", "--engine", "abacus", "--gpu", "8xh100", "--ctx", "1k", "--format", "json")
    found = json.loads(cli(*asked).stdout)
    assert (found["plan"]["tp"], found["plan"]["pp"], found["plan"]["dp"]) == (8, 1, 1)
    assert not found["runners_up"]
    for flag in ("--pp", "--dp"):
        done = cli(*asked, flag, "2")
        assert done.returncode == 2 and f"{flag[2:]} is 2, and Abacus has tp alone" in done.stderr


def test_the_registry_imports_no_engine() -> None:
    import subprocess

    code = (
        "import sys, archcalc.engines.engine as e; e.names(); e.servers();"
        "print([m for m in sys.modules if m.startswith('archcalc.engines.') and m != 'archcalc.engines.engine'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_kind_that_only_the_model_names_is_refused_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer first names the kind: no figure may follow from that alone."""
    import archcalc.model
    from archcalc.analysis.activations import How, layer_saved
    from archcalc.figures import memory

    named = (*get_args(archcalc.model.CacheKind), "holographic")
    monkeypatch.setattr(archcalc.model, "CacheKind", Literal[named])
    strange = with_cache(Cache("holographic", 8, 128, 128))  # type: ignore[arg-type]
    for engine in engines():
        with pytest.raises(UnsupportedError, match="holographic"):
            engine.allocate(strange, Workload(4096))
    with pytest.raises(UnsupportedError, match="holographic"):
        memory.textbook(strange, 4096, 1, 2)
    with pytest.raises(UnsupportedError, match="holographic"):
        layer_saved(strange, strange.stacks[0].kinds[0], How())


@pytest.mark.usefixtures("abacus")
def test_an_engine_that_takes_no_share_says_so(cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    made = cli("fit", "qwen3-8b", "--gpu", "h100", "--engine", "abacus", "--ctx", "4k", "--utilization", "0.5", "--offline")
    assert made.returncode == 2
    assert "--utilization is an option of vllm and sglang, not of abacus" in made.stderr


def test_transformers_runs_what_it_has_or_what_brings_its_code(tmp_path: Path, cli: Run) -> None:
    """transformers 5.24, models/auto/configuration_auto.py `CONFIG_MAPPING_NAMES` has no orion: its publisher's repository holds code."""
    config = {
        "model_type": "orion", "architectures": ["OrionForCausalLM"], "hidden_size": 512, "intermediate_size": 1024, "vocab_size": 1000,
        "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 8, "max_position_embeddings": 4096,
        "transformers_version": "4.34.0",
    }  # fmt: skip
    path = tmp_path / "config.json"
    for code, starts in ((None, False), ({"AutoModelForCausalLM": "modeling_orion.OrionForCausalLM"}, True)):
        path.write_text(json.dumps({**config, **({"auto_map": code} if code else {})}))
        made = cli("fit", str(path), "--gpu", "h100", "--engine", "transformers", "--ctx", "1k", "--offline")
        assert (made.returncode == 0) is starts, made.stderr
        assert ("transformers has no class for orion" in made.stderr) is not starts
