"""Weights that an engine quantizes as it loads them: whether all of them lie on the GPU first.

vLLM 0.13.0 and 0.14.1, model_executor/layers/quantization/fp8.py (`create_weights`), 0.16.0 and 0.33.0 (the meta device);
SGLang 0.5.23, srt/layers/quantization/fp8.py `create_fp8_weight_`. And what adapters take beside them.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

VLLM = "vllm serve Qwen/Qwen3-32B --max-model-len 16384 --quantization"
SGLANG = "python -m sglang.launch_server --model-path Qwen/Qwen3-32B --context-length 16384 --quantization"
LIES = "of weights lie on the GPU before they are quantized"


@pytest.mark.parametrize(
    ("model", "gpu", "version", "ep"),
    [
        # vLLM 0.33, layers/fused_moe/experts/triton_moe.py `TritonExperts`: FP8 where `supports_fp8` (8.9); 1,536 columns are 192 on each
        # of 8 ranks, in blocks of 128. Without Triton's, whole experts (expert parallelism) are all that Marlin's kernels take.
        *((model, gpu, version, 8) for model in ("minimax-m2", "minimax-m2.1") for gpu in ("a100-80gb", "a6000") for version in
          ("0.28.0", "0.29.0", "0.33.0")),
        ("minimax-m2", "h100", "0.28.0", 8), ("minimax-m2", "h100", "0.29.0", 1), ("minimax-m2", "l40s", "0.33.0", 1),
        ("minimax-m2", "b200", "0.33.0", 1),
    ],
)  # fmt: skip
def test_scales_are_refined_where_triton_has_fp8(model: str, gpu: str, version: str, ep: int, cli: Any) -> None:
    device = f"8x{gpu}"
    for split in (1, 8):
        words = ["--gpu", device, "--tp", "8", "--ep", str(split), "--ctx", "4k", "--engine-version", version, "--format", "json"]
        found = cli("fit", model, *words)
        if split == 1 and ep == 8:
            assert found.returncode == 2
            assert "192 columns of each expert" in " ".join(found.stderr.split())
        else:
            assert json.loads(found.stdout)["engine"] == "vllm"
    chosen = json.loads(cli("fit", model, "--gpu", device, "--ctx", "4k", "--engine-version", version, "--format", "json").stdout)
    assert chosen["plan"]["tp"] != 8 or chosen["plan"]["ep"] == ep


@pytest.mark.parametrize(
    ("version", "command", "starts"),
    [
        ("0.9.2", f"{VLLM} fp8", False), ("0.11.0", f"{VLLM} fp8", False), ("0.14.1", f"{VLLM} fp8", False),
        ("0.16.0", f"{VLLM} fp8", True), ("0.33.0", f"{VLLM} fp8_per_block", True), ("0.9.2", f"{VLLM} bitsandbytes", True),
        ("0.5.23", f"{SGLANG} fp8", False), ("0.4.9", f"{SGLANG} fp8", False),
    ],
)  # fmt: skip
def test_a_command_that_quantizes_what_it_has_loaded(version: str, command: str, starts: bool, cli: Any) -> None:
    """61 GiB of BF16 on 47.5 GiB: 31 GiB of FP8 would fit."""
    found = cli("fit", "--gpu", "rtx-a6000", "--engine-version", version, "--format", "json", "--", *command.split())
    made = json.loads(found.stdout)
    assert made["fits"] is starts
    assert (LIES in " ".join(str(made["start"]["limit"]).split())) is not starts


@pytest.mark.parametrize(
    ("engine", "version", "online"), [("vllm", "0.9.2", False), ("vllm", "0.20.0", True), ("sglang", "0.5.23", False)]
)
def test_what_does_not_load_whole_is_asked_of_a_checkpoint(engine: str, version: str, online: bool, cli: Any) -> None:
    options = ("--gpu", "rtx-a6000", "--ctx", "16k", "--quant", "fp8", "--engine", engine, "--engine-version", version)
    made = json.loads(cli("fit", "qwen3-32b", *options, "--format", "json").stdout)
    assert made["fits"]
    assert ("<Qwen3-32B-in-fp8>" in made["command"]) is not online
    assert ("--quantization" in made["command"]) is online


def test_where_it_loads_whole_the_flag_is_printed(cli: Any) -> None:
    options = ("--gpu", "h100", "--ctx", "16k", "--quant", "fp8", "--engine-version", "0.9.2", "--format", "json")
    assert "--quantization fp8" in json.loads(cli("fit", "qwen3-32b", *options).stdout)["command"]


@pytest.mark.parametrize(("tokens", "sequences", "starts"), [(128, 128, True), (512, 512, True), (512, 513, False)])
def test_a_step_of_as_many_tokens_as_sequences_starts(tokens: int, sequences: int, starts: bool, cli: Any) -> None:
    """vLLM 0.8.5, config.py `SchedulerConfig._verify_args`: "must be greater than or equal to max_num_seqs"."""
    command = f"vllm serve qwen3-14b --max-model-len 128 --max-num-batched-tokens {tokens} --max-num-seqs {sequences}"
    found = cli("fit", "--gpu", "l40s", "--engine-version", "0.8.5", "--format", "json", "--", *command.split())
    assert json.loads(found.stdout)["fits"] is starts


# Rows and columns of a unit of rank in one layer, from the shapes of the projections; vLLM 0.33, lora/layers/ `create_lora_weights`.
LLAMA_LAYER = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
QWEN_LAYER = (2048 + 4096) + 2 * (2048 + 512) + (4096 + 2048) + (2048 + 128)
QWEN_EXPERTS = 128 * 3 * (2048 + 768)


@pytest.mark.parametrize(
    ("model", "version", "options", "units"),
    [
        ("llama-3.1-8b", "0.33.0", "--max-loras 8 --max-lora-rank 64", 8 * 64 * (32 * LLAMA_LAYER + 2 * (128256 + 4096))),
        ("qwen3-30b-a3b", "0.33.0", "--max-loras 2 --max-lora-rank 64",
         2 * 64 * (48 * (QWEN_LAYER + QWEN_EXPERTS) + 2 * (151936 + 2048))),
        ("qwen3-30b-a3b", "0.13.0", "--max-loras 1 --max-lora-rank 32", 32 * 48 * (QWEN_LAYER + QWEN_EXPERTS)),
        ("qwen3-30b-a3b", "0.11.0", "--max-loras 1 --max-lora-rank 32", 32 * 48 * QWEN_LAYER),
    ],
)  # fmt: skip
def test_what_adapters_take(model: str, version: str, options: str, units: int, cli: Any) -> None:
    def weights(*more: str) -> int:
        command = ("vllm", "serve", model, "--max-model-len", "4096", *more)
        found = cli("fit", "--gpu", "b200", "--engine-version", version, "--format", "json", "--", *command)
        return int(json.loads(found.stdout)["per_gpu"]["weights_bytes"])

    assert weights("--enable-lora", *options.split()) - weights() == 2 * units


def test_experts_adapters_are_split_as_the_experts_are(cli: Any) -> None:
    """Of four GPUs each keeps the rank's rows of all inputs, and a quarter of the experts' widths, or a quarter of the experts."""
    found = {}
    for spread in ((), ("--enable-expert-parallel",)):
        sizes = []
        for lora in ((), ("--enable-lora", "--max-loras", "1", "--max-lora-rank", "16")):
            command = ("vllm", "serve", "qwen3-30b-a3b", "--max-model-len", "4096", "-tp", "4", *spread, *lora)
            made = json.loads(cli("fit", "--gpu", "4xh100", "--format", "json", "--", *command).stdout)
            sizes.append(made["per_gpu"]["weights_bytes"])
        found[spread] = sizes[1] - sizes[0]
    split = 128 * (3 * 768 // 4 + 3 * 2048)
    whole = 32 * 3 * (768 + 2048)
    assert found[()] - found[("--enable-expert-parallel",)] == 2 * 16 * 48 * (split - whole)


@pytest.mark.parametrize(
    ("blocks", "starts", "spare"),
    [(50000, False, None), (3000, False, None), (600, True, 600 - 501), (501, True, 0), (400, False, None)],
)
def test_blocks_that_are_asked_for_are_the_pool(blocks: int, starts: bool, spare: int | None, cli: Any) -> None:
    """8,000 tokens take 500 blocks of 16, and one block is none. vLLM 0.33, v1/core/kv_cache_planning.py `get_kv_cache_configs`."""
    command = ("vllm", "serve", "qwen3-8b", "--max-model-len", "8000", "--num-gpu-blocks-override", str(blocks))
    made = json.loads(cli("fit", "--gpu", "4090", "--format", "json", "--", *command).stdout)
    block = 36 * 16 * 2 * 8 * 128 * 2
    assert made["fits"] is starts
    assert made["per_gpu"]["headroom_bytes"] < 2**34
    if spare is not None:
        assert made["per_gpu"]["headroom_bytes"] == spare * block
        assert made["max_context_tokens"] <= blocks * 16


@pytest.mark.parametrize(
    ("version", "command", "starts"),
    [
        ("0.11.0", "vllm serve NAME -tp 8", False), ("0.28.0", "vllm serve NAME -tp 8", False), ("0.29.0", "vllm serve NAME -tp 8", True),
        ("0.33.0", "vllm serve NAME -tp 8", True), ("0.11.0", "vllm serve NAME -tp 8 --enable-expert-parallel", True),
        ("0.5.23", "python -m sglang.launch_server --model-path NAME --tp 8", False),
    ],
)  # fmt: skip
def test_experts_stored_in_blocks_are_split_in_whole_ones(version: str, command: str, starts: bool, cli: Any) -> None:
    """1,536 columns of an expert are 192 on each of 8 ranks, in blocks of 128 (SGLang 0.5.23, srt/layers/quantization/fp8.py; vLLM 0.28,
    layers/quantization/fp8.py), or of 64 where scales are refined (vLLM 0.29 and newer, layers/fused_moe/oracle/fp8.py)."""
    words = command.replace("NAME", "Qwen/Qwen3-235B-A22B-Instruct-2507-FP8").split()
    length = "--context-length" if "sglang" in command else "--max-model-len"
    found = cli("fit", "--gpu", "8xh100", "--engine-version", version, "--format", "json", "--", *words, length, "8192")
    if starts:
        made = json.loads(found.stdout)
        # 235.1 B parameters, of them 1.24 B in the embedding and the head and 0.4 in routers and norms that stay in BF16.
        assert made["fits"]
        assert 235.1e9 < 8 * made["per_gpu"]["weights_bytes"] < 1.02 * 235.1e9 + 8 * 0.4e9
    else:
        assert found.returncode == 2
        assert "192 columns of each expert" in " ".join((found.stdout + found.stderr).split())
