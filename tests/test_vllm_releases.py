"""vLLM's plans by release: those of its own planner, on its specs and through configs; its rules as rows; versions as people write them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from archcalc.arch import parse as parse_config
from archcalc.engines._allocation import Workload
from archcalc.engines._version import leads_to, parse
from archcalc.engines.vllm import cache as vllm
from archcalc.engines.vllm.planner import Demand, LayerSpec, Spec, bytes_per_block, capacity, group, promoted, stage, start
from archcalc.engines.vllm.rules import CHANGES, RELEASES, Rules, at_least, rules
from archcalc.errors import NoRoomError, UnsupportedError, UsageError
from archcalc.loader import load
from conftest import Run

DATA = json.loads(gzip.decompress((Path(__file__).parent / "data" / "vllm_plan_releases.json.gz").read_bytes()))
"""What the planners of 31 releases made of 29 layouts of layers, run as they stand in the releases' sources."""
WIDTHS = {"bf16": 2, "f32": 4}


class Plan(NamedTuple):
    layout: int
    version: str
    max_model_len: int
    batched: int
    in_flight: int
    block: int
    dcp: int
    disabled: int
    mode: str | None
    available: int
    starts: bool | None
    checked: int | None
    num_blocks: int | None
    bytes_per_block: int | None
    groups: int | None
    tokens: int | None
    concurrency: float | None
    config: str | None
    tp: int
    default_mode: bool | None


PLANS = [Plan(*row) for row in DATA["rows"]]
VERSIONS = sorted({p.version for p in PLANS}, key=lambda v: parse("vLLM", v).numbers)


def spec(s: dict[str, Any], p: Plan) -> Spec:
    """A row's spec as our planner takes it."""
    kind, block = s["kind"], s.get("block_size", p.block)
    if kind in ("full", "sliding", "chunked"):
        row = 2 * (s["head_dim"] + s.get("v_head_dim", s["head_dim"]))
        return Spec(kind, block, block * s["kv_heads"] * row, (s["kv_heads"], row), s.get("window"))
    if kind == "mla":
        row = s["head_dim"] * s.get("bytes", 2)
        return Spec("mla", block, block * row, (row,))
    if kind == "state":
        own = 0
        for shape, dtype in zip(s["shapes"], s["dtypes"], strict=True):
            n = WIDTHS[dtype]
            for extent in shape:
                n *= extent
            own += n
        exports = s["checkpoints"] and rules(p.version).checkpoints
        blocks = 1 if p.mode in (None, "none") else 3 if exports else 2
        return Spec("state", block, s.get("page_padded", own), (own,), None, blocks)
    row = s.get("row") or s["head_dim"] * s.get("bytes", 1)
    page = -(-block // s.get("compress", 1) * row // 576) * 576
    return Spec("sliding-mla" if kind == "v4swa" else "mla", block, page, (row,), s.get("window"))


def layers_of(p: Plan) -> list[LayerSpec]:
    """Layers in order, those of one number in the order of the row."""
    found = [LayerSpec(n, spec(s, p)) for numbers, s in DATA["layouts"][p.layout]["layers"] for n in numbers]
    return sorted(found, key=lambda layer: layer.layer)


def mismatch(p: Plan) -> str:
    """How our plan of a row's specs differs from the release's; empty if it does not."""
    rule, layers = rules(p.version), layers_of(p)
    if not rule.chunked and any(layer.spec.form == "chunked" for layer in layers):
        layers = list(promoted(layers))
    packed = any(s["kind"].startswith("v4") for _numbers, s in DATA["layouts"][p.layout]["layers"])
    need = Demand(p.max_model_len, p.in_flight, p.dcp)
    try:
        made = stage(group(layers, rule, packed=packed, hybrid=not p.disabled), range(1 << 20), rule)
    except UnsupportedError as error:
        return "" if p.starts is None else f"refused: {error.message}"
    if p.starts is None:
        return "the release refuses the layout"
    check = start(made, layers, p.available, need, rule)
    if check.passes != p.starts:
        return f"starts {check.passes}"
    if not p.starts:
        return ""
    held = capacity(made, p.available, need, rule)
    got = (check.needed, held.num_blocks, bytes_per_block(made), len(made), held.kv_tokens)
    want = (p.checked, p.num_blocks, p.bytes_per_block, p.groups, p.tokens)
    if got != want:
        return f"{got} for {want}"
    if p.concurrency is not None and held.max_concurrency != pytest.approx(p.concurrency, rel=1e-12):
        return f"concurrency {held.max_concurrency} for {p.concurrency}"
    return ""


@pytest.mark.parametrize("version", VERSIONS)
def test_the_planner_plans_as_the_release_does(version: str) -> None:
    wrong = [(DATA["layouts"][p.layout]["name"], p.max_model_len, mismatch(p)) for p in PLANS if p.version == version]
    assert [row for row in wrong if row[2]] == []


# Through configs, the rules, and versions


def through_config(p: Plan) -> dict[str, int | float]:
    architecture = load(str(p.config), offline=True).architecture
    tp = max(p.tp, p.dcp)
    options = vllm.CacheOptions(
        tp=tp, dcp=p.dcp, max_num_batched_tokens=p.batched, version=p.version, prefix_caching=p.mode != "none"
    )
    # The rows take a bfloat16 cache; DeepSeek-V3.2 had packed rows by itself in 0.11.0 alone.
    dtype = "bf16" if p.version == "0.11.0" else None
    return dict(vllm.allocate(architecture, Workload(p.max_model_len, 1, dtype), options, p.available).details)


BUNDLED = [p for p in PLANS if p.config and "/" not in p.config]


@pytest.mark.parametrize("version", VERSIONS)
def test_bundled_models_are_planned_as_the_release_does(version: str) -> None:
    for p in (p for p in BUNDLED if p.version == version):
        if not p.starts:
            with pytest.raises((NoRoomError, UnsupportedError)):
                through_config(p)
            continue
        got = through_config(p)
        assert (got["num_blocks"], got["bytes_per_block"], got["groups"], got["kv_tokens"]) == (
            p.num_blocks, p.bytes_per_block, p.groups, p.tokens,
        ), p  # fmt: skip


def test_every_change_is_a_rule_of_a_release_in_order() -> None:
    numbers = [parse("vLLM", change.since).numbers for change in CHANGES]
    assert numbers == sorted(numbers)
    for change in CHANGES:
        assert change.since in RELEASES
        assert change.rule in Rules._fields
        assert change.where
        assert change.means
    assert len({(change.since, change.rule) for change in CHANGES}) == len(CHANGES)


@pytest.mark.parametrize(
    ("text", "as_release"),
    [
        ("0.23.1.dev12", "0.24.0"), ("0.11.2rc1", "0.11.2"), ("0.10.0+cu128", "0.10.0"), ("0.19.2rc1.dev34+g1a2b3c", "0.20.0"),
        ("v0.8.5.post1", "0.8.5"), ("0.20", "0.20.0"), ("0.34.0", "0.33.0"),
    ],
)  # fmt: skip
def test_versions_take_the_rules_of_the_release_they_lead_to(text: str, as_release: str) -> None:
    assert rules(text) == rules(as_release)
    assert leads_to(parse("vLLM", text), RELEASES)[:2] >= parse("vLLM", as_release).numbers[:2]
    assert at_least(text, *parse("vLLM", as_release).numbers)


@pytest.mark.parametrize("text", ["latest", "", "0.x", "1" * 200, "0.8 or so"])
def test_what_is_no_version(text: str) -> None:
    with pytest.raises(UsageError, match="not a version"):
        rules(text)


def test_a_start_without_room_for_a_request_is_told() -> None:
    a = load("gemma-3-27b", offline=True).architecture
    made = vllm.allocate(a, Workload(131072), vllm.CacheOptions(version="0.18.0", max_num_batched_tokens=2048), 1 << 30)
    assert made.details["max_concurrency"] < 1
    assert any("room for" in note for note in made.notes)


@pytest.mark.parametrize("name", ["gemma-2-9b", "gemma-2-2b"])
def test_float32_configs_are_cached_in_half_precision(name: str) -> None:
    a = load(name, offline=True).architecture
    assert a.dtype == "F32"
    assert vllm.allocate(a, Workload(1024)).bytes == vllm.allocate(a._replace(dtype="BF16"), Workload(1024)).bytes


# DeepSeek-V3: 128 heads of 128 + 64, values of 128, a latent of 512 + 64, rank 1,536 before the queries, 7,168 wide, 61 layers.
_EXPANDED, _PLAIN = 128 // 8 * 2 * (128 + 64) * 2, (512 + 64) * 2
_PRODUCTS = 61 * 128 * (512 * 1536 + 512 * 7168)
_TURNED = 61 * 2 * 128 * 64 * 1536


@pytest.mark.parametrize(
    ("version", "quant", "row", "more"),
    [
        ("0.7.0", "fp8", _EXPANDED, 0),
        # config.py `ModelConfig.use_mla`: fp8 alone up to 0.7.2. worker/cache_engine.py `_align_cache`: whole 256 bytes in 0.7.3.
        ("0.7.1", "fp8", _PLAIN, _PRODUCTS + 4 * _PRODUCTS // 128**2 + _TURNED),
        ("0.7.2", "awq", _EXPANDED, 0),
        ("0.7.3", "fp8", 1280, _PRODUCTS + 4 * _PRODUCTS // 128**2 + _TURNED),
        ("0.7.3", "awq", 1280, 2 * _PRODUCTS + _TURNED),
        ("0.8.0", "awq", _PLAIN, 0),
        ("0.33.0", "fp8", _PLAIN, 0),
        ("0.33.0 VLLM_MLA_DISABLE=1", "fp8", _EXPANDED, 0),
    ],
)
def test_how_releases_keep_mla(cli: Run, version: str, quant: str, row: int, more: int) -> None:
    """attention/backends/mla/utils.py of 0.7.1 to 0.7.3, `process_weights_after_loading`: `W_Q_UK` and `W_UV_O` in the type of the
    weights, `W_QR` in half precision, beside the matrices; models/deepseek_v3.py of 0.7.0 and config.py `get_head_size`: keys and values
    of 192 for each head."""

    def of(release: str, *environment: str) -> tuple[float, int]:
        words = ["--gpu", "8xh200", "--quant", quant, "--engine-version", release, "--offline", "--format", "json", "--"]
        command = ["vllm", "serve", "deepseek-v3", "--tensor-parallel-size", "8"]
        done = cli("fit", *words, *(["env", *environment] if environment else []), *command, "--max-model-len", "8000")
        r = json.loads(done.stdout)
        assert "not taken into account" not in r["verdict"]
        return r["per_gpu"]["kv_room_bytes"] / r["kv_tokens"], r["per_gpu"]["weights_bytes"]

    release, *environment = version.split()
    per_token, weights = of(release, *environment)
    assert per_token == pytest.approx(61 * row, rel=1e-3)
    plain = of("0.8.0")[1]
    # The up-projection is copied where it is quantized and MLA is on.
    copy = 61 * 2 * 512 * 128 * (128 + 128) // 8
    assert weights == pytest.approx(plain + more // 8 - (copy if row == _EXPANDED else 0), rel=2e-3)


def test_deepseek_v4_has_two_tables_of_positions_in_fp32() -> None:
    """models/deepseek_v4/common/rope.py: a base for layers that pool keys and one for the rest; layers/rotary_embedding/
    deepseek_scaling_rope.py: "cos_sin_cache stored as fp32". 1,048,576 positions of 64."""
    from archcalc.engines.engine import server

    config = {
        "model_type": "deepseek_v4", "architectures": ["DeepseekV4ForCausalLM"], "hidden_size": 256, "num_hidden_layers": 4,
        "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 512, "qk_rope_head_dim": 64, "q_lora_rank": 64, "o_groups": 2,
        "o_lora_rank": 32, "moe_intermediate_size": 64, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 1,
        "vocab_size": 512, "max_position_embeddings": 1048576, "compress_ratios": [0, 0, 4, 128],
    }  # fmt: skip
    vllm_ = server("vllm")
    assert vllm_.rotary_bytes(parse_config(config), 2) == 2 * 1_048_576 * 64 * 4
    assert vllm_.rotary_bytes(parse_config(config | {"compress_ratios": [4, 4, 4, 128]}), 2) == 1_048_576 * 64 * 4
    plain = load("qwen3-8b", offline=True).architecture
    assert vllm_.rotary_bytes(plain, 2) == 40_960 * 128 * 2
