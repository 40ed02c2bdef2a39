"""What an engine holds of a model that it quantizes itself as it loads it, or that it reads from another form of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware
from archcalc.analysis.fit import Ask, candidate
from archcalc.arch import parse
from archcalc.engines.engine import server
from archcalc.engines.placement import Placement, rank_weights
from archcalc.engines.transformers.weights import quantized
from archcalc.errors import UnsupportedError, UsageError
from archcalc.figures.checkpoint import as_gguf, inventory
from archcalc.model import Architecture
from archcalc.quant._loaders import bitsandbytes_takes
from archcalc.zoo import config, spec
from conftest import Run

GIB, MIB = 2**30, 2**20


def held(architecture: Architecture, engine: Any, quant: str | None, gpu: str = "h100") -> int:
    """The bytes that one GPU's tensors take."""
    model = candidate(architecture, Ask(hardware.parse_spec(gpu), engine, quant=quant))
    return rank_weights(model.architecture, Placement(), model.options, model.tensors).tensor_bytes


def bundled(name: str) -> Architecture:
    found = spec(name)
    assert found is not None
    return found


# google/t5-v1_1-xxl's encoder, as diffusion pipelines load it: its config states no dtype.
T5_ENCODER = {
    "architectures": ["T5EncoderModel"], "d_ff": 10240, "d_kv": 64, "d_model": 4096, "feed_forward_proj": "gated-gelu",
    "model_type": "t5", "num_heads": 64, "num_layers": 24, "relative_attention_num_buckets": 32, "tie_word_embeddings": False,
    "vocab_size": 32128,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "quant", "gib"),
    [
        # Experts stay in bf16: bitsandbytes#1849, unsloth#4687; transformers 5.24, integrations/bitsandbytes.py.
        ("qwen3-30b-a3b", "nf4", 55.6),
        ("qwen3-30b-a3b", "bnb-8bit", 56.0),
        ("mixtral-8x7b", "nf4", 85.1),
        # Dense models are quantized but for their embedding and head: 6.98 B x 0.5625 B and 1.05 B x 2 B.
        ("llama-3.1-8b", "nf4", 5.61),
    ],
)
def test_bitsandbytes_in_transformers_sees_linear_modules_only(name: str, quant: str, gib: float) -> None:
    assert held(bundled(name), "transformers", quant, "b200") / GIB == pytest.approx(gib, rel=0.003)


@pytest.mark.parametrize(
    ("dtype", "gib"),
    [
        # `wo` in fp32, the embedding in fp16, the rest in 0.5625 B: 1.0066 B x 4 B, 0.1316 B x 2 B, 3.6239 B.
        (None, 5.89), ("float16", 5.89), ("float32", 5.89),
        # `_get_dtype_plan` upcasts in float16 alone: `wo` is spared, and stays in bf16.
        ("bfloat16", 4.02),
    ],
)  # fmt: skip
def test_what_a_class_keeps_in_float32_is_kept_so_and_is_not_quantized(dtype: str | None, gib: float) -> None:
    architecture = parse({**T5_ENCODER, "torch_dtype": dtype})
    assert held(architecture, "transformers", "nf4") / GIB == pytest.approx(gib, rel=0.002)


def test_an_encoder_alone_is_judged(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(T5_ENCODER))
    done = run(
        "fit", "config.json", "--gpu", "4090", "--engine", "transformers", "--quant", "nf4", "--ctx", "512", "--format", "json"
    )
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["fits"], answer["decode_tokens_per_s_ceiling"]) == (0, True, None)


def test_fit_and_train_quantize_the_same() -> None:
    from archcalc.analysis.training.pieces import pieces
    from archcalc.analysis.training.run import Run as TrainingRun

    for architecture in (bundled("qwen3-30b-a3b"), bundled("gpt-oss-20b"), bundled("gemma-3-4b"), parse(T5_ENCODER)):
        trained = {
            (p.part, p.tensor.name, p.tensor.shape)
            for stage in pieces(architecture, TrainingRun(64, lora=8, quant="nf4"), frozenset())
            for p in stage
            if p.quantized
        }
        loaded = {(e.part, e.tensor.name, e.tensor.shape) for e in inventory(quantized(architecture, "nf4")) if e.dtype == "U8"}
        # A tower's alike tensors are one piece in training.
        decoder = {key for key in loaded if key[0] == "decoder"}
        assert {key for key in trained if key[0] == "decoder"} == decoder
        assert {key[0] for key in trained} == {key[0] for key in loaded}


def test_experts_and_tables_are_not_handed_to_bitsandbytes() -> None:
    for name in ("qwen3-30b-a3b", "gpt-oss-20b", "deepseek-v3"):
        tensors = [(part, t) for part, t, _ in bundled(name).each_tensor()]
        assert not [t.name for part, t in tensors if bitsandbytes_takes(t, part) and (t.experts or t.role in ("router", "head"))]
    tables = [t for part, t, _ in parse(T5_ENCODER).each_tensor() if bitsandbytes_takes(t, part) and "bias" in t.name]
    assert not tables


# GGUF


@pytest.mark.parametrize(
    ("name", "gpu", "mib"),
    [
        # Model buffers that llama.cpp logged for ggml-org's MXFP4 files. A Mac maps the embedding, 587 MiB, with the rest.
        ("gpt-oss-120b", "rtx-5090", 59851.68),
        ("gpt-oss-20b", "apple-m5", 11536),
        ("gpt-oss-20b", "4090", 10949.4),
    ],
)
@pytest.mark.parametrize("quant", [None, "mxfp4"])
def test_mxfp4_stays_mxfp4_in_llama_cpp(name: str, gpu: str, mib: float, quant: str | None) -> None:
    assert held(bundled(name), "llama.cpp", quant, gpu) / MIB == pytest.approx(mib, rel=0.0005)


def test_int4_stays_in_4_bits() -> None:
    # A block of Q4_0 takes 18 B for 32 values, as the checkpoint's INT4 with its bf16 scale: the file is as large as the 595 GB
    # that moonshotai/Kimi-K2.5 holds, but for its tower.
    architecture, name = as_gguf(bundled("kimi-k2.5"))
    types = {entry.tensor.role: entry.dtype for entry in inventory(architecture) if entry.part == "decoder"}
    assert (name, types["experts"], types["router"]) == ("q4_0", "Q4_0", "F32")
    assert held(bundled("kimi-k2.5"), "llama.cpp", None, "8xb200") / 1e9 == pytest.approx(595, rel=0.01)


QWEN = {
    "model_type": "qwen3", "hidden_size": 256, "num_hidden_layers": 2, "intermediate_size": 512, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 64, "vocab_size": 512, "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
}  # fmt: skip
W4 = {"num_bits": 4, "type": "int", "strategy": "group", "group_size": 32}


@pytest.mark.parametrize(
    ("quantization", "name", "dtype"),
    [
        (None, "bf16", "BF16"),
        # conversion/base.py `dequant_model` writes these out.
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, "bf16", "BF16"),
        ({"quant_method": "gptq", "bits": 8, "group_size": 128, "sym": True}, "bf16", "BF16"),
        # ggml has blocks of the same numbers.
        ({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": True}, "q4_0", "Q4_0"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}, "q4_1", "Q4_1"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head"]}, "nvfp4", "NVFP4"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
          "config_groups": {"g": {"targets": ["Linear"], "weights": {**W4, "symmetric": True}}}}, "q4_0", "Q4_0"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
          "config_groups": {"g": {"targets": ["Linear"], "weights": {**W4, "symmetric": False}}}}, "q4_1", "Q4_1"),
        # NF4's levels are in no type of ggml's.
        ({"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "bf16", "BF16"),
    ],
)  # fmt: skip
def test_what_the_converter_makes_of_a_checkpoint(quantization: dict[str, Any] | None, name: str, dtype: str) -> None:
    made, called = as_gguf(parse({**QWEN, "quantization_config": quantization}))
    types = {entry.tensor.name: entry.dtype for entry in inventory(made)}
    assert (called, types["mlp.up_proj.weight"], types["lm_head.weight"]) == (name, dtype, "BF16")
    assert types["input_layernorm.weight"] == "F32"


def test_only_the_layers_stored_in_4_bits_stay_so() -> None:
    spared = {"quant_method": "awq", "bits": 4, "group_size": 32, "modules_to_not_convert": ["model.layers.1"]}
    made, _ = as_gguf(parse({**QWEN, "quantization_config": spared}))
    types = {(layer, e.dtype) for e in inventory(made) for layer in e.layers if e.tensor.name == "mlp.up_proj.weight"}
    assert types == {(0, "Q4_1"), (1, "BF16")}


@pytest.mark.parametrize("name", ["qwen3.5-9b", "gemma-3-27b", "kimi-k2.5"])
def test_towers_are_no_part_of_a_gguf_models_buffer(name: str) -> None:
    model = candidate(bundled(name), Ask(hardware.parse_spec("8xb200"), "llama.cpp"))
    assert not [t for t in model.tensors if t.part in ("vision", "audio")]


@pytest.mark.parametrize(
    ("engine", "quant", "message"),
    [("llama.cpp", "awq", "GGUF"), ("llama.cpp", "fp8", "GGUF"), ("transformers", "q4_k_m", "widens")],
)
def test_what_an_engine_never_holds_is_refused(engine: str, quant: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        server(engine).load(parse(QWEN), quant, hardware.device("h100-sxm-80gb"))


def test_the_advice_is_no_larger_than_what_is_loaded(run: Run) -> None:
    done = run("fit", "qwen3-30b-a3b", "--gpu", "1x4090", "--engine", "transformers", "--ctx", "2k", "--format", "json")
    answer = json.loads(done.stdout)
    assert not answer["fits"]
    # Of other machines the storage is named that they were judged in; on this one it is no way out.
    assert not [c for c in answer["would_fit"] if "--quant" in c["options"] and "--gpu" not in c["options"]]


def test_t5_of_every_kind_spares_its_output_projection() -> None:
    for architecture in (parse(T5_ENCODER), parse({**T5_ENCODER, "model_type": "umt5", "architectures": ["UMT5EncoderModel"]})):
        kept = {t.name for _, t, _ in architecture.each_tensor() if t.fp32}
        assert kept
        assert all(".wo." in name for name in kept)
    assert config("deepseek-v3.2")["model_type"] == "deepseek_v32"
    assert {t.name for _, t, _ in bundled("deepseek-v3.2").each_tensor() if t.fp32} == {"self_attn.indexer.weights_proj.weight"}


@pytest.mark.parametrize(
    ("name", "gpu", "gib"),
    [
        # transformers 5.24, quantizer_finegrained_fp8.py and quantizer_mxfp4.py: "We will default to dequantizing the model to bf16".
        ("minimax-m2.5", "h100", 213.0), ("minimax-m2.5", "a100-sxm-80gb", 426.0),
        ("gpt-oss-20b", "t4", 12.8), ("gpt-oss-20b", "v100-sxm-32gb", 39.0), ("gpt-oss-20b", "m4-max-128gb", 39.0),
        # Experts of compressed-tensors are written out: 1.03 T parameters.
        ("kimi-k2.5", "b200", 1913.0),
    ],
)  # fmt: skip
def test_what_transformers_writes_out(name: str, gpu: str, gib: float) -> None:
    assert held(bundled(name), "transformers", None, gpu) / GIB == pytest.approx(gib, rel=0.01)


def test_what_transformers_does_not_hold_is_refused_and_told(run: Run) -> None:
    done = run("fit", "llama-3.1-8b", "--gpu", "a100", "--engine", "transformers", "--quant", "fp8", "--ctx", "2k")
    assert (done.returncode, "loads them in bf16" in done.stderr) == (2, True)
    done = run("fit", "gpt-oss-20b", "--gpu", "8xv100-sxm-32gb", "--engine", "transformers", "--ctx", "2k", "--format", "json")
    answer = json.loads(done.stdout)
    assert answer["plan"]["quant"] == "bf16"
    assert any("writes mxfp4 weights out" in note for note in answer["notes"])
    fbgemm = parse({**QWEN, "quantization_config": {"quant_method": "fbgemm_fp8"}})
    with pytest.raises(UnsupportedError, match="fbgemm_fp8"):
        held(fbgemm, "transformers", None, "a100")


def test_experts_that_bitsandbytes_packed_are_told_of(run: Run, tmp_path: Path) -> None:
    packed = {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}
    (tmp_path / "config.json").write_text(json.dumps({**config("qwen3-30b-a3b"), "quantization_config": packed}))
    done = run("fit", "config.json", "--gpu", "h100", "--engine", "transformers", "--ctx", "2k", "--format", "json")
    assert any("one parameter for all experts" in note for note in json.loads(done.stdout)["notes"])
