"""Figures against values checked by hand and against what publishers print."""

from __future__ import annotations

import csv
import json
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest

import archcalc
from archcalc import zoo
from archcalc.report import Inspection

DATA = Path(__file__).parent / "data"
GOLDEN = Path(__file__).parent / "golden"


def table(name: str) -> list[dict[str, str]]:
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def inspected(name: str, context: int | None = None) -> Inspection:
    if name in zoo.names():
        return archcalc.inspect(name, context=context, offline=True)
    for path in GOLDEN.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["id"] == name:
                return archcalc.inspect(row["config"], context=context)
    raise LookupError(name)


HAND = table("hand_checked.tsv")


@pytest.mark.parametrize("row", HAND, ids=[row["model"] for row in HAND])
def test_hand_checked_figures(row: dict[str, str]) -> None:
    """Counted by hand from the publishers' configs; the cache holds 131,072 tokens in bf16."""
    r = inspected(row["model"], 131072)
    if row["total"]:
        assert r.params.total == int(row["total"])
    active = r.params.active if row["convention"] == "all" else r.params.active_by_convention[row["convention"]]
    assert active == int(row["active"])
    assert r.kv_cache is not None
    assert r.kv_cache.dtype == "bf16"
    assert r.kv_cache.state_bytes == int(row["state_bytes"])
    assert r.kv_cache.bytes - r.kv_cache.state_bytes == int(row["kv_bytes"])
    if row["mtp"]:
        assert r.params.mtp == int(row["mtp"])
    assert r.status == "counted"


PUBLISHED = table("published_active.tsv")


@pytest.mark.parametrize("row", PUBLISHED, ids=[row["model"] for row in PUBLISHED])
def test_active_parameters_reach_the_published_figure(row: dict[str, str]) -> None:
    """Some convention that archcalc names rounds, or else truncates, to what the publisher prints."""
    printed = Decimal(row["active"].removesuffix("B"))
    p = inspected(row["model"]).params
    unit = Decimal(1).scaleb(int(printed.as_tuple().exponent))
    values = [Decimal(v) / 10**9 for v in (p.active, *p.active_by_convention.values())]
    near = {v.quantize(unit, mode) for v in values for mode in (ROUND_HALF_UP, ROUND_DOWN)}
    assert printed in near, values


@pytest.mark.parametrize("name", zoo.names())
def test_parts_and_roles_sum_to_the_total(name: str) -> None:
    p = archcalc.inspect(name, offline=True).params
    assert sum(p.by_part.values()) == p.total
    assert sum(p.by_role.values()) == p.total
    assert sum(c.total for c in p.components if c.part != "mtp") == p.total
    assert sum(c.total for c in p.components if c.part == "mtp") == p.mtp
    assert sum(c.active for c in p.components if c.part != "mtp") == p.active <= p.total


def test_gpt2_is_the_published_124_million() -> None:
    """Radford et al. 2019 print 117M by mistake; openai/gpt-2 `model_card.md` corrects it to 124M."""
    assert inspected("gpt2").params.total == 124_439_808


@pytest.mark.parametrize(
    ("depth", "million"), [(20, 561), (32, 1879)], ids=["d20, the speedrun of karpathy/nanochat", "d32, its discussion 8"]
)
def test_nanochat_has_one_dial(depth: int, million: int) -> None:
    r = archcalc.inspect({"model_type": "nanochat", "depth": depth, "vocab_size": 65536})
    assert r.params.total // 10**6 in (million - 1, million)
    assert r.architecture.hidden_size == 64 * depth
    assert (r.params.by_role["norm"], r.architecture.tied_embeddings, r.architecture.activation) == (0, False, "ReLU²")


def test_nanogpt_without_biases() -> None:
    """karpathy/nanoGPT prints "number of parameters: 123.59M" for GPT-2's size without biases, positions left out."""
    native = {"n_layer": 12, "n_head": 12, "n_embd": 768, "block_size": 1024, "vocab_size": 50304, "bias": False}
    r = archcalc.inspect(native)
    assert r.params.total - 1024 * 768 == 123_587_328
    assert f"{(r.params.total - 1024 * 768) / 1e6:.2f}M" == "123.59M"


def test_falcon_perception_by_hand() -> None:
    """tiiuae/Falcon-Perception, falcon_perception/model.py: no norm has a weight but the last, each head has a sink."""
    native = {"model_type": "falcon_perception", "dim": 1024, "n_layers": 28, "n_heads": 16, "vocab_size": 65536}
    whole, ocr = archcalc.inspect(native), archcalc.inspect(native | {"architectures": ["FalconOCRForCausalLM"]})
    layer = 1024 * (16 + 2 * 8) * 128 + 16 * 128 * 1024 + 16 + 3 * 1024 * 3072
    patch = 3 * 16 * 16
    assert ocr.params.total == 28 * layer + 1024 + 2 * 65536 * 1024 + patch * 1024
    boxes = 2 * (256 * 2 + 512 * 1024 + 1024 * 8192 + 8192 * 2048)
    assert whole.params.total - ocr.params.total > boxes
    assert whole.params.total // 10**6 == 632
