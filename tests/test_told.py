"""What `fit` chooses and is asked for is held to what the release can be told: its flags, the values they take, and what it then runs."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from conftest import Run

V3, GQA = "deepseek-v3 --gpu 8xh200 --tp 8 --ctx 8k", "qwen3-235b-a22b --gpu 8xh100 --tp 8 --ctx 8k"
LITE, LLAMA = "deepseek-v2-lite --gpu {} --ctx 8k", "llama-3.1-8b --gpu h100 --ctx 8k"
SGLANG = "--engine sglang --engine-version"

REFUSED = [
    # engine/arg_utils.py: --data-parallel-size is in 0.8.3 and not in 0.8.2, --enable-expert-parallel in 0.8.0 and not in 0.7.3,
    # --decode-context-parallel-size in 0.10.2 and not in 0.10.1.
    ("llama-3.1-8b --gpu 2xh100 --dp 2 --engine-version 0.7.0", "no --data-parallel-size: it came with 0.8.3"),
    ("llama-3.1-8b --gpu 2xh100 --dp 2 --engine-version 0.8.2", "no --data-parallel-size: it came with 0.8.3"),
    ("mixtral-8x7b --gpu 4xh100 --ep 4 --engine-version 0.6.0", "no --enable-expert-parallel: it came with 0.8.0"),
    ("mixtral-8x7b --gpu 4xh100 --ep 4 --engine-version 0.7.3", "no --enable-expert-parallel: it came with 0.8.0"),
    (f"{V3} --dcp 8 --engine-version 0.8.5", "no --decode-context-parallel-size: it came with 0.10.2"),
    (f"{V3} --dcp 8 --engine-version 0.10.1", "no --decode-context-parallel-size: it came with 0.10.2"),
    (f"{GQA} --dcp 2 --engine-version 0.9.0", "no --decode-context-parallel-size: it came with 0.10.2"),
    # 0.8.5, v1/engine/core_client.py DPAsyncMPClient: "Multi-node not yet supported".
    ("llama-3.1-8b --gpu 16xh100 --dp 16 --engine-version 0.8.5", "0.8.5 starts all 16 replicas on one machine"),
    # v1/attention/backends/mla/common.py, since 0.18 layers/attention/mla_attention.py: "DCP not support fp8 kvcache now.", to 0.24.
    (f"{V3} --dcp 8 --kv-dtype fp8 --engine-version 0.12.0", "does not share a cache of MLA in fp8; 0.25.0 does"),
    (f"{V3} --dcp 8 --kv-dtype fp8 --engine-version 0.24.0", "does not share a cache of MLA in fp8; 0.25.0 does"),
    # v1/worker/gpu_model_runner.py initialize_kv_cache (need_to_return_lse_for_decode), 0.10.2 and 0.11.0.
    (f"{GQA} --dcp 2 --engine-version 0.10.2", "0.10.2 shares the cache of MLA alone"),
    (f"{GQA} --dcp 2 --engine-version 0.11.0", "0.11.0 shares the cache of MLA alone"),
    # 0.7.3, attention/backends/triton_mla.py "FP8 Triton MLA not yet supported"; 0.8.5 to 0.10.1 flashmla.py and triton_mla.py of both
    # engines; 0.10.2 and 0.11.0 v1/attention/backends/mla/triton_mla.py.
    (f"{V3} --kv-dtype fp8 --engine-version 0.7.3", "no attention backend that reads it for MLA"),
    (f"{V3} --kv-dtype fp8 --engine-version 0.8.5", "no attention backend that reads it for MLA"),
    (f"{V3} --kv-dtype fp8 --engine-version 0.10.1", "no attention backend that reads it for MLA"),
    (f"{LITE.format('a100-80gb')} --kv-dtype fp8 --engine-version 0.11.0", "no attention backend that reads it for MLA"),
    # srt/server_args.py: --dcp-size is in 0.5.15 and not in 0.5.14; choices of --kv-cache-dtype.
    (f"{V3} --dcp 8 {SGLANG} 0.5.14", "no --dcp-size: it came with 0.5.15"),
    (f"{LLAMA} --kv-dtype mxfp8 {SGLANG} 0.5.10", "SGLang 0.5.10 keeps caches in auto, bf16, fp8_e4m3, fp8_e5m2"),
    (f"{LLAMA} --kv-dtype fp8 {SGLANG} 0.4.1", "SGLang 0.4.1 keeps caches in auto, fp8_e5m2"),
    # srt/models/qwen3_moe.py has FusedMoE alone in 0.4.6, and EPMoE from 0.4.6.post2 on; server_args.py sets ep_size to tp_size.
    (f"qwen3-30b-a3b --gpu 4xh100 --ep 4 {SGLANG} 0.4.6", "SGLang 0.4.6 spreads no experts of Qwen3MoeForCausalLM"),
    (f"qwen3-30b-a3b --gpu 4xh100 --tp 4 --ep 2 {SGLANG} 0.4.9", "spreads experts over all 4 ranks"),
    (f"mixtral-8x7b --gpu 4xh100 --ep 4 {SGLANG} 0.4.0", "no --enable-ep-moe: it came with 0.4.1"),
    # No such share in common/arg.cpp or in from_pretrained.
    (f"{LLAMA} --engine llama.cpp --utilization 0.5", "--utilization is an option of vllm and sglang"),
    (f"{LLAMA} --engine transformers --utilization 0.5", "--utilization is an option of vllm and sglang"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_a_release_lacks_is_refused_with_the_first_that_has_it(cli: Run, words: str, said: str) -> None:
    done = cli("fit", "--offline", *words.split())
    assert done.returncode == 2
    assert said in done.stderr


STOPPED = [
    # 0.5.23, srt/arg_groups/kv_cache_hook.py handle_mxfp8_kv_cache_compatibility.
    (f"{LLAMA} --kv-dtype mxfp8 --engine sglang", "from compute capability 10.0 on"),
    ("llama-3.1-8b --gpu 4090 --ctx 8k --kv-dtype mxfp8 --engine sglang", "from compute capability 10.0 on"),
    # layers/quantization/modelopt.py ModelOptNvFp4Config.get_min_capability: 100 in 0.8, 80 in 0.9; no word of NVFP4 in 0.7.3.
    (f"{LLAMA} --quant nvfp4 --engine-version 0.8.5", "NVFP4"),
    ("llama-3.1-8b --gpu a100-80gb --ctx 8k --quant nvfp4 --engine-version 0.8.5", "NVFP4"),
    (f"{LLAMA} --quant nvfp4 --engine-version 0.7.3", "0.7.3 reads no NVFP4 weights: 0.8.0 and later do"),
]


@pytest.mark.parametrize(("words", "said"), STOPPED, ids=[row[0] for row in STOPPED])
def test_what_a_release_does_not_run_does_not_start(cli: Run, words: str, said: str) -> None:
    done = cli("fit", "--offline", "--format", "json", *words.split())
    assert done.returncode == 1
    assert said in json.loads(done.stdout)["verdict"]


PRINTED = [
    # What the release has of each: the tables above, and `choices` of --kv-cache-dtype (vLLM 0.10.0 config.py CacheDType, SGLang 0.4.6).
    (f"{LLAMA} --kv-dtype bf16 --engine-version 0.10.0", "--kv-cache-dtype auto"),
    (f"{LLAMA} --kv-dtype bf16 --engine-version 0.11.0", "--kv-cache-dtype bfloat16"),
    (f"{LLAMA} --kv-dtype bf16 {SGLANG} 0.4.6", "--kv-cache-dtype auto"),
    (f"{LLAMA} --kv-dtype bf16 {SGLANG} 0.5.4", "--kv-cache-dtype bf16"),
    (f"{LLAMA} --kv-dtype fp8 {SGLANG} 0.4.2", "--kv-cache-dtype fp8_e4m3"),
    (f"qwen3-30b-a3b --gpu 4xh100 --ep 4 --ctx 8k {SGLANG} 0.4.9", "--tp 4 --enable-ep-moe"),
    (f"qwen3-30b-a3b --gpu 4xh100 --ep 4 --ctx 8k {SGLANG} 0.5.1", "--tp 4 --ep-size 4"),
    ("deepseek-v3 --gpu 8xh200 --ctx 32k --engine-version 0.8.2", "--tensor-parallel-size 8 --max-model-len"),
    (f"{V3} --kv-dtype fp8 --engine-version 0.10.2", "--kv-cache-dtype fp8"),
    (f"{V3} --dcp 8 --kv-dtype fp8 --engine-version 0.25.0", "--decode-context-parallel-size 8"),
    (f"{GQA} --dcp 2 --engine-version 0.11.1", "--decode-context-parallel-size 2"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), PRINTED, ids=[row[0] for row in PRINTED])
def test_what_a_release_has_is_printed(cli: Run, words: str, said: str) -> None:
    done = cli("fit", "--offline", "--format", "json", *words.split())
    assert done.returncode in (0, 1), done.stderr
    assert said in json.loads(done.stdout)["command"]


CACHES = [
    ("deepseek-v3 --ctx 8k --tp 8 --dcp 8 --engine-version 0.9.0", "no --decode-context-parallel-size"),
    ("deepseek-v3 --ctx 8k --kv-dtype fp8 --engine-version 0.9.2", "no attention backend that reads it for MLA"),
    ("qwen3-235b-a22b --ctx 8k --tp 8 --dcp 2 --engine-version 0.10.2", "shares the cache of MLA alone"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "said"), CACHES, ids=[row[0] for row in CACHES])
def test_a_cache_alone_is_held_to_the_same(cli: Run, words: str, said: str) -> None:
    done = cli("kv", "--offline", "--engine", "vllm", *words.split())
    assert done.returncode == 2
    assert said in done.stderr


# A cache that the checkpoint states, on a GPU without kernels for it: v1/attention/backends/triton_attn.py in 0.33.
STATED = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "kv_cache_quant_algo": "FP8"}


def test_a_stated_cache_that_is_not_read_is_no_option_to_leave_out(cli: Run, tmp_path: Path) -> None:
    config = {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 1024, "intermediate_size": 3072,
        "num_hidden_layers": 4, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 1024,
        "max_position_embeddings": 8192, "torch_dtype": "bfloat16", "quantization_config": STATED,
    }  # fmt: skip
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    words = ("fit", str(path), "--gpu", "t4", "--offline", "--format", "json")
    assert json.loads(cli(*words).stdout)["engine"] == "llama.cpp"
    stopped = json.loads(cli(*words, "--engine", "vllm").stdout)["verdict"]
    assert "--kv-dtype float16 keeps it otherwise" in stopped
    assert json.loads(cli(*words, "--engine", "vllm", "--kv-dtype", "float16").stdout)["fits"]


# Each model with each release, and the options in turn: of two releases around each flag's first.
MODELS = ("llama-3.1-8b", "mixtral-8x7b", "deepseek-v2-lite", "qwen3-next-80b-a3b")
OPTIONS = ("", "--dp 2", "--ep 2", "--kv-dtype fp8", "--kv-dtype bf16", "--tp 2 --dcp 2", "--pp 2")
RELEASES = (
    "vllm 0.7.3", "vllm 0.8.2", "vllm 0.8.5", "vllm 0.10.2", "vllm 0.11.1", "vllm 0.33.0",
    "sglang 0.4.1", "sglang 0.4.10", "sglang 0.5.14", "sglang 0.5.23",
)  # fmt: skip
SAMPLED = [
    (model, release, OPTIONS[(3 * i + 2 * j) % len(OPTIONS)])
    for i, model in enumerate(MODELS)
    for j, release in enumerate(RELEASES)
]


@pytest.mark.parametrize(("model", "release", "options"), SAMPLED)
def test_the_command_printed_starts_what_was_planned(cli: Run, model: str, release: str, options: str) -> None:
    engine, version = release.split()
    machine = ("--offline", "--format", "json", "--gpu", "2xh200", "--engine-version", version)
    done = cli("fit", model, "--engine", engine, "--ctx", "8k", *options.split(), *machine)
    if done.returncode == 2:
        # Refused, by its reason: the tables above hold which.
        assert version in done.stderr or "dcp" in done.stderr or "ep is" in done.stderr, done.stderr
        return
    planned = json.loads(done.stdout)
    if not planned["fits"]:
        return
    again = cli("fit", *machine, "--", *shlex.split(planned["command"]))
    assert again.returncode == 0, again.stderr or again.stdout
    found = json.loads(again.stdout)
    assert [found[key] for key in ("plan", "per_gpu", "kv_tokens")] == [planned[key] for key in ("plan", "per_gpu", "kv_tokens")]
