"""What weights are multiplied in, storage by generation of GPUs: vLLM 0.33, model_executor/kernels/linear/ and
layers/fused_moe/oracle/mxfp4.py."""

from __future__ import annotations

from typing import Any

import pytest

from archcalc.analysis.fit import Ask, plans
from archcalc.analysis.speed.forecast import Forecast
from archcalc.analysis.speed.plan import Wanted, of_fit, work_of
from archcalc.analysis.speed.products import kind_of, products
from archcalc.analysis.speed.rates import FORMATS, UNTOLD, peak, scores
from archcalc.analysis.speed.work import Work
from archcalc.engines.vllm.start import scheme_kernels
from archcalc.hardware import device, parse_spec
from archcalc.loader import load
from archcalc.quant import quantize_as


def made(model: str, gpu: str, quant: str | None, isl: int, concurrency: int = 1, kv: str = "auto") -> tuple[Work, Forecast]:
    ask = Ask(parse_spec(gpu), "vllm", isl + 128, concurrency, quant=quant)
    if kv != "auto":
        ask = ask._replace(kv_dtype=kv)
    found = plans(load(model).architecture, ask, alternatives=0)
    return work_of(found, found.best), of_fit(found, found.best, ask, Wanted(isl, 128))


# Dense 10^12 operations a second of NVIDIA's data sheets: T4, A100, L40S, H100, B200, and the GeForce cards' with FP32 accumulation.
RATES = {
    "t4": {"16": 65, "int8": 130},
    "a100-sxm4-80gb": {"16": 312, "int8": 624},
    "h100": {"16": 989, "int8": 1979, "fp8": 1979},
    "b200": {"16": 2250, "fp8": 4500, "fp4": 9000},
    "rtx-3090": {"16": 71, "int8": 284},
    "rtx-4090": {"16": 165, "int8": 660, "fp8": 330},
    "rtx-5090": {"16": 209.5, "fp8": 419, "fp4": 1676},
}
PRODUCTS = {
    "bf16": ["16"] * 7,
    "w4a16": ["16"] * 7,
    "awq": ["16"] * 7,
    "gptq": ["16"] * 7,
    "gptq-int8": ["16"] * 7,
    "nf4": ["16"] * 7,
    "w8a8": ["int8", "int8", "int8", None, "int8", "int8", None],
    "fp8": ["16", "16", "fp8", "fp8", "16", "fp8", "fp8"],
    "fp8-dynamic": ["16", "16", "fp8", "fp8", "16", "fp8", "fp8"],
    "mxfp8": ["16", "16", "16", "fp8", "16", "16", "fp8"],
    "nvfp4": ["16", "16", "16", "fp4", "16", "16", "fp4"],
    "mxfp4": ["16", "16", "16", "fp4", "16", "16", "16"],
    "int8-experts": ["16"] * 7,
}
"""By the GPUs of RATES, in order; None where it does not run."""


@pytest.mark.parametrize("quant", PRODUCTS)
def test_each_storage_is_multiplied_in_what_its_kernels_take(quant: str) -> None:
    a = quantize_as(load("llama-3.1-8b").architecture, quant)
    # 32 layers of 4096 x (4096 + 1024 + 1024 + 4096) + 3 x 4096 x 14336, two operations a weight; the head of 128,256 stays apart.
    linear, head = 2 * 32 * 4096 * (2 * 4096 + 2 * 1024 + 3 * 14336), 2 * 4096 * 128256
    parts = products(a, linear + head, head, 0)
    assert sum(p.flops for p in parts) == linear + head and sum(p.head for p in parts) == head
    main = max(parts, key=lambda p: p.flops)
    for (gpu, rates), of in zip(RATES.items(), PRODUCTS[quant], strict=True):
        if of is not None:
            rate = peak(device(gpu), main.kind)
            assert rate is not None and rate.flops_per_s == pytest.approx(rates[of] * 1e12, rel=0.03), (quant, gpu, rate)


GROUP = {"weights": {"num_bits": 4, "type": "int", "group_size": 128}, "input_activations": None}
EIGHT = {"num_bits": 8, "type": "int"}


@pytest.mark.parametrize(
    ("stored", "dtype", "kind"),
    [
        ({"quant_method": "compressed-tensors", "config_groups": {"a": GROUP}}, "I32", ""),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": EIGHT}}}, "I32", ""),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": EIGHT}}}, "I8", ""),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": EIGHT, "input_activations": EIGHT}}},
            "I8",
            "int8",
        ),
        (
            {"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}}},
            "F8_E4M3",
            "",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {
                    "a": {"weights": {"num_bits": 8, "type": "float"}, "input_activations": {"num_bits": 8, "type": "float"}},
                    "b": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}},
                },
            },
            "F8_E4M3",
            "fp8",
        ),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"b": {"weights": {"num_bits": 4, "type": "float", "group_size": 16}}},
            },
            "U8",
            "",
        ),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "U8", "nvfp4"),
        ({"quant_method": "modelopt", "quant_algo": "FP8"}, "F8_E4M3", "fp8"),
        ({"quant_method": "modelopt", "quant_algo": "W4A16_NVFP4"}, "U8", ""),
        ({"quant_method": "mxfp4"}, "U8", "mxfp4-experts"),
        ({"quant_method": "mxfp8"}, "F8_E4M3", "mxfp8"),
        ({"quant_method": "gptq", "bits": 8}, "I32", ""),
        ({"quant_method": "awq", "bits": 4}, "I32", ""),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "U8", ""),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "I8", "int8"),
        ({"quant_method": "gguf", "file_type": "q4_k_m"}, "Q4_K", "blocks"),
    ],
)
def test_a_checkpoint_says_what_it_is_multiplied_in(stored: dict[str, Any], dtype: str, kind: str) -> None:
    assert kind_of(stored, dtype) == kind
    assert not kind or kind in FORMATS


@pytest.mark.parametrize(
    ("gpu", "quant", "kv", "seconds"),
    [
        # 32 layers x 4,096 x 4 x 130,000^2 / 2 = 4.43e15 operations of attention, 1.81e15 of linear layers, the head's row is nothing.
        ("b200", "nvfp4", "auto", 4.43e15 / 2.25e15 + 1.81e15 / 9e15),
        ("b200", "fp8", "auto", 4.43e15 / 2.25e15 + 1.81e15 / 4.5e15),
        ("h100", "fp8", "auto", 4.43e15 / 0.989e15 + 1.81e15 / 1.979e15),
        ("h100", "w8a8", "auto", 4.43e15 / 0.989e15 + 1.81e15 / 1.979e15),
        ("h100", "w4a16", "auto", (4.43e15 + 1.81e15) / 0.989e15),
        ("h100", "fp8", "fp8", (4.43e15 + 1.81e15) / 1.979e15),
        ("a100-sxm4-80gb", "nvfp4", "auto", (4.43e15 + 1.81e15) / 0.312e15),
        ("l40s", "fp8", "fp8", 4.43e15 / 0.362e15 + 1.81e15 / 0.733e15),
    ],
)
def test_attention_is_multiplied_in_16_bits_unless_its_cache_is_in_eight(gpu: str, quant: str, kv: str, seconds: float) -> None:
    _, f = made("llama-3.1-8b", gpu, quant, 130_000, kv=kv)
    assert f.floor_s == pytest.approx(seconds, rel=0.02)
    assert f.prompt_tokens_per_s and f.ttft
    assert f.prompt_tokens_per_s.value <= 130_000 / seconds * 1.02
    assert f.ttft.value >= seconds * 0.98


@pytest.mark.parametrize("quant", ["int8-experts", "nvfp4-experts"])
def test_experts_that_are_quantized_as_they_are_loaded_speed_nothing_else(quant: str) -> None:
    """vLLM 0.33, config/quantization.py: INT8 of weights alone, NVFP4 of activations too; "linear stays unquantized"."""
    dense, plain = (made("llama-3.1-8b", "b200", q, 1024) for q in (quant, "bf16"))
    assert dense[0].products == plain[0].products and dense[1].floor_s == plain[1].floor_s
    moe, _ = made("qwen3-30b-a3b", "b200", quant, 1024)
    narrow = [p for p in moe.products if p.kind not in ("bf16", "fp16")]
    assert [(p.kind, p.flops) for p in narrow] == ([("nvfp4", moe.routed_flops)] if quant == "nvfp4-experts" else [])


def test_layers_that_a_checkpoint_keeps_in_16_bits_are_multiplied_in_16() -> None:
    """gpt-oss quantizes its experts alone (arXiv:2508.10925, section 2.1)."""
    work, _ = made("gpt-oss-20b", "b200", None, 1024)
    assert {p.kind: p.routed for p in work.products} == {"bf16": 0, "mxfp4-experts": work.routed_flops}
    assert sum(p.flops for p in work.products) == work.flops_per_token
    kept = next(p for p in work.products if p.kind == "bf16")
    assert kept.flops == work.flops_per_token - work.routed_flops and kept.head == work.head_flops


@pytest.mark.parametrize(("gpu", "tflops"), [("rtx-3090", 71), ("rtx-4090", 165), ("rtx-5090", 209.5)])
def test_geforce_accumulates_16_bits_in_fp32_where_engines_do(gpu: str, tflops: float) -> None:
    """NVIDIA, Ampere GA102 whitepaper, v2.1, table 3: half the rate of FP16 that accumulates in FP16, which BF16 cannot."""
    for kind, alone, times in (("bf16", False, 1), ("fp16", False, 1), ("bf16", True, 1), ("fp16", True, 2)):
        rate = peak(device(gpu), kind, alone)
        assert rate is not None and rate.flops_per_s == pytest.approx(times * tflops * 1e12, rel=0.02), (kind, alone)
    attention = scores(device(gpu), "fp8")
    assert attention is not None and attention.flops_per_s == pytest.approx(tflops * 1e12, rel=0.02)


@pytest.mark.parametrize(
    ("gpu", "quant"), [("3090", "bf16"), ("4090", "bf16"), ("5090", "bf16"), ("4090", "w4a16"), ("4090", "fp8")]
)
def test_no_middle_on_geforce_beats_the_device(gpu: str, quant: str) -> None:
    work, f = made("llama-3.2-3b", gpu, quant, 8192)
    rate = peak(device(parse_spec(gpu).device.id), "fp8" if quant == "fp8" else "bf16")
    assert rate is not None and f.prompt_tokens_per_s is not None
    assert 8192 / f.prompt_tokens_per_s.value >= work.prefill_flops(8192) / rate.flops_per_s


INT8 = {"num_bits": 8, "type": "int", "strategy": "channel", "symmetric": True}


def _stored(targets: list[str], inputs: Any) -> dict[str, Any]:
    return {
        "quant_method": "compressed-tensors",
        "format": "int-quantized",
        "config_groups": {"group_0": {"targets": targets, "weights": INT8, "input_activations": inputs}},
    }


@pytest.mark.parametrize(
    ("gpu", "refused"),
    [("t4", False), ("a100-sxm4-80gb", False), ("l40s", False), ("h100", False), ("b200", True), ("b300", True), ("5090", True)],
)
def test_int8_of_weights_and_activations_does_not_run_on_blackwell(gpu: str, refused: bool) -> None:
    """vLLM 0.33, docs/features/quantization/llm_compressor/int8_w8a8.md: "INT8 is not supported on compute capability >= 10.0"."""
    spec = parse_spec(gpu)
    assert spec.device.compute is not None
    major, minor = spec.device.compute.split(".")
    cuda = int(major), int(minor)
    dynamic = {**INT8, "strategy": "token", "dynamic": True}
    quark = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "int8"}, "input_tensors": {"dtype": "int8"}}}
    for version in (None, "0.11.0", "0.24.0"):
        assert bool(scheme_kernels(version, _stored(["Linear"], dynamic), cuda)) == refused
        assert bool(scheme_kernels(version, quark, cuda)) == refused
        # Experts are multiplied by Triton's kernels, and weights alone are widened.
        assert scheme_kernels(version, _stored(["re:.*mlp.experts.*"], dynamic), cuda) is None
        assert scheme_kernels(version, _stored(["Linear"], None), cuda) is None
    a = load("llama-3.2-1b").architecture
    ask = Ask(spec, "vllm", 2048, quant="w8a8")
    best = plans(a, ask, alternatives=0).best
    assert best.start.starts != refused and ("INT8" in (best.start.limit or "")) == refused
    stored = plans(a._replace(quantization=_stored(["Linear"], dynamic)), ask._replace(quant=None), alternatives=0).best
    assert stored.start.starts != refused
    fp8 = plans(a, ask._replace(quant="fp8-dynamic"), alternatives=0).best.start
    # vLLM makes it online with `fp8_per_channel`, whose kernels begin at 8.9 (layers/quantization/online/fp8.py).
    assert fp8.starts == (cuda >= (8, 9))


@pytest.mark.parametrize(
    ("engine", "gpu", "kind", "untold", "fastest"),
    [
        # vLLM 0.33, oracle/mxfp4.py: `_filter_by_activation` puts kernels of 16 bits first, where no activations are stated (gpt-oss);
        # `_get_priority_backends` has those of MXFP8 first for DeepSeek-V4. 10.x alone has them.
        ("vllm", "b200", "mxfp4-experts", "bf16", "fp8"), ("vllm", "b200", "mxfp4-mxfp8", "fp8", "fp8"),
        ("vllm", "h100", "mxfp4-experts", "bf16", "bf16"), ("vllm", "rtx-5090", "mxfp4-mxfp8", "bf16", "bf16"),
        # SGLang 0.5.23, moe_runner/flashinfer_trtllm.py: the precision "default" is MXFP8.
        ("sglang", "b200", "mxfp4-experts", "fp8", "fp8"),
    ],
)  # fmt: skip
def test_experts_of_mxfp4_are_multiplied_as_the_engine_chooses(engine: str, gpu: str, kind: str, untold: str, fastest: str) -> None:
    of = {"bf16": "16"}
    for made, wanted in ((UNTOLD.get((engine, kind), kind), untold), (kind, fastest)):
        rate = peak(device(gpu), made)
        assert rate is not None and rate.flops_per_s == pytest.approx(RATES[gpu][of.get(wanted, wanted)] * 1e12, rel=0.03)


def test_a_forecast_says_what_mxfp4_is_multiplied_in() -> None:
    told = {gpu: made("gpt-oss-120b", gpu, None, 1024)[1] for gpu in ("b200", "h200")}
    assert "multiplied in 16 bits" in told["b200"].stands and "16 bits" not in told["h200"].stands
    prompt, floor = told["b200"].prompt_tokens_per_s, told["b200"].floor_s
    # The bound is of what the engine can be told.
    assert prompt is not None and floor is not None and 1024 / prompt.high >= floor
