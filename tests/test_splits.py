"""What tensor parallelism cannot divide beside attention and experts: towers for images, recurrent layers; and other limits of a start."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc import load, zoo
from archcalc.engines._kernels import quark_fp8
from archcalc.engines._recurrent import cannot_split
from archcalc.engines.engine import server
from archcalc.engines.served import served
from archcalc.engines.vllm import towers
from archcalc.engines.vllm.attention import mixed_windows
from archcalc.engines.vllm.quantization import dtype_refused
from archcalc.engines.vllm.served import lacks_format
from archcalc.hardware import device
from conftest import Run


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        # vLLM 0.33, models/glm4_1v.py:292 and qwen2_5_vl.py:374: "12 is not divisible by 8"; 16 heads otherwise. From 0.10.2 on a plan
        # holds the tower whole.
        ("glm-4.1v-9b-thinking --gpu 8xl4 --tp 8 --engine-version 0.10.0", "12 attention heads of the tower"),
        ("glm-4.5v --gpu 4xh100 --tp 4", ""),
        # siglip.py, whose classes take no whole tower.
        ("gemma-3-27b --gpu 32xh100 --tp 32", "16 attention heads of the tower for images"),
        # Gemma's class does not take a whole tower, and needs none with 16 heads.
        ("gemma-3-4b --gpu 8xl4 --tp 8", ""),
        # kimi_k25_vit.py falls back to a whole tower by itself.
        ("kimi-k2.5 --gpu 32xh100 --tp 32", ""),
    ],
)  # fmt: skip
def test_heads_of_towers_against_ranks(arguments: str, said: str, cli: Run) -> None:
    done = cli("fit", *arguments.split(), "--engine", "vllm", "--format", "json")
    assert (done.returncode == 2, said in done.stderr) == (bool(said), True), done.stderr


@pytest.mark.parametrize(
    ("flags", "starts"),
    [
        ("", False), ("--mm-encoder-tp-mode weights", False), ("--mm-encoder-tp-mode data", True), ("--language-model-only", True),
        ("--limit-mm-per-prompt.image 0 --limit-mm-per-prompt.video 0", True), ("--limit-mm-per-prompt.image 1", False),
    ],
)  # fmt: skip
def test_flags_that_leave_a_tower_undivided(flags: str, starts: bool, cli: Run) -> None:
    command = f"fit --gpu 8xh100 --format json -- vllm serve glm-4.5v --tensor-parallel-size 8 --max-model-len 32768 {flags}"
    done = cli(*command.split())
    assert ("12 attention heads of the tower" not in done.stderr + done.stdout) == starts, done.stderr
    if starts:
        assert json.loads(done.stdout)["fits"]


def test_a_whole_tower_lies_on_each_rank(cli: Run) -> None:
    """Three quarters of the tower's 858,681,856 elements (zai-org/GLM-4.5V's index) more on each of four ranks, but what none splits."""

    def weights(flags: str) -> int:
        command = f"fit --gpu 4xh100 --format json -- vllm serve glm-4.5v --tensor-parallel-size 4 --max-model-len 8192 {flags}"
        return int(json.loads(cli(*command.split()).stdout)["per_gpu"]["weights_bytes"])

    more, most = weights("--mm-encoder-tp-mode data") - weights(""), 858_681_856 * 2 * 3 // 4
    assert 0.95 * most < more <= most + (1 << 21)


@pytest.mark.parametrize(
    ("name", "first"),
    [
        # `supports_encoder_tp_data = True` in models/*.py of 0.10.0, 0.10.2 and 0.11.0.
        ("Glm4vForConditionalGeneration", "0.10.2"), ("Qwen2_5_VLForConditionalGeneration", "0.10.2"),
        ("Llama4ForConditionalGeneration", "0.10.2"), ("KimiVLForConditionalGeneration", "0.10.2"),
        ("Qwen2VLForConditionalGeneration", "0.11.0"), ("DotsOCRForCausalLM", "0.11.0"),
    ],
)  # fmt: skip
def test_classes_take_a_whole_tower_since_a_release(name: str, first: str) -> None:
    row = next(row for row in towers.DIVIDED if name in row.classes)
    taken = [version for version in ("0.10.0", "0.10.2", "0.11.0", "0.33.0") if row.takes_whole(version)]
    assert taken[0] == first


def test_towers_are_of_classes_that_are_served() -> None:
    """Each name is one of the registry's, and is in one row (vLLM 0.33, model_executor/models/registry.py)."""
    from archcalc.engines.sglang import towers as of_sglang

    for engine, rows in (
        ("vllm", towers.DIVIDED),
        ("vllm", towers.HEARING),
        ("sglang", of_sglang.SEEING),
        ("sglang", of_sglang.HEARING),
    ):
        names = [name for row in rows for name in row.classes]
        assert len(names) == len(set(names))
        assert not set(names) - set(served(engine).classes)


VOICES = [
    # vLLM 0.33, whisper.py:173, `assert self.total_num_heads % tp_size == 0`; qwen3_omni_moe_thinker.py has `disable_tp`, qwen2_audio.py
    # and gemma3n_mm.py transformers' own towers. SGLang 0.5.23, qwen3_omni_moe.py (`VisionAttention`); qwen2_audio.py as vLLM's.
    ("vllm", "voxtral", "VoxtralForConditionalGeneration", 8, 20), ("vllm", "voxtral", "VoxtralForConditionalGeneration", 4, 0),
    ("vllm", "qwen2_audio", "Qwen2AudioForConditionalGeneration", 8, 0),
    ("sglang", "qwen2_audio", "Qwen2AudioForConditionalGeneration", 8, 0),
    ("vllm", "qwen3_omni_moe", "Qwen3OmniMoeForConditionalGeneration", 8, 0),
    ("sglang", "qwen3_omni_moe", "Qwen3OmniMoeForConditionalGeneration", 8, 20),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "kind", "name", "tp", "heads"), VOICES)
def test_towers_for_audio_against_ranks(engine: str, kind: str, name: str, tp: int, heads: int, tmp_path: Path) -> None:
    from archcalc.engines.placement import Placement
    from archcalc.engines.plan import Ask
    from archcalc.engines.sglang import towers as of_sglang
    from archcalc.hardware import GpuSpec

    file = tmp_path / "config.json"
    file.write_text(json.dumps({"model_type": kind, "architectures": [name]}))
    refused = {"vllm": towers.cannot_divide, "sglang": of_sglang.cannot_divide}[engine]
    why = refused(load(str(file)).architecture, Placement(tp), Ask(GpuSpec(device("h100"), tp), engine))
    assert (f"the {heads} attention heads of the tower for audio" in why) if heads else not why


WHOLE = [
    # vLLM 0.33, glm4_1v.py and qwen3_vl.py `supports_encoder_tp_data`; SGLang 0.5.23, qwen3_vl.py (`mm_enable_dp_encoder`, since 0.5.6).
    ("vllm", "glm-4.5v --gpu 8xh100", True), ("vllm", "glm-4.1v-9b-thinking --gpu 8xl4", True), ("vllm", "qwen3.5-0.8b --gpu 8xl4", True),
    ("vllm", "qwen3-vl-235b-a22b --gpu 32xh100 --tp 32", True), ("vllm", "glm-4.5v --gpu 8xh100 --tp 8 --engine-version 0.21.0", True),
    ("vllm", "glm-4.5v --gpu 4xh100", False), ("sglang", "qwen3.5-0.8b --gpu 8xl4", True), ("sglang", "qwen3-vl-8b --gpu 8xl4", False),
]  # fmt: skip


@pytest.mark.parametrize(("engine", "arguments", "flag"), WHOLE)
def test_a_plan_holds_a_tower_whole_where_that_lifts_the_limit(engine: str, arguments: str, flag: bool, cli: Run) -> None:
    words = arguments.split()
    got = json.loads(cli("fit", *words, "--ctx", "8k", "--engine", engine, "--format", "json").stdout)
    names = {"vllm": "--mm-encoder-tp-mode data", "sglang": "--mm-enable-dp-encoder"}
    assert got["fits"] and (names[engine] in got["command"]) == flag and got["plan"]["tp"] > 1
    if got["gpus"] <= 8:
        release = words[words.index("--engine-version") :] if "--engine-version" in words else []
        again = cli("fit", *words[1:3], *release, "--format", "json", "--", *got["command"].split())
        assert json.loads(again.stdout)["per_gpu"] == got["per_gpu"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        # SGLang 0.5.23, srt/distributed/utils.py `divide`; layers/attention/vision.py; qwen2_5_vl.py: 3,420 columns.
        ("qwen3.5-0.8b --tp 8", "12 attention heads of the tower for images"), ("qwen3.5-0.8b --tp 8 --mm-enable-dp-encoder", ""),
        ("qwen3.5-0.8b --tp 4", ""), ("qwen2.5-vl-72b --tp 8", ""),
    ],
)  # fmt: skip
def test_sglang_s_towers_against_ranks(command: str, said: str, cli: Run) -> None:
    name, *flags = command.split()
    words = ("fit", "--gpu", "8xh100", "-f", "json", "--", "python", "-m", "sglang.launch_server", "--context-length", "4096")
    done = cli(*words, "--model-path", name, *flags)
    assert (said in done.stderr + done.stdout) and (" of the tower" in done.stderr + done.stdout) == bool(said), done.stderr


@pytest.mark.parametrize(
    ("name", "tp", "quantized", "said"),
    [
        # vLLM 0.33, mamba_mixer2.py:320: `(n_groups % self.tp_size) == 0 or n_groups == 1`.
        ("nemotron-3-nano-30b-a3b", 8, False, ""), ("nemotron-3-nano-30b-a3b", 16, False, "8 groups"),
        ("nemotron-h-56b", 16, False, "8 groups"), ("granite-4.0-h-small", 2, False, ""),
        # SGLang 0.5.23, mamba.py:254: the same with `quant_config is None`.
        ("granite-4.0-h-small", 2, True, "one group"), ("granite-4.0-h-small", 1, True, ""), ("nemotron-h-56b", 8, True, ""),
        # qwen_gdn_linear_attn.py: `self.num_k_heads // self.tp_size`; kimi_gdn_linear_attn.py:189.
        ("qwen3.5-397b-a17b", 16, False, ""), ("qwen3.5-397b-a17b", 32, False, "16 key heads"),
        ("qwen3-next-80b-a3b", 32, False, "16 key heads"), ("kimi-linear-48b-a3b", 32, False, ""),
        ("kimi-linear-48b-a3b", 64, False, "32 heads"), ("llama-3.1-8b", 8, True, ""),
    ],
)  # fmt: skip
def test_recurrent_layers_against_ranks(name: str, tp: int, quantized: bool, said: str) -> None:
    why = cannot_split(load(name).architecture, tp, quantized=quantized)
    assert bool(why) == bool(said) and said in why


@pytest.mark.parametrize(
    ("engine", "quant", "starts"),
    [("sglang", "fp8", False), ("sglang", "bf16", True), ("vllm", "fp8", True), ("vllm", "bf16", True)],
)
def test_one_group_and_quantized_weights(engine: str, quant: str, starts: bool, cli: Run) -> None:
    done = cli("fit", *f"granite-4.0-h-small --gpu 2xh100 --tp 2 --engine {engine} --quant {quant}".split())
    assert (done.returncode == 0) == starts and ("one group" in done.stderr) != starts


@pytest.mark.parametrize(
    "name", ["trainium1", "trainium2", "inferentia2", "tpu-v5e", "tpu-v6e", "gaudi2", "gaudi3", "h100", "mi300x", "m4", "b580"]
)
def test_devices_that_llama_cpp_has_a_backend_for(name: str) -> None:
    """llama.cpp 0c1e57098, ggml/src/: ggml-cuda, ggml-hip, ggml-metal, ggml-sycl, ggml-vulkan, and none of theirs."""
    assert ("no backend" in server("llama.cpp").runs_on(device(name))) == name.startswith(
        ("trainium", "inferentia", "tpu", "gaudi")
    )


@pytest.mark.parametrize(
    ("weight", "capability", "runs"),
    [
        ("fp8_e4m3", (8, 6), False), ("fp8_e4m3", (8, 9), True), ("fp8_e4m3", (9, 0), True), ("fp8_e4m3", None, True),
        ("fp4", (8, 6), True),
    ],
)  # fmt: skip
def test_fp8_of_quark_needs_units_for_it(weight: str, capability: tuple[int, int] | None, runs: bool) -> None:
    stored = {"quant_method": "quark", "global_quant_config": {"weight": {"dtype": weight}}}
    assert (quark_fp8("vLLM", stored, capability) is None) == runs


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        ("int4_weight_only", False), ({"default": {"_type": "Int4WeightOnlyConfig"}}, True),
        ({"default": {}, "model.embed_tokens": {}}, False),
    ],
)  # fmt: skip
def test_what_vllm_reads_of_torchao_s_quant_type(kind: Any, reads: bool) -> None:
    """vLLM 0.33, layers/quantization/torchao.py:186-190."""
    assert (lacks_format(None, {"quant_method": "torchao", "quant_type": kind}) is None) == reads


def test_mxfp4_where_the_gpu_has_no_bfloat16() -> None:
    stored = {"quant_method": "mxfp4"}
    assert "8.0 and newer" in str(dtype_refused("fp16", stored, False, (7, 5)))
    assert "bfloat16 runs them" in str(dtype_refused("fp16", stored, False, (8, 0)))


@pytest.mark.parametrize(
    ("name", "changes", "starts"),
    [
        ("qwen2.5-7b", {"use_sliding_window": True, "max_window_layers": 14}, False),
        ("qwen2.5-7b", {"use_sliding_window": True, "max_window_layers": 28}, True),
        ("qwen2.5-7b", {"use_sliding_window": False, "max_window_layers": 14}, True),
        ("qwen3-8b", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 20}, False),
        ("qwen3-30b-a3b", {"use_sliding_window": True, "sliding_window": 4096, "max_window_layers": 20}, True),
    ],
)
def test_windows_that_begin_at_a_layer(name: str, changes: dict[str, Any], starts: bool, tmp_path: Path) -> None:
    """vLLM 0.33, models/qwen2.py:351; qwen3_moe.py has no such check."""
    config = {k: v for k, v in zoo.config(name).items() if k != "layer_types"} | {"sliding_window": 4096} | changes
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert (mixed_windows(load(str(path)).architecture, None) is None) == starts
