"""Every adapter against the reference implementation: tensor names, shapes, kinds and the total, for each stored config.

The rows come from `scripts/build_golden.py` (transformers 5.23.0 on torch's meta device), never from archcalc.
"""

from __future__ import annotations

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from archcalc.analysis.params import components
from archcalc.arch import adapter_name, described, model_types, parse, schema_of
from archcalc.arch._schema import _core_names
from archcalc.arch._within import WITHIN
from archcalc.errors import ArchcalcError
from archcalc.model import Architecture, Tensor

GOLDEN = Path(__file__).parent / "golden"
ROWS = [json.loads(line) for path in sorted(GOLDEN.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines()]


def expand(layers: str) -> list[int]:
    """`0-2,4` as numbers."""
    out: list[int] = []
    for run in layers.split(","):
        first, _, last = run.partition("-")
        out += range(int(first), int(last or first) + 1)
    return out


def wanted(row: dict[str, Any]) -> dict[str, tuple[tuple[int, ...], str]]:
    out = {}
    for name, shape, kind, *layers in row["tensors"]:
        for full in [name.replace("{}", str(i)) for i in expand(layers[0])] if layers else [name]:
            out[full] = (tuple(shape), kind)
    return out


def one_by_one(t: Tensor) -> list[Tensor]:
    """The experts of a tensor that the reference implementation holds one by one, where `{}` in its name says so."""
    if t.experts is None or "{}" not in t.name:
        return [t]
    return [t._replace(name=t.name.replace("{}", str(i)), shape=t.shape[1:]) for i in range(t.experts.total)]


def listed(a: Architecture) -> dict[str, tuple[tuple[int, ...], str]]:
    """What the architecture says the reference implementation holds: all but MTP layers and stored copies."""
    out: dict[str, tuple[tuple[int, ...], str]] = {}
    for group in a.groups:
        if group.part != "mtp":
            for t in group.tensors:
                assert t.name not in out, f"{t.name} twice"
                out[t.name] = (t.shape, t.kind)
    for stack in a.stacks:
        if stack.part != "mtp":
            for i, kind in enumerate(stack.pattern):
                for t in (one for held in stack.kinds[kind].tensors for one in one_by_one(held)):
                    name = f"{stack.prefix}.{stack.start + i}.{t.name}"
                    assert name not in out, f"{name} twice"
                    out[name] = (t.shape, t.kind)
    return {name: value for name, value in out.items() if value[1] != "copy"}


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_tensors_equal_the_reference(row: dict[str, Any]) -> None:
    a = parse(row["config"])
    assert listed(a) == wanted(row)
    parts = [c for c in components(a) if c.part != "mtp"]
    assert sum(c.total for c in parts) == row["total"]
    assert row["total"] == sum(math.prod(shape) for shape, kind in wanted(row).values() if kind != "tied")
    assert (a.status, a.unmodelled_keys) == ("counted", ())


@pytest.mark.parametrize("name", sorted(model_types()))
def test_every_adapter_cites_its_source(name: str) -> None:
    assert "source:" in described(name).lower()
    module = sys.modules[schema_of(name).__module__]
    text = Path(module.__file__).read_text(encoding="utf-8").replace(module.__doc__ or "", "")
    lines = [line for line in text.splitlines() if line.strip()]
    assert len(lines) < 100, "an adapter is under 100 lines"


@pytest.mark.parametrize("name", sorted(WITHIN))
def test_a_type_in_another_s_file_is_its_own(name: str) -> None:
    own = schema_of(name)
    assert re.sub(r"[-.]", "_", own.name).lower() == name
    assert own is not schema_of(WITHIN[name])


def test_every_golden_file_has_its_adapter() -> None:
    for row in ROWS:
        assert adapter_name(row["config"]) is not None, row["id"]


@pytest.mark.parametrize(
    "hostile", ["os", "../../x", "__init__", "_schema", "_generic", "arch", "", "llama/../os", "sys", "..", "."]
)
def test_model_type_imports_nothing_of_its_choice(hostile: str) -> None:
    assert adapter_name({"model_type": hostile}) is None


# Evolla calls its own an adapter.
CROSSING = re.compile(r"cross|encoder_attn|EncDec|encoder_decoder|adapter\.key_protein")


def test_layers_that_read_an_encoder_say_so() -> None:
    """What cross-attention keeps comes on top of a cache: said wherever a decoder has such tensors."""
    found = 0
    for row in ROWS:
        a = parse(row["config"])
        own = [k for s in a.stacks if s.part == "decoder" for k in s.kinds]
        reads = any(CROSSING.search(t.name) for k in own for t in k.tensors)
        found += reads
        assert a.crosses or not reads, row["id"]
    assert found > 60


QUERY_NORMS = ("q_norm", "query_norm", "q_layernorm", "query_layernorm")


def test_norms_of_queries_are_told_as_their_tensors_have_them() -> None:
    """The fact that is printed, against the reference's tensors, in the first row of every type."""
    found = 0
    for path in sorted(GOLDEN.glob("*.jsonl")):
        row = json.loads(path.open(encoding="utf-8").readline())
        a = parse(row["config"])
        said = [words for what, words in a.facts.more if what == "QK-norm"]
        for k in (k for s in a.stacks if s.part == "decoder" for k in s.kinds if len(k.attends) == 1):
            for t in (t for t in k.tensors if t.name.split(".")[-2:-1] and t.name.split(".")[-2] in QUERY_NORMS):
                found += 1
                assert len(said) == 1, path.stem
                one = t.shape == (k.attends[0].qk_dim,)
                assert ("per head" in said[0]) == one, (path.stem, said, t.shape)
    assert found > 100


# Saved configs that state what their class does not take by default, so that leaving a key out says something else.
STATED = {
    "dory": "num_hidden_layers counts the runs, of which the counts beside it tell the layers",
    "hrm_text": "num_hidden_layers counts the runs, and num_layers_per_stack the layers",
    "lfm2_moe": "layer_types has no default",
    "qwen4_exp_text": "indexer_n_heads has no default",
    "diffusion_gemma": "enable_moe_block is set, and num_experts has no default",
    "encoder-decoder": "its parts' configs are no class's defaults",
    "gemma4_assistant": "a draft of a text model, which its own defaults change",
    "omniasr": "its text model's own defaults are others than the class's",
    "fast_vlm": "the text model's own defaults are others than the class's",
    "got_ocr2": "the text model's own defaults are others than the class's",
    "moss_transcribe_diarize": "the text model's own defaults are others than the class's",
    "perception_lm": "the text model's own defaults are others than the class's",
    "ultravbert": "the tower's own defaults are others than the class's",
}


def core(config: dict[str, Any]) -> dict[str, Any]:
    """The keys that every config has to state, and the configs of parts, likewise."""
    name = adapter_name({"model_type": config["model_type"]})
    if name is None:
        return config
    kept = {"model_type", "architectures"}.union(*_core_names(schema_of(name)))
    parts = {k: core(v) for k, v in config.items() if isinstance(v, dict) and isinstance(v.get("model_type"), str)}
    return {k: v for k, v in config.items() if k in kept} | parts


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row["id"].startswith("default/") and "model_type" in row["config"]], ids=lambda row: row["id"]
)
def test_a_key_left_out_is_what_the_class_takes(row: dict[str, Any]) -> None:
    """The rows are of configs that the reference's classes make by themselves: each key stands at its default."""
    if row["config"]["model_type"] in STATED:
        with pytest.raises((AssertionError, ArchcalcError)):
            assert listed(parse(core(row["config"]))) == wanted(row)
    else:
        assert listed(parse(core(row["config"]))) == wanted(row)
