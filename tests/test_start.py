"""What stops an engine although the memory suffices: the rule of each release, the flag that lifts it, and what the command carries."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from archcalc import hardware, zoo
from archcalc.analysis.fit import Ask, plans
from archcalc.engines.placement import Placement, cuts_blocks
from archcalc.engines.vllm import start
from archcalc.engines.vllm.served import lacks_method
from archcalc.engines.weights import WeightOptions
from archcalc.errors import UnsupportedError
from conftest import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """In this process: each call of its own would cost the start of an interpreter."""
    return cli


GIB = 1 << 30


@pytest.mark.parametrize(
    ("version", "sequences", "blocks", "wanted", "taken"),
    [
        # 0.20.0 on: "max_num_seqs (1024) exceeds available Mamba cache blocks (600)".
        (None, 1024, 600, 1, 512),
        ("0.20.0", 1024, 600, 1, 512),
        ("0.28.0", 1024, 1024, 1, 1024),
        ("0.28.0", 1024, 1023, 1, 512),
        ("0.28.0", 1024, 600, 550, 550),
        ("0.28.0", 256, 5, 1, 4),
        # 0.18.0 to 0.19.1 cap the graphs instead, before 0.18 only graphs are larger than the blocks, before 0.11 there are no whole ones.
        ("0.19.1", 1024, 500, 1, 1024),
        ("0.18.0", 1024, 100, 1, 1024),
        ("0.17.0", 1024, 600, 1, 1024),
        ("0.17.0", 1024, 500, 1, 256),
        ("0.10.2", 1024, 100, 1, 1024),
    ],
)
def test_sequences_against_blocks_of_state(version: str | None, sequences: int, blocks: int, wanted: int, taken: int) -> None:
    found, why = start.state_sequences(version, sequences, blocks, wanted)
    assert found == taken
    assert (f"{blocks:,}" in why) == (taken < sequences or (version or "")[:4] in ("0.18", "0.19"))


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        ("qwen3.5-27b --gpu 1xH100 --ctx 132000 --utilization 0.9 --engine-version 0.28.0", "--max-num-seqs 256"),
        ("gpt-oss-120b --gpu dgx-spark --ctx 32k", "--gpu-memory-utilization 0.83"),
        ("llama-3.1-8b --gpu jetson-agx-orin-64gb --ctx 8k", "--gpu-memory-utilization 0.86"),
        ("llama-3.1-8b --gpu 4090 --ctx 128 --concurrency 300", "--max-num-seqs 300"),
        ("llama-3.1-8b --gpu h100 --ctx 8k --engine-version 0.9.2 --max-num-batched-tokens 512", "--max-num-seqs 512"),
    ],
)
def test_the_command_carries_the_flag_that_lifts_a_limit(arguments: str, flag: str, run: Run) -> None:
    done = run("fit", *arguments.split(), "--format", "json")
    got = json.loads(done.stdout)
    assert (done.returncode, got["fits"], got["start"]["starts"]) == (0, True, True)
    assert got["command"].endswith(flag)
    assert got["start"]["flag"] == flag
    assert any(flag in note for note in got["notes"])


@pytest.mark.parametrize(
    ("arguments", "limit", "flag"),
    [
        ("llama-3.1-8b --gpu h100 --utilization 1", "share of 1", "--gpu-memory-utilization 0.99"),
        ("llama-3.1-8b --gpu v100 --quant awq --ctx 8k --engine vllm --engine-version 0.19.0", "compute capability 7.5", None),
        ("llama-3.1-8b --gpu t4 --quant fp8 --ctx 2k --engine-version 0.12.0", "compute capability 8", None),
        ("llama-3.1-8b --gpu h100 --engine llama.cpp --concurrency 300 --ctx 512", "256 sequences", "-np 256"),
        ("llama-3.1-8b --gpu 32xh100 --engine llama.cpp --ctx 512", "16 GPUs", None),
        ("llama-3.1-8b --gpu 4090 --ctx 128k --quant bf16", "one sequence of 131,072 tokens", "--max-model-len"),
        ("llama-3.1-70b --gpu 4090 --engine sglang", "no memory", None),
    ],
)
def test_a_limit_that_nothing_lifts_is_no_fit(arguments: str, limit: str, flag: str | None, run: Run) -> None:
    done = run("fit", *arguments.split(), "--format", "json")
    got = json.loads(done.stdout)
    assert (done.returncode, got["fits"], got["start"]["starts"], got["command"]) == (1, False, False, "")
    assert limit in got["start"]["limit"]
    assert (got["start"]["flag"] or "").startswith(flag or "")
    if got["per_gpu"]["headroom_bytes"] >= 0:
        assert got["verdict"].startswith("does not start")


@pytest.mark.parametrize(
    "arguments",
    [
        "llama-3.1-8b --gpu 4090 --engine sglang --ctx 128k --quant bf16",
        "gemma-3-27b --gpu a100-40gb --engine-version 0.16.0 --quant fp8 --ctx 128k",
    ],
)
def test_what_starts_with_too_little_is_told(arguments: str, run: Run) -> None:
    done = run("fit", *arguments.split(), "--format", "json")
    got = json.loads(done.stdout)
    assert (done.returncode, got["fits"], got["start"]["starts"]) == (1, False, True)
    assert any("starts all the same" in note for note in got["notes"])


def test_a_newer_release_counts_all_groups(run: Run) -> None:
    got = json.loads(
        run("fit", *"gemma-3-27b --gpu a100-40gb --engine-version 0.20.0 --quant fp8 --ctx 128k --format json".split()).stdout
    )
    assert (got["fits"], got["start"]["starts"]) == (False, False)


@pytest.mark.parametrize("name", [name for name in zoo.names() if zoo.spec(name)])
@pytest.mark.parametrize("version", [None, "0.24.0"])
def test_no_plan_runs_more_sequences_than_there_are_blocks_of_state(name: str, version: str | None) -> None:
    architecture = zoo.spec(name)
    assert architecture is not None
    if not any(cache.kind == "state" for stack in architecture.stacks for layer in stack.kinds for cache in layer.caches):
        return
    try:
        found = plans(architecture, Ask(hardware.parse_spec("8xh100"), "vllm", 4096, version=version))
    except Exception as error:  # a model that this engine does not have
        assert "vLLM" in str(error) or "tp" in str(error)
        return
    for fit in (found.best, *found.others):
        cache = next(c for (placement, *_), c in found.model.caches.items() if placement == fit.placement)
        if cache.pool is not None and fit.budget.kv_room_bytes >= cache.pool.block_bytes:
            assert fit.budget.sequences <= fit.budget.kv_room_bytes // cache.pool.block_bytes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("llama-3.1-70b --gpu apple-m4-max-128gb --quant q8_0 --ctx 100k", "iogpu.wired_limit_mb"),
        ("llama-3.1-70b --gpu ryzen-ai-max-395 --engine llama.cpp --quant q8_0 --ctx 8k", "ttm.pages_limit"),
        ("gpt-oss-120b --gpu dgx-spark --engine sglang --ctx 8k", "101.3 GiB of 121.6 GiB are free"),
        # A Ryzen AI Max+ 395 of 128 GB ran this at 104.5 GiB: the firmware gives 96, ttm.pages_limit more.
        ("qwen3-235b-a22b --gpu ryzen-ai-max-395 --engine llama.cpp --quant q3_k_m --ctx 2k", "--vram 107GiB plans for"),
        ("qwen3-235b-a22b --gpu ryzen-ai-max-395 --vram 107GiB --engine llama.cpp --quant q3_k_m --ctx 2k", "ttm.pages_limit"),
        ("qwen3-235b-a22b --gpu m4-max-128gb --quant q3_k_m --ctx 32k", "--vram 113GiB plans for"),
        ("qwen3-235b-a22b --gpu m4-max-128gb --vram 113GiB --quant q3_k_m --ctx 32k", "107.5 GiB of 128.0 GiB by default"),
    ],
)
def test_shared_memory_says_what_the_system_must_be_told(arguments: str, said: str, run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--format", "json").stdout)
    assert any(said in note for note in got["notes"]), (got["verdict"], got["notes"])


@pytest.mark.parametrize(
    ("gpu", "share", "version", "starts"),
    [
        # A log of one shows 111.18 of 121.63 GiB free, and starts at 0.87; others have 101.3 free.
        ("gb10-dgx-spark", "0.83", "0.27.0", True),
        ("gb10-dgx-spark", "0.87", "0.27.0", True),
        ("gb10-dgx-spark", "0.95", "0.27.0", False),
        # vLLM 0.8.5, v1/worker/gpu_worker.py: the share is not compared with what is free, which a log of another tells.
        ("jetson-agx-orin-64gb", "0.95", "0.8.5", True),
    ],
)
def test_a_share_that_is_not_free_where_memory_is_shared(gpu: str, share: str, version: str, starts: bool, run: Run) -> None:
    words = ["--gpu", gpu, *"--format json --engine-version".split(), version]
    own = json.loads(run("fit", *words, "--ctx", "8k", "qwen3-8b", "--utilization", share).stdout)
    theirs = json.loads(run("fit", *words, "--", *"vllm serve qwen3-8b --gpu-memory-utilization".split(), share).stdout)
    for got in (own, theirs):
        assert (got["start"]["starts"], got["fits"]) == (starts, starts)
        assert starts or got["start"]["flag"] == "--gpu-memory-utilization 0.83"


def test_free_memory_is_part_of_what_is_seen() -> None:
    for device in hardware.devices():
        if device.free_bytes is not None:
            assert device.shared_memory
            assert 0.75 * device.visible_bytes < device.free_bytes < device.visible_bytes
    spark = hardware.device("dgx-spark")
    assert (round(spark.visible_bytes / GIB, 2), round((spark.free_bytes or 0) / GIB, 1)) == (121.63, 101.3)


@pytest.mark.parametrize(
    ("name", "quantization", "tp", "said"),
    [
        # 29,568 columns are 231 groups of 128: Qwen's own AWQ and GPTQ files of this model have padded columns for that reason.
        ("qwen2.5-72b", {"quant_method": "awq", "bits": 4, "group_size": 128}, 8, "groups of 128"),
        ("qwen2.5-72b", {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}, 2, "groups of 128"),
        ("qwen2.5-72b", {"quant_method": "awq", "bits": 4, "group_size": 64}, 2, ""),
        ("llama-3.1-8b", {"quant_method": "fp8", "weight_block_size": [128, 128]}, 8, ""),
        ("qwen3-0.6b", {"quant_method": "fp8", "weight_block_size": [128, 128]}, 16, "blocks of 128"),
    ],
)
def test_blocks_of_a_quantization_against_ranks(name: str, quantization: dict[str, object], tp: int, said: str) -> None:
    architecture = zoo.spec(name)
    assert architecture is not None
    found = cuts_blocks(architecture._replace(quantization=quantization), Placement(tp), WeightOptions())
    assert (said in found) if said else not found


def test_a_plan_does_not_cut_groups(run: Run) -> None:
    got = json.loads(run("fit", *"qwen2.5-72b --gpu 8xh100 --quant awq --ctx 8k --format json".split()).stdout)
    assert (got["plan"]["tp"], got["fits"]) == (1, True)
    done = run("fit", *"qwen2.5-72b --gpu 8xh100 --quant awq --ctx 8k --tp 8".split())
    assert done.returncode == 2
    assert "groups of 128" in done.stderr


@pytest.mark.parametrize("vram", ["100MiB", "430MiB", "500MiB", "1GiB"])
def test_a_card_smaller_than_its_context_is_a_plain_no(vram: str, run: Run) -> None:
    done = run("fit", "smollm-135m", "--vram", vram, "--ctx", "128", "--format", "json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["start"]["starts"] is False


@pytest.mark.parametrize(
    ("version", "dtype", "capability", "has"),
    [
        # "FlashInfer supports SM75+, but is currently broken on SM75 ... raise the floor to SM80"; Triton's kernels need 8.9.
        (None, "fp8", (7, 5), False),
        (None, "fp8_e5m2", (7, 0), False),
        ("0.21.0", "fp8", (7, 5), True),
        (None, "fp8", (8, 6), True),
        (None, "bfloat16", (7, 5), True),
        # TensorRT-LLM's kernels alone until those of FlashAttention 2 came with 0.32.
        (None, "nvfp4", (9, 0), True),
        ("0.31.0", "nvfp4", (9, 0), False),
        ("0.31.0", "nvfp4", (10, 0), True),
        (None, "nvfp4", (7, 5), False),
        (None, "fp8", None, True),
    ],
)
def test_caches_need_kernels(version: str | None, dtype: str, capability: tuple[int, int] | None, has: bool) -> None:
    assert (start.cache_kernels(version, dtype, capability) is None) == has


def test_no_plan_with_a_cache_that_the_gpu_has_no_kernels_for(run: Run) -> None:
    done = run("fit", *"llama-3.2-1b --gpu t4 --ctx 1k --kv-dtype fp8".split())
    assert done.returncode == 2
    assert "compute capability 8.0" in done.stderr
    changes = json.loads(run("fit", *"llama-3.1-8b --gpu 2xt4 --ctx 128k --format json".split()).stdout)["would_fit"]
    assert all("--kv-dtype" not in change["options"] for change in changes)


@pytest.mark.parametrize(
    ("method", "version", "said"),
    [
        # Each release's model_executor/layers/quantization/__init__.py.
        ("mxfp4", "0.10.0", "mxfp4 weights from 0.10.1"),
        ("mxfp4", "0.10.1", None),
        ("torchao", "0.8.3", "torchao weights from 0.8.4"),
        ("awq", "0.6.0", None),
        ("awq", None, None),
        ("bitnet", "0.10.0", "no release of vLLM lists bitnet"),
        ("modelopt", "0.10.0", None),
    ],
)
def test_a_release_lists_its_methods(method: str, version: str | None, said: str | None) -> None:
    found = lacks_method(version, method)
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize(
    ("model", "engine", "version", "said"),
    [
        ("minimax-text-01", "vllm", None, "0.10.0 to 0.23.0"),
        ("qwen3.5-27b", "vllm", "0.9.2", "0.17.0 and later"),
        ("qwen3.5-27b", "vllm", "0.17.0", None),
        ("gpt-oss-20b", "vllm", "0.10.0", "0.10.1 and later"),
        ("minimax-text-01", "sglang", None, "no code for the recurrent layers"),
    ],
)
def test_a_class_that_the_release_lacks_is_refused(
    model: str, engine: str, version: str | None, said: str | None, run: Run
) -> None:
    more = ("--engine-version", version) if version else ()
    done = run("fit", model, "--gpu", "8xb200", "--ctx", "4k", "--engine", engine, *more)
    assert (said is None) == (done.returncode in (0, 1)), done.stderr
    assert said is None or said in done.stderr


def test_a_cache_is_planned_for_a_release_before_the_class(run: Run) -> None:
    done = run("kv", "qwen3.5-27b", "--engine", "vllm", "--engine-version", "0.11.1", "--ctx", "4k", "--format", "json")
    assert done.returncode == 0
    assert any("has no Qwen3_5ForConditionalGeneration" in note for note in json.loads(done.stdout)["notes"])
    gone = run("kv", "minimax-text-01", "--engine", "vllm", "--ctx", "4k")
    assert gone.returncode == 2
    assert "MiniMaxForCausalLM" in gone.stderr


def test_a_number_that_was_never_released_is_told_of() -> None:
    from archcalc.engines.engine import engine

    qwen3 = zoo.spec("qwen3-4b")
    assert qwen3 is not None
    assert any("0.7.9 is no release" in note for note in engine("vllm").check(qwen3, "0.7.9"))
    with pytest.raises(UnsupportedError, match=r"0\.8\.4 and later"):
        engine("vllm").check(qwen3, "0.8.3")


@pytest.mark.parametrize(
    ("arguments", "splits"),
    [
        # vLLM's nodes get as many ranks each (v1/executor/multiproc_executor.py); Ray takes what there is.
        ("llama-3.1-8b --gpu 9xh100 --ctx 8k", "--distributed-executor-backend ray"),
        ("llama-3.1-8b --gpu 20xh100 --ctx 8k", "--distributed-executor-backend ray"),
        ("llama-3.1-8b --gpu 12x4090 --ctx 8k", "--distributed-executor-backend ray"),
        ("llama-3.1-8b --gpu 16xh100 --ctx 8k", "--nnodes 2"),
        ("qwen3-30b-a3b --gpu 16xh100 --dp 2 --ctx 8k --engine sglang", "--attn-dp-size 2"),
        (
            "qwen3-30b-a3b --gpu 16xh100 --dp 2 --ctx 8k --engine sglang --engine-version 0.5.20",
            "--dp-size 2 --enable-dp-attention",
        ),
        # Replicas lie on the nodes of one command since 0.11.1; before, each machine is told of its own (its docs/serving/).
        ("qwen3-30b-a3b --gpu 16xh100 --dp 16 --ctx 8k", "--data-parallel-size 16"),
        (
            "qwen3-30b-a3b --gpu 16xh100 --dp 16 --ctx 8k --engine-version 0.10.0",
            "--data-parallel-size-local 8 --data-parallel-address",
        ),
    ],
)
def test_several_machines_hold_what_the_command_gives_them(arguments: str, splits: str, run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--format", "json").stdout)
    assert got["fits"], got["verdict"]
    assert splits in got["command"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("llama-3.1-8b --gpu 12xh100 --dp 3 --ctx 8k", "3 replicas of 4 GPUs do not lie evenly on 2 machines"),
        # SGLang: "multi-node data parallel is not supported unless dp attention".
        ("llama-3.1-8b --gpu 16xh100 --dp 2 --ctx 8k --engine sglang", "start a server on each machine"),
        ("qwen3-30b-a3b --gpu 12x4090 --pp 3 --ctx 8k --engine sglang", "3 stages do not come out"),
    ],
)
def test_what_does_not_lie_on_the_machines_is_refused(arguments: str, said: str, run: Run) -> None:
    done = run("fit", *arguments.split())
    assert done.returncode == 2
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "held", "fits"),
    [
        # vLLM 0.30, config/model.py `_FLOAT16_NOT_SUPPORTED_MODELS`: where there is no bfloat16 these are loaded in float32.
        ("gemma-3-12b --gpu v100-sxm2-32gb --ctx 4k --engine vllm --engine-version 0.19.0", "fp32", False),
        ("gemma-2-9b --gpu v100-sxm2-32gb --ctx 4k --engine vllm --engine-version 0.19.0", "fp32", False),
        ("qwen2.5-3b --gpu t4 --ctx 4k", "fp16", True),
        ("gemma-3-4b --gpu 4090 --ctx 4k", "bf16", True),
    ],
)
def test_where_a_gpu_has_no_bfloat16(arguments: str, held: str, fits: bool, run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--format", "json").stdout)
    assert (got["plan"]["quant"], got["plan"]["kv_dtype"], got["fits"]) == (held, held, fits)


@pytest.mark.parametrize(
    ("arguments", "share"), [("gpt-oss-120b --gpu ryzen-ai-max-395", 0.92), ("gpt-oss-20b --gpu ryzen-ai-max-395-32gb", 0.92)]
)
def test_the_memory_that_linux_must_show_is_what_the_engine_takes_its_share_of(arguments: str, share: float, run: Run) -> None:
    got = json.loads(run("fit", *arguments.split(), "--ctx", "8k", "--engine", "vllm", "--format", "json").stdout)
    pages = next(int(m[1]) for note in got["notes"] if (m := re.search(r"ttm\.pages_limit=(\d+)", note)))
    need = sum(got["per_gpu"][key] for key in ("weights_bytes", "activation_bytes", "overhead_bytes", "kv_needed_bytes"))
    assert share * pages * 4096 >= need


LLAMA8 = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "max_position_embeddings": 131072,
    "torch_dtype": "bfloat16",
}  # fmt: skip
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
MLX = {"bits": 4, "group_size": 64}


@pytest.mark.parametrize(
    ("keys", "words", "status", "said"),
    [
        # transformers 5.24, quantizers/auto.py `supports_quant_method`; SGLang 0.5.23, srt/configs/model_config.py.
        ({"quantization": MLX, "quantization_config": MLX}, "--engine vllm", 2, "reads no MLX weights"),
        ({"quantization": MLX, "quantization_config": MLX}, "--engine sglang", 2, "reads no MLX weights"),
        ({"quantization": MLX, "quantization_config": MLX}, "--engine transformers", 2, "reads no MLX weights"),
        ({"quantization": MLX, "quantization_config": MLX}, "--engine llama.cpp", 2, "reads no mlx checkpoint"),
        ({"quantization_config": MLX}, "--engine vllm", 2, "names no quant_method"),
        # vLLM 0.22, layers/quantization/auto_gptq.py `TYPE_MAP`; gptq.py until then.
        ({"quantization_config": GPTQ}, "--engine vllm", 0, "fits"),
        ({"quantization_config": {**GPTQ, "bits": 3}}, "--engine vllm", 1, "bits 3, sym true"),
        ({"quantization_config": {**GPTQ, "sym": False}}, "--engine vllm", 1, "bits 4, sym false"),
        ({"quantization_config": {**GPTQ, "bits": 3}}, "--engine vllm --engine-version 0.21.0", 0, "fits"),
        ({"quantization_config": {**GPTQ, "bits": 2}}, "--engine sglang", 1, "bits 2, sym true"),
        # SGLang 0.5.23, layers/quantization/__init__.py `BASE_QUANTIZATION_METHODS`.
        ({"quantization_config": {"quant_method": "bitnet"}}, "--engine sglang", 1, "lists no bitnet"),
        ({"quantization_config": {"quant_method": "bitnet"}}, "--engine vllm", 1, "lists bitnet"),
        ({"quantization_config": {"quant_method": "fbgemm_fp8"}}, "--engine sglang", 1, "lists no fbgemm_fp8"),
        # llama.cpp, conversion/base.py `dequant_model`.
        ({"quantization_config": {**GPTQ, "quant_method": "awq"}}, "--engine llama.cpp", 2, "reads no awq checkpoint"),
    ],
)
def test_a_checkpoint_that_the_engine_does_not_load(
    keys: dict[str, Any], words: str, status: int, said: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA8, **keys}), encoding="utf-8")
    done = run("fit", "config.json", "--gpu", "1xh100", "--ctx", "8k", *words.split())
    assert done.returncode == status, done.stdout + done.stderr
    assert said in " ".join((done.stdout + done.stderr).split())


@pytest.mark.parametrize(
    ("ways", "gpus"),
    [
        # srt/managers/data_parallel_controller.py `launch_dp_schedulers`: `--dp-size` alone starts whole models, and of tp ranks each.
        ("--tp 1 --dp 2", 1),
        ("--tp 2 --dp 2", 2),
        ("--tp 4 --dp 2", 4),
        ("--tp 2 --ep 2 --dp 2", 2),
        # With attention in data parallelism the ranks of --tp share the experts.
        ("--tp 4 --dp 2 --enable-dp-attention", 4),
        ("--tp 4 --attn-dp-size 4", 4),
    ],
)
def test_replicas_of_sglang_share_experts_with_data_parallel_attention_alone(ways: str, gpus: int, run: Run) -> None:
    count = 2 * gpus if "attn" not in ways and "attention" not in ways else gpus
    line = ("--gpu", f"{count}xh200", "--", *"python -m sglang.launch_server --model-path qwen3-30b-a3b".split(), *ways.split())
    got = json.loads(run("fit", "--format", "json", *line).stdout)
    # 48 layers of 128 experts, each three products of 2,048 by 768 in BF16 (its config.json); of all 61,064,245,248 bytes.
    experts = 48 * 128 * 3 * 2048 * 768 * 2
    assert experts // gpus < got["per_gpu"]["weights_bytes"] < experts // gpus + 1.05 * (61_064_245_248 - experts)
