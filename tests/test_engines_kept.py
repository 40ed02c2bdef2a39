"""What engines make of a checkpoint's tensors, where that is more or less than the file has."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis.fit import Ask, candidate
from archcalc.arch import parse
from archcalc.engines.placement import Placement, rank_weights
from archcalc.figures.checkpoint import inventory, storage_bytes
from archcalc.quant import quantize_as
from archcalc.zoo import config

GIB = 2**30


def held(name: str, engine: Any, quant: str | None = None, version: str | None = None, tp: int = 1) -> int:
    model = candidate(parse(config(name)), Ask(hardware.parse_spec("h100"), engine, version=version, quant=quant))
    return rank_weights(model.architecture, Placement(tp), model.options, model.tensors).tensor_bytes


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize("tp", [1, 2])
def test_keys_that_are_values_too_are_kept_twice(engine: str, tp: int) -> None:
    """Five layers of Gemma 4 26B have two heads of 512 over 2,816 columns and no projection of values: both engines copy that of keys.

    vLLM 0.33, models/gemma4.py `_weight_iterator`; SGLang 0.5.23, srt/models/gemma4_causal.py `load_weights`. transformers does not.
    """
    more = 5 * 2 * 512 * 2816 * 2
    stored = sum(e.copies * storage_bytes(e.dtype, e.elements) for e in inventory(parse(config("gemma-4-26b-a4b"))))
    plain = held("gemma-4-26b-a4b", "transformers")
    assert abs(plain - stored) < 0.001 * stored
    assert abs(held("gemma-4-26b-a4b", engine) - plain - more) < 0.1 * more
    whole, half = held("gemma-4-26b-a4b", engine), held("gemma-4-26b-a4b", engine, tp=2)
    assert whole / 2 <= half < 0.6 * whole or tp == 1


def test_vllm_widens_scales_of_bitsandbytes_since_0_9_2() -> None:
    """A block of 64 values has a scale of 8 bits, of 32 since (model_loader/bitsandbytes_loader.py `dequantize_dq`: not in 0.9.1)."""
    old, new = (held("phi-4", "vllm", "nf4", version) for version in ("0.9.1", "0.9.2"))
    # 40 layers: queries, keys and values, the output, gate, up and down.
    linear = 40 * 5120 * (5120 + 2 * 10 * 128 + 5120 + 3 * 17920)
    assert new - old == pytest.approx(3 * linear / 64, rel=0.01)
    assert held("phi-4", "vllm", "nf4-dq", "0.9.2") == pytest.approx(new, rel=1e-3)
    # A log of vLLM 0.8's first engine has 8.6253 GiB, of a checkpoint that may spare a layer (unsloth's).
    assert old / GIB == pytest.approx(8.6253, rel=0.02)
    assert new / GIB > 8.6253 * 1.04


def test_a_checkpoints_own_wide_scales_stay_wide() -> None:
    made = quantize_as(parse(config("phi-4")), "nf4")
    single = {**(made.quantization or {}), "bnb_4bit_use_double_quant": False}
    model = candidate(made._replace(quantization=single), Ask(hardware.parse_spec("h100"), "vllm", version="0.8.5"))
    found = rank_weights(model.architecture, Placement(), model.options, model.tensors).tensor_bytes
    assert found == pytest.approx(held("phi-4", "vllm", "nf4", "0.9.2"), rel=1e-3)


def test_a_tied_head_is_kept_once_though_the_checkpoint_holds_it() -> None:
    """AutoAWQ saves it. A log of vLLM 0.13 has 1.1018 GiB for Qwen2.5 1.5B, of which the embedding is 0.435."""
    held_bytes = held("qwen2.5-1.5b", "vllm", "awq", "0.13.0")
    stored = sum(
        e.copies * storage_bytes(e.dtype, e.elements) for e in inventory(quantize_as(parse(config("qwen2.5-1.5b")), "awq"))
    )
    assert held_bytes / GIB == pytest.approx(1.1018, rel=0.03)
    assert stored - held_bytes > 0.9 * 151936 * 1536 * 2


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_layers_that_share_keys_and_values_keep_their_own_projection_of_them(engine: str) -> None:
    """Twenty of Gemma 4 E2B's 35 layers use another's: four of them with a head of 512, the others of 256, over 1,536 columns."""
    own = (16 * 256 + 4 * 512) * 2 * 1536 * 2
    assert abs(held("gemma-4-e2b", engine) - held("gemma-4-e2b", "transformers") - own) < 0.02 * own


def test_proportional_rotation_has_a_column_for_every_pair_of_the_wide_head() -> None:
    """vLLM 0.33, layers/rotary_embedding/gemma4_rope.py: `rotary_dim` is the head's size, whatever share of it turns.

    A log of vLLM 0.21 has 8.89 GiB for Gemma 4 E2B without towers, one of 0.19 15.77 GiB for 26B in NVFP4.
    """
    for name, positions in (("gemma-4-e2b", 131072), ("gemma-4-26b-a4b", 262144)):
        assert sorted(parse(config(name)).rotary) == [(positions, 256), (positions, 512)]
