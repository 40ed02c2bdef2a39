"""`diagnose`: term by term what a log says and what was predicted, the cause, and a change that starts."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from conftest import Run

GIB = 1 << 30
HEAD = (
    "INFO [api_server.py:1896] vLLM API server version {version}\n"
    "INFO [utils.py:233] non-default args: {args!r}\n"
    "INFO [gpu_model_runner.py:2653] Model loading took {weights} GiB memory and 8.1 seconds\n"
)
ROOM = (
    "INFO [gpu_worker.py:298] Available KV cache memory: {room} GiB\nINFO [kv_cache_utils.py:1087] GPU KV cache size: {tokens:,} tokens\n"
    "INFO [kv_cache_utils.py:1091] Maximum concurrency for {length:,} tokens per request: {times:.2f}x\nINFO: Application startup"
    " complete.\n"
)


def diagnose(cli: Run, folder: Path, text: str, *options: str) -> tuple[dict[str, Any], int]:
    (folder / "engine.log").write_text(text, encoding="utf-8")
    done = cli("diagnose", "engine.log", "--offline", "--format", "json", *options)
    assert done.stdout, done.stderr
    return json.loads(done.stdout), done.returncode


def test_a_start(cli: Run, tmp_path: Path) -> None:
    args = {"model": "qwen3-8b", "max_model_len": 40960}
    text = HEAD.format(version="0.9.2", args=args, weights=15.2683) + ROOM.format(
        room=18.69, tokens=136080, length=40960, times=3.32
    )
    found, status = diagnose(cli, tmp_path, text, "--gpu", "a100-sxm4-40gb")
    assert (status, found["outcome"], found["engine_version"], found["kind"]) == (0, "started", "0.9.2", None)
    terms = {t["name"]: (t["logged_bytes"], t["predicted_bytes"]) for t in found["terms"]}
    assert terms["weights"][0] == pytest.approx(terms["weights"][1], rel=0.002)
    assert terms["room"][0] == pytest.approx(terms["room"][1], rel=0.03)
    assert found["tokens"]["predicted"] == pytest.approx(found["tokens"]["logged"], rel=0.03)


def test_no_room_for_one_request_and_what_starts(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "gpt-oss-20b", "max_model_len": 131072}, weights=13.72) + (
        "ValueError: To serve at least one request with the models's max seq len (131072), (3.1 GiB KV cache is needed, which is"
        " larger than"
        " the available KV cache memory (2.44 GiB). Based on the available memory, the estimated maximum model length is 103168.\n"
    )
    found, status = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert (status, found["outcome"], found["kind"]) == (1, "refused", "one-request")
    assert "3.10 GiB" in found["cause"] and "2.44 GiB" in found["cause"]
    shorter = [r for r in found["remedies"] if "requests longer" in r["gives_up"]]
    # What the engine itself said is the most that starts.
    length = int(shorter[0]["command"].rpartition("--max-model-len ")[2])
    assert 90_000 < length <= 103168
    for remedy in found["remedies"]:
        words = shlex.split(remedy["command"])
        # Triton's is the only backend for sinks there, and it reads no FP8 below 8.9.
        assert "--kv-cache-dtype" not in words
        ranks = words[words.index("--tensor-parallel-size") + 1] if "--tensor-parallel-size" in words else "1"
        done = cli("fit", "--gpu", f"{ranks}xrtx-3090", "--engine-version", "0.19.0", "--offline", "--", *words)
        assert done.returncode == 0, remedy


def test_the_length_that_the_engine_estimates_is_the_first_change(cli: Run, tmp_path: Path) -> None:
    """The log's own room decides, also where it is more than was predicted."""
    place = tmp_path / "vllm.log"
    place.write_text(
        "INFO 11-02 10:00:05 [api_server.py:1839] vLLM API server version 0.11.0\n"
        "INFO 11-02 10:00:05 [utils.py:233] non-default args: {'model_tag': 'qwen3-32b', 'model': 'qwen3-32b', 'max_model_len': 40960}\n"
        "INFO 11-02 10:01:30 [gpu_worker.py:298] Available KV cache memory: 8.16 GiB\n"
        "ValueError: To serve at least one request with the models's max seq len (40960), (10.00 GiB KV cache is needed, which is larger"
        " than the available KV cache memory (8.16 GiB). Based on the available memory, the estimated maximum model length is 33408.\n"
    )
    found = json.loads(cli("diagnose", str(place), "--gpu", "h100", "--format", "json").stdout)
    shorter = [each["command"] for each in found["remedies"] if "--max-model-len 40960" not in each["command"]]
    assert len(shorter) == 1 and "--max-model-len 33408" in found["remedies"][0]["command"]


def test_weights_beyond_a_card_go_to_ram(cli: Run, tmp_path: Path) -> None:
    text = (
        "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 5090) (0000:01:00.0) - 31069 MiB free\n"
        "llama_model_loader: loaded meta data with 35 key-value pairs and 687 tensors from gpt-oss-120b-MXFP4.gguf (version GGUF V3)\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 59851.68 MiB on device 0: cudaMalloc failed: out of memory\n"
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer\n"
    )
    found, status = diagnose(cli, tmp_path, text, "--model", "gpt-oss-120b")
    assert (status, found["outcome"], found["kind"], found["gpu"]) == (1, "oom", "loading", "rtx-5090")
    # Experts before layers: few tokens visit each.
    assert "--n-cpu-moe" in found["remedies"][0]["command"] and any("-ngl" in r["command"] for r in found["remedies"])


@pytest.mark.parametrize(
    ("line", "kind", "flag"),
    [
        (
            "ValueError: max_num_seqs (1024) exceeds available Mamba cache blocks (512). Each decode\n",
            "states",
            "--max-num-seqs 512",
        ),
        (
            "ValueError: Free memory on device cuda:0 (20.1/23.56 GiB) on startup is less than desired GPU memory utilization (0.92,"
            " 21.68 GiB).\n",
            "share",
            "--gpu-memory-utilization 0.85",
        ),
        (
            "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=32768 or"
            " model_max_length=None in model's config.json).\n",
            "context",
            "--max-model-len 32768",
        ),
        (
            "ValueError: Total number of attention heads (32) must be divisible by tensor parallel size (3).\n",
            "heads",
            "--tensor-parallel-size 2",
        ),
        ("api_server.py: error: unrecognized arguments: --max-modle-len 3\n", "flag", "--max-model-len"),
    ],
)
def test_a_refusal_and_the_flag_that_lifts_it(cli: Run, tmp_path: Path, line: str, kind: str, flag: str) -> None:
    args = {"model": "qwen3-8b", "tensor_parallel_size": 3} if kind == "heads" else {"model": "qwen3-8b"}
    text = HEAD.format(version="0.20.0", args=args, weights=15.27).replace("INFO [gpu_model", "# [gpu_model") + line
    found, status = diagnose(cli, tmp_path, text, "--gpu", "3xrtx-3090" if kind == "heads" else "rtx-3090")
    assert (status, found["outcome"], found["kind"]) == (1, "refused", kind)
    assert flag in found["remedies"][0]["command"]


def test_what_is_not_known_is_named(cli: Run, tmp_path: Path) -> None:
    text = ROOM.format(room=18.69, tokens=136080, length=40960, times=3.32)
    found, status = diagnose(cli, tmp_path, text)
    assert status == 0 and any("--model" in note for note in found["notes"])
    text = HEAD.format(version="0.9.2", args={"model": "nobody/nothing"}, weights=1.0) + text
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "h100")
    assert any("config.json" in note for note in found["notes"])
    assert all(t["predicted_bytes"] is None for t in found["terms"])


def test_a_calibration_moves_the_room(cli: Run, tmp_path: Path) -> None:
    args = {"model": "qwen3-8b", "max_model_len": 40960}
    text = HEAD.format(version="0.9.2", args=args, weights=15.2683) + ROOM.format(
        room=17.69, tokens=128800, length=40960, times=3.1
    )
    diagnose(cli, tmp_path, text, "--gpu", "a100-sxm4-40gb", "--save-calibration", "host.json")
    words = ["--engine-version", "0.9.2", "--format", "json", "--", *shlex.split("vllm serve qwen3-8b --max-model-len 40960")]
    done = cli("fit", "--gpu", "a100-sxm4-40gb", "--calibration", "host.json", *words)
    assert json.loads(done.stdout)["per_gpu"]["kv_room_bytes"] == pytest.approx(17.69 * GIB, abs=1)
    done = cli("fit", "--gpu", "h100", "--calibration", "host.json", *words)
    assert done.returncode == 2 and "host.json is of vllm on a100" in done.stderr


def test_a_page_for_people(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "engine.log").write_text(
        HEAD.format(version="0.9.2", args={"model": "qwen3-8b"}, weights=15.2683), encoding="utf-8"
    )
    done = cli("diagnose", "engine.log", "--offline", "--gpu", "a100-sxm4-40gb")
    assert "weights" in done.stdout and "15.3 GiB" in done.stdout


@pytest.mark.parametrize(
    ("name", "text", "said"), [("x.log", "GET / 200\n", "no line of vLLM"), ("nowhere.log", None, "no such file")]
)
def test_one_message(cli: Run, tmp_path: Path, name: str, text: str | None, said: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = cli("diagnose", name)
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr


def test_a_log_that_ends_at_the_blocks_is_judged_by_them(cli: Run, tmp_path: Path) -> None:
    """vLLM 0.4 logged blocks, and stopped where they held less than the longest request."""
    text = (
        "INFO llm_engine.py:74] Initializing an LLM engine (v0.6.4) with config: model='llama-3.1-8b', max_seq_len=16384,\n"
        "INFO gpu_executor.py:94] # GPU blocks: 507, # CPU blocks: 1024\n"
    )
    found, status = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert (status, found["kind"]) == (1, "one-request") and "8,112" in found["cause"]


OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried} MiB. GPU 0 has a total capacity of 23.64 GiB of which {free}"
    " MiB is free.\n"
)


def test_what_ran_out_beside_the_pool_is_freed_beside_it(cli: Run, tmp_path: Path) -> None:
    """The pool fills the engine's share whatever its type is, and whatever the weights take: neither fp8 frees memory outside it."""
    args = {"model": "qwen3-8b", "max_model_len": 40960, "gpu_memory_utilization": 0.97}
    text = HEAD.format(version="0.19.0", args=args, weights=15.27) + (
        "INFO [gpu_worker.py:436] Available KV cache memory: 6.5 GiB\nINFO [kv_cache_utils.py:1319] GPU KV cache size: 47,328 tokens\n"
        '  File "gpu_model_runner.py", line 1, in capture_model\n' + OOM.format(tried=20, free=10)
    )
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert (found["outcome"], found["kind"]) == ("oom", "capturing")
    lines = [r["command"] for r in found["remedies"]]
    assert any("--gpu-memory-utilization 0.95" in line for line in lines) and any("--max-num-seqs 64" in line for line in lines)
    assert not any("fp8" in line or "--tensor-parallel-size" in line for line in lines)


def test_a_pool_in_bytes_is_made_smaller(cli: Run, tmp_path: Path) -> None:
    args = {"model": "qwen3-8b", "max_model_len": 8192, "kv_cache_memory_bytes": 12 << 30}
    text = HEAD.format(version="0.19.0", args=args, weights=15.27) + "  in initialize_kv_cache\n" + OOM.format(tried=340, free=120)
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    size = int(found["remedies"][0]["command"].rpartition("--kv-cache-memory-bytes ")[2])
    assert 5 << 30 < size < 8 << 30


def test_changes_that_help_together_only(cli: Run, tmp_path: Path) -> None:
    """Fewer sequences free the sampler's rows, and the longest request still does not fit."""
    args = {"model": "qwen3-8b", "max_model_len": 40960, "max_num_seqs": 4096}
    text = HEAD.format(version="0.19.0", args=args, weights=15.27) + "  in profile_run\n" + OOM.format(tried=2320, free=1200)
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    first = found["remedies"][0]["command"]
    assert "--max-num-seqs 256" in first and "--max-model-len 3" in first
    done = cli("fit", "--gpu", "rtx-4090", "--engine-version", "0.19.0", "--offline", "--", *shlex.split(first))
    assert done.returncode == 0


def test_a_refusal_is_lifted_by_what_then_fits(cli: Run, tmp_path: Path) -> None:
    """A share of 0.76 holds the weights and not a request of the longest length."""
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b"}, weights=15.27) + (
        "ValueError: Free memory on device cuda:0 (18.11/23.64 GiB) on startup is less than desired GPU memory utilization (0.9, 21.28"
        " GiB).\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    (remedy,) = found["remedies"]
    assert "--gpu-memory-utilization 0.76" in remedy["command"] and "--max-model-len " in remedy["command"]
    told = remedy["command"].split()
    assert cli("fit", "--gpu", "rtx-3090", "--engine-version", "0.19.0", "--offline", "--", *told).returncode == 0


@pytest.mark.parametrize(
    ("weights", "room", "graphs", "told", "never"),
    [
        # Graphs lie beside vLLM's budget up to 0.18 and explain nothing of the room; nor does what takes more where the room is larger.
        (15.27, 15.0, 0.9, "no line of the log says what takes it", "graphs explains"),
        (17.27, 25.0, 0.9, "no line of the log says what takes less", "explains"),
        (17.27, 16.6, 0.9, "weights explains most", "graphs explains"),
    ],
)
def test_what_explains_a_difference(
    cli: Run, tmp_path: Path, weights: float, room: float, graphs: float, told: str, never: str
) -> None:
    text = HEAD.format(version="0.11.0", args={"model": "qwen3-8b", "max_model_len": 40960}, weights=weights)
    text += f"INFO [gpu_model_runner.py:3480] Graph capturing finished in 20 secs, took {graphs} GiB\n"
    text += ROOM.format(room=room, tokens=109200, length=40960, times=2.67)
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "a100-sxm4-40gb")
    assert any(told in each for each in found["notes"]) and not any(never in each for each in found["notes"]), found["notes"]


@pytest.mark.parametrize(
    ("args", "lines", "gpu", "words"),
    [
        # Too small a card for the weights as they are, and for the whole context in FP8.
        (
            {"max_model_len": 32768},
            "  in profile_run\n" + OOM.format(tried=900, free=100),
            "rtx-4080",
            ("--quantization fp8", "--max-model-len"),
        ),
        # What an image takes lies outside the share, and the share that leaves it does not hold the longest request.
        (
            {"max_model_len": 40960, "gpu_memory_utilization": 0.97},
            "INFO: Application startup complete.\n" + OOM.format(tried=2300, free=600),
            "rtx-4090",
            ("--gpu-memory-utilization 0.8", "--max-model-len"),
        ),
    ],
)
def test_one_change_and_a_shorter_context(
    cli: Run, tmp_path: Path, args: dict[str, Any], lines: str, gpu: str, words: tuple[str, ...]
) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b", **args}, weights=15.27) + lines
    found, _ = diagnose(cli, tmp_path, text.replace("23.64", "15.57") if gpu == "rtx-4080" else text, "--gpu", gpu)
    both = [r["command"] for r in found["remedies"] if all(word in r["command"] for word in words)]
    assert both, found["remedies"]
    done = cli("fit", "--gpu", gpu, "--engine-version", "0.19.0", "--offline", "--", *shlex.split(both[0]))
    assert done.returncode == 0


def test_a_calibration_is_of_one_card_and_names_its_release(cli: Run, tmp_path: Path) -> None:
    """A card known by its memory alone is not every such card."""
    text = HEAD.format(version="0.11.0", args={"model": "qwen3-8b", "max_model_len": 8192}, weights=15.27)
    text += ROOM.format(room=15.0, tokens=109200, length=8192, times=13.3)
    diagnose(cli, tmp_path, text, "--gpu", "40GiB", "--save-calibration", "kept.json")
    fit = ("fit", "qwen3-8b", "--ctx", "8k", "--calibration", "kept.json", "--offline", "--vram")
    other, same = cli(*fit, "24GiB"), cli(*fit, "40GiB")
    assert other.returncode == 2 and "24.0 GiB" in other.stderr
    assert same.returncode == 0 and "vllm 0.11.0" in " ".join(same.stdout.split())


def test_a_wrapped_log_states_no_length_of_zero(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b"}, weights=15.27) + (
        "ValueError: To serve at least one request with the models's max seq len (\n131072), (3.1 GiB KV cache is needed, which is larger"
        " than the available KV cache memory (2.44 GiB).\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert found["kind"] == "one-request" and " 0 tokens" not in found["cause"]


GGUF = (
    "build: 6503 (62c3b645) with cc (Ubuntu 13.3.0) 13.3.0 for x86_64-linux-gnu\n"
    "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX {card}) (0000:01:00.0) - {free} MiB free\n"
    "llama_model_loader: loaded meta data with 32 key-value pairs and 707 tensors from /models/blob.gguf (version GGUF V3 (latest))\n"
    "print_info: file type   = Q5_K - Medium\n"
)


def test_a_card_has_no_less_than_what_was_free(cli: Run, tmp_path: Path) -> None:
    """The name alone is of two cards, of 8 and of 16 GB; and the file's type is told though its name says nothing."""
    text = GGUF.format(card="4060 Ti", free=15300) + (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 21622.53 MiB on device 0: cudaMalloc failed: out of memory\n"
        "llama_model_load: error loading model: unable to allocate CUDA0 buffer\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--model", "qwen3-32b")
    assert found["gpu"] == "rtx-4060-ti-16gb"
    weights = next(t["predicted_bytes"] for t in found["terms"] if t["name"] == "weights")
    assert weights == pytest.approx(21622.53 * 2**20, rel=0.001)


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("llama_init_from_model: V cache quantization requires flash_attn", "-ctv f16"),
        ("error loading model: quantized V cache was requested, but this requires Flash Attention", "-ctv f16"),
    ],
)
def test_a_cache_s_type_is_no_quantization_of_the_checkpoint(cli: Run, tmp_path: Path, said: str, change: str) -> None:
    text = GGUF.format(card="3090", free=23990) + f"{said}\nmain: exiting due to model loading error\n"
    found, _ = diagnose(cli, tmp_path, text, "--model", "qwen3-8b")
    assert found["kind"] == "quant" and "flash attention" in found["cause"]
    assert any(change in r["command"] for r in found["remedies"]) and not any("checkpoint" in each for each in found["notes"])


def test_arguments_of_an_older_release_stay_in_the_command(cli: Run, tmp_path: Path) -> None:
    """SGLang prints no release of its own, and --cuda-graph-max-bs is gone from its newest; vLLM 0.8.5 had --swap-space."""
    text = of_sglang(0.96, POOL + "  File cuda_graph_runner.py, in capture\n", 8192).replace("tp_size=1", "cuda_graph_max_bs=160")
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert any("--cuda-graph-max-bs 160" in r["command"] for r in found["remedies"])
    text = HEAD.format(version="0.8.5", args={"model": "qwen3-8b", "max_model_len": 16384, "swap_space": 8}, weights=15.27) + (
        "ValueError: Free memory on device (18.11/23.64 GiB) on startup is less than desired GPU memory utilization (0.9, 21.28 GiB).\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert "--swap-space 8" in found["command"]


@pytest.mark.parametrize(
    ("listed", "words", "never"),
    [
        # vLLM takes one word for each adapter: entrypoints/openai/cli_args.py `LoRAParserAction`.
        (
            "'lora_modules': [{'name': 'a', 'path': '/x'}, {'name': 'b', 'path': '/y'}]",
            '\'{"name": "a", "path": "/x"}\' \'{"name": "b"',
            "[",
        ),
        ("'enable_prefix_caching': False", "--no-enable-prefix-caching", "--enable-prefix"),
        (
            "'compilation_config': {'mode': <CompilationMode.VLLM_COMPILE: 3>, 'cudagraph_mode': 'NONE'}",
            "--max-model-len 8192",
            "<",
        ),
        ("'dispatch_function': <function ServeSubcommand.cmd at 0x7f01>", "--max-model-len 8192", "function"),
    ],
)
def test_arguments_are_written_as_they_are_typed(cli: Run, tmp_path: Path, listed: str, words: str, never: str) -> None:
    text = HEAD.format(version="0.19.0", args=0, weights=15.27)
    text = text.replace("args: 0", f"args: {{'model': 'qwen3-8b', 'max_model_len': 8192, {listed}}}")
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert words in found["command"] and never not in found["command"], found["command"]
    assert not any("cannot be read" in note for note in found["notes"])


def test_the_first_engine_lists_functions_too(cli: Run, tmp_path: Path) -> None:
    text = (
        "INFO 05-03 10:11:07 [api_server.py:1043] vLLM API server version 0.8.5\n"
        "INFO 05-03 10:11:07 [api_server.py:1044] args: Namespace(model_tag='qwen3-8b', max_num_seqs=48, gpu_memory_utilization=0.8,"
        " dispatch_function=<function ServeSubcommand.cmd at 0x7f01>)\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert "--max-num-seqs 48" in found["command"] and "--gpu-memory-utilization 0.8" in found["command"]


def test_text_alone_in_the_words_of_the_release(cli: Run, tmp_path: Path) -> None:
    """--language-model-only came with 0.17: before it no input of any other kind says so."""
    for version, words in (("0.11.0", '--limit-mm-per-prompt \'{"image": 0'), ("0.19.0", "--language-model-only")):
        text = HEAD.format(version=version, args={"model": "qwen2.5-vl-7b", "max_model_len": 32768}, weights=15.63)
        text += "  in profile_run\n" + OOM.format(tried=900, free=100)
        found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
        (line,) = [
            r["command"] for r in found["remedies"] if "every input but text" in r["gives_up"] and "longer" not in r["gives_up"]
        ]
        assert words in line
        done = cli("fit", "--gpu", "rtx-4090", "--engine-version", version, "--offline", "--", *shlex.split(line))
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_replica_says_what_its_own_cache_holds(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b", "max_model_len": 8192, "data_parallel_size": 4}, weights=15.27)
    text += ROOM.format(room=4.5, tokens=32700, length=8192, times=4.0)
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "4xrtx-4090")
    assert found["tokens"]["predicted"] == pytest.approx(32700, rel=0.05)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        # SGLang 0.5.23, moe_ep_setup.py: 1536 over 4 ranks is three blocks of 128, and over 8 one and a half.
        (
            "[2025-10-01 10:00:00] server_args=ServerArgs(model_path='a/b', tp_size=8, mem_fraction_static=0.85)\n"
            "ValueError: For quantized MoE models, please make sure (moe_intermediate_size=1536 / moe_tp_size=8) %"
            " weight_block_size_n=128 == 0 where moe_tp_size is equal to tp_size (8) divided by ep_size (1).\n",
            "--ep-size 2",
        ),
        # vLLM, model_executor/layers/quantization/fp8.py.
        (
            HEAD.format(version="0.11.0", args={"model": "a/b", "tensor_parallel_size": 8}, weights=1).rpartition("INFO")[0]
            + "ValueError: The output_size of gate's and up's weight = 192 is not divisible by weight quantization block_n = 128.\n",
            "--enable-expert-parallel",
        ),
    ],
)
def test_experts_that_do_not_divide_are_kept_whole(cli: Run, tmp_path: Path, text: str, first: str) -> None:
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "8xh100")
    assert found["kind"] == "heads" and first in found["remedies"][0]["command"], found["remedies"]


def test_a_rank_that_is_too_small_is_raised(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b", "max_model_len": 8192, "enable_lora": True}, weights=15.27)
    found, _ = diagnose(cli, tmp_path, text + "ValueError: LoRA rank 48 is greater than max_lora_rank 16.\n", "--gpu", "rtx-4090")
    assert [r["command"].partition("--max-lora-rank ")[2] for r in found["remedies"]] == ["64"]


def test_a_gpu_that_is_not_the_log_s_is_told(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b"}, weights=15.27) + OOM.format(tried=900, free=100)
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4080")
    assert any("the log is of a GPU with 23.6 GiB" in note for note in found["notes"])


def test_sglang_serves_with_a_cache_shorter_than_its_context(cli: Run, tmp_path: Path) -> None:
    """Twice the ranks hold the weights and 20,000 tokens, which SGLang starts with: what it then does not serve is told."""
    text = (
        of_sglang(0.83, "Load weight begin. avail mem=43.7 GB\n", tried=448, free=12)
        .replace("23.52", "44.39")
        .replace("23.51", "44.38")
    )
    text = text.replace("'qwen3-8b', tp_size=1", "'llama-3.3-70b', tp_size=2")
    found, _ = diagnose(cli, tmp_path, text)
    four = [r for r in found["remedies"] if "--tp-size 4" in r["command"]]
    assert four and "requests longer than " in four[0]["gives_up"], found["remedies"]


@pytest.mark.parametrize(
    ("line", "outcome", "kind", "note"),
    [
        ("OSError: [Errno 98] Address already in use", "refused", "port", "--port"),
        (
            "RuntimeError: NCCL error: unhandled system error (run with NCCL_DEBUG=INFO for details)",
            "stopped",
            "network",
            "NCCL_DEBUG",
        ),
        ("Killed", "stopped", "killed", "dmesg"),
        ("KeyError: 'model.layers.0'", "stopped", "other", "not of memory"),
        ("ValueError: The KV cache of this thing needs more memory", "stopped", "other", "speaks of memory"),
        ("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", "stopped", "other", "not of memory"),
        ("OSError: You are trying to access a gated repo.", "refused", "model", "licence"),
    ],
)
def test_what_is_no_matter_of_memory_gets_no_change_of_memory(
    cli: Run, tmp_path: Path, line: str, outcome: str, kind: str, note: str
) -> None:
    """The model would not fit either, which is not what stopped it."""
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-32b"}, weights=1).rpartition("INFO [gpu_model")[0] + line + "\n"
    found, status = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert (status, found["outcome"], found["kind"], found["remedies"]) == (1, outcome, kind, [])
    assert any(note in each for each in found["notes"])


@pytest.mark.parametrize("loaded", [False, True])
def test_nccl_s_own_buffers_are_beside_the_share(cli: Run, tmp_path: Path, loaded: bool) -> None:
    """NCCL allocates outside of the engine's share (src/include/checks.h `CUDACHECK`): a larger share leaves it less."""
    text = HEAD.format(
        version="0.33.0", args={"model": "qwen3-8b", "tensor_parallel_size": 2, "gpu_memory_utilization": 0.9}, weights=7.6
    )
    text = text if loaded else text.rpartition("INFO [gpu_model")[0]
    text += "ncclUnhandledCudaError: Call to CUDA function failed.\nLast error:\nCuda failure 2 'out of memory'\n"
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "2xh100-sxm-80gb")
    assert found["outcome"] == "oom"
    assert not any("0.95" in each["command"] for each in found["remedies"])
    assert bool(found["remedies"]) == loaded
    assert any("NCCL" in note for note in found["notes"]) != loaded


def test_the_command_keeps_the_model_that_the_log_names(cli: Run, tmp_path: Path) -> None:
    text = (
        "ggml_cuda_init: found 1 CUDA devices:\n  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes\n"
        "llama_model_loader: loaded meta data with 32 key-value pairs and 707 tensors from /models/Qwen3-32B-Q8_0.gguf (version GGUF V3)\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 32424.00 MiB on device 0: cudaMalloc failed: out of memory\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--model", "qwen3-32b")
    assert found["remedies"] and all("-m /models/Qwen3-32B-Q8_0.gguf" in r["command"] for r in found["remedies"])


def test_ollama_is_predicted_and_told_by_its_environment(cli: Run, tmp_path: Path) -> None:
    text = (
        'time=2026-01-01T00:00:00Z level=INFO source=routes.go:1500 msg="Listening on 127.0.0.1:11434 (version 0.12.6)"\n'
        'time=2026-01-01T00:00:00Z level=INFO source=types.go:60 msg="inference compute" id=GPU-1 library=CUDA compute=8.6 name=CUDA0'
        ' description="NVIDIA GeForce RTX 3060" total="12.0 GiB" available="11.5 GiB"\n'
        "llama_context: n_ctx         = 65536\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9216.00 MiB on device 0: cudaMalloc failed: out of memory\n"
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n"
    )
    found, _ = diagnose(cli, tmp_path, text, "--model", "qwen3-8b", "--quant", "q4_k_m")
    assert any(t["predicted_bytes"] for t in found["terms"])
    lines = [r["command"] for r in found["remedies"]]
    assert lines and all(line.endswith("ollama serve") and line.startswith("OLLAMA_") for line in lines)


def test_a_pool_smaller_than_the_context_is_told(cli: Run, tmp_path: Path) -> None:
    text = (
        "[2026-04-27 10:00:00] server_args=ServerArgs(model_path='qwen3-8b', tp_size=1, mem_fraction_static=0.84)\n"
        "[2026-04-27 10:00:21] max_total_num_tokens=27000, chunked_prefill_size=2048, max_running_requests=2049, context_len=40960\n"
        "[2026-04-27 10:00:25] The server is fired up and ready to roll!\n"
    )
    found, status = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert status == 0 and any("27,000 tokens, fewer than the context of 40,960" in note for note in found["notes"])


def test_an_absurd_number_of_ranks_is_no_hang(cli: Run, tmp_path: Path) -> None:
    text = HEAD.format(version="0.19.0", args={"model": "qwen3-8b", "tensor_parallel_size": 10**14}, weights=1.0) + (
        "ValueError: Total number of attention heads (32) must be divisible by tensor parallel size (100000000000000).\n"
    )
    found, status = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert (status, found["kind"]) == (1, "heads")


def of_sglang(share: float | None, lines: str, context: int | None = None, *, tried: int = 2376, free: int = 1229) -> str:
    held = f", mem_fraction_static={share}" if share else ""
    held += f", context_length={context}" if context else ""
    return (
        f"[2025-11-01 12:00:00] server_args=ServerArgs(model_path='qwen3-8b', tp_size=1{held})\n{lines}"
        f"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate {tried} MiB. GPU 0 has a total capacity of 23.52 GiB of which"
        f" {free} MiB is free. Including non-PyTorch memory, this process has {23.52 - free / 1024:.2f} GiB memory in use.\n"
    )


LOADED = "Load weight begin. avail mem=23.0 GB\nLoad weight end. type=Qwen3ForCausalLM, avail mem=7.7 GB, mem usage=15.3 GB.\n"
POOL = LOADED + "Memory pool end. avail mem=2.1 GB\n"
SERVED = POOL + "The server is fired up and ready to roll!\n"


@pytest.mark.parametrize(
    ("text", "kind", "first", "never"),
    [
        # SGLang 0.5.23, srt/model_executor/pool_configurator.py: weights and pool fill the fraction whatever a token takes, so what runs
        # out beside them is what a smaller fraction leaves; neither the type of the cache nor a shorter context does.
        (of_sglang(0.9, ""), "memory", "--mem-fraction-static 0.8", "fp8_e4m3 --tp"),
        (
            of_sglang(0.9, POOL + "  File cuda_graph_runner.py, in capture\n"),
            "capturing",
            "--mem-fraction-static 0.8",
            "fp8_e4m3 --tp",
        ),
        (of_sglang(0.9, SERVED, 8192), "serving", "--mem-fraction-static 0.8", "fp8_e4m3 --tp --context-length 4"),
        (of_sglang(None, SERVED, 4096, tried=900, free=700), "serving", "--mem-fraction-static 0.", "fp8_e4m3 --tp"),
        # A pool that is used up holds more of smaller tokens, and shorter requests.
        (
            of_sglang(
                0.9, SERVED.replace("ready to roll!\n", "ready to roll!\nPrefill out of memory. Try to lower your batch size.\n")
            ),
            "pool",
            "fp8_e4m3",
            "--mem-fraction-static 0.8",
        ),
        # What the process holds is less than the weights: they are what ran out, whatever the fraction.
        (
            of_sglang(0.9, "Load weight begin. avail mem=12.0 GB\n", tried=96, free=12),
            "loading",
            "--tp",
            "fp8_e4m3 --context-length",
        ),
        # vLLM 0.33, v1/core/kv_cache_utils.py: without a single block neither the type nor the length of a request matters.
        (
            HEAD.format(version="0.19.0", args={"model": "qwen3-8b", "gpu_memory_utilization": 0.6}, weights=15.27)
            + "ValueError: No available memory for the cache blocks. Try increasing gpu_memory_utilization.\n",
            "no-cache",
            "--gpu-memory-utilization 0.95",
            "--kv-cache-dtype",
        ),
        # A profiling run takes no part of the pool and none of the graphs.
        (
            HEAD.format(version="0.19.0", args={"model": "qwen3-8b", "max_num_batched_tokens": 65536}, weights=15.27)
            + "  in profile_run\n"
            + OOM.format(tried=2320, free=1200),
            "profiling",
            "--max-num-",
            "--kv-cache-dtype --enforce-eager --gpu-memory-utilization",
        ),
        (
            HEAD.format(
                version="0.19.0", args={"model": "qwen3-8b", "max_model_len": 8192, "gpu_memory_utilization": 0.97}, weights=15.27
            )
            + "INFO: Application startup complete.\nINFO: Uvicorn running on http://0.0.0.0:8000\n"
            + OOM.format(tried=640, free=100),
            "serving",
            "--gpu-memory-utilization 0.9",
            "--kv-cache-dtype fp8 --tensor-parallel-size",
        ),
        (
            HEAD.format(
                version="0.19.0", args={"model": "qwen3-8b", "max_model_len": 8192, "gpu_memory_utilization": 0.97}, weights=15.27
            )
            + "RuntimeError: CUDA out of memory occurred when warming up sampler with 1024 dummy requests.\n",
            "sampling",
            "--max-num-seqs",
            "--kv-cache-dtype fp8 --tensor-parallel-size",
        ),
    ],
)
def test_a_change_frees_what_ran_out(cli: Run, tmp_path: Path, text: str, kind: str, first: str, never: str) -> None:
    found, _ = diagnose(cli, tmp_path, text, "--gpu", "rtx-4090")
    assert found["kind"] == kind
    lines = [r["command"] for r in found["remedies"]]
    assert any(first in line for line in lines), lines
    assert not [line for line in lines for word in never.split(" --") if f"--{word.removeprefix('--')}" in line or word in line], (
        lines
    )


_OLLAMA_LOGS = {
    # llm/server.go of 0.9.
    "server": 'msg="starting llama server" cmd="ollama runner --model /blobs/sha256-1 --ctx-size 32768 --flash-attn --kv-cache-type q8_0'
    ' --parallel 2"\n',
    # runner/ollamarunner/runner.go of 0.12.
    "runner": 'msg=load request="{Operation:alloc Parallel:2 BatchSize:512 FlashAttention:true KvSize:32768 KvCacheType:q8_0}"\n',
    # llm/llama_server.go of 0.31.
    "llama-server": 'msg="starting llama-server" cmd="/lib/llama-server --model /blobs/sha256-1 -c 32768 -np 2 --cache-type-k q8_0'
    ' --cache-type-v q8_0 -fa on"\n',
}


@pytest.mark.parametrize("form", _OLLAMA_LOGS)
def test_what_ollama_starts_its_runner_with(form: str, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(
        'time=2026-01-10T10:00:00 level=INFO source=types.go:1 msg="inference compute" library=CUDA name=CUDA0'
        ' description="NVIDIA GeForce RTX 3060" total="12.0 GiB" available="11.3 GiB"\n'
        + "time=2026-01-10T10:00:01 level=INFO source=x.go:1 "
        + _OLLAMA_LOGS[form]
        + 'level=INFO source=ggml.go:1 msg="" architecture=qwen3 file_type=Q4_K_M name="Qwen3 8B" description=""\n'
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 2448.00 MiB on device 0: cudaMalloc failed: out of memory\n"
        "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n"
    )
    got = json.loads(cli("diagnose", str(tmp_path / "log"), "--offline", "--format", "json").stdout)
    # 36 layers of 8 heads of 128, keys and values, 34 bytes for 32 elements of Q8_0: Qwen3-8B's config.json, ggml/src/ggml-common.h.
    cache = next(t for t in got["terms"] if t["name"] == "cache")
    assert cache["predicted_bytes"] == 32768 * 36 * 2 * 8 * 128 * 34 // 32
    assert got["command"].startswith("OLLAMA_NUM_PARALLEL=2 ") and "OLLAMA_CONTEXT_LENGTH=16384" in got["command"]
    for line in [r["command"] for r in got["remedies"] if r["command"]]:
        assert "OLLAMA_NUM_PARALLEL=2" in line and "OLLAMA_KV_CACHE_TYPE=q8_0" in line


OLLAMA = (
    'time=2025-06-01T10:00:00Z level=INFO source=routes.go:1300 msg="Listening on 127.0.0.1:11434 (version 0.9.0)"\n'
    'time=2025-06-01T10:00:01Z level=INFO source=types.go:130 msg="inference compute" id=GPU-1 library=cuda variant=v12 compute=8.6'
    ' driver=12.4 name="NVIDIA GeForce RTX 3060" total="11.6 GiB" available="11.2 GiB"\n'
    "{weights}"
    'time=2025-06-01T10:00:05Z level=INFO source=server.go:431 msg="starting llama server" cmd="/usr/bin/ollama runner --model'
    ' /root/.ollama/models/blobs/sha256-667b --ctx-size 8192 --batch-size 512 --n-gpu-layers 33 --parallel 2 --port 41111"\n'
    "{more}"
    'time=2025-06-01T10:00:09Z level=INFO source=server.go:630 msg="llama runner started in 4.01 seconds"\n'
)


@pytest.mark.parametrize(
    ("weights", "more", "kind"),
    [
        # Sizes of the files of bartowski/Meta-Llama-3.1-8B-Instruct-GGUF; Ollama counts them without the input embedding.
        ('memory.weights.total="4.3 GiB"', "", "q4_k_m"),
        ('memory.weights.total="7.4 GiB"', "", "q8_0"),
        ('memory.weights.total="5.0 GiB"', "", "q5_k_m"),
        ("", "load_tensors: CUDA0 model buffer size = 4403.49 MiB\nload_tensors: CPU model buffer size = 281.81 MiB\n", "q4_k_m"),
        ("", "print_info: file type   = Q6_K\n", "q6_k"),
        # A tag of the library that says no type.
        ("", "", "q4_k_m"),
    ],
)
def test_how_ollama_s_weights_are_stored(cli: Run, tmp_path: Path, weights: str, more: str, kind: str) -> None:
    line = f"time=2025-06-01T10:00:05Z level=INFO source=server.go:168 msg=offload {weights}\n" if weights else ""
    found, _ = diagnose(cli, tmp_path, OLLAMA.format(weights=line, more=more), "--model", "llama-3.1-8b")
    held = sum(t["predicted_bytes"] or 0 for t in found["terms"] if t["name"] in ("weights", "weights in RAM"))
    sizes = {"q4_k_m": 4.92e9, "q8_0": 8.54e9, "q5_k_m": 5.73e9, "q6_k": 6.60e9}
    assert held == pytest.approx(sizes[kind], rel=0.01)


def test_weights_of_no_known_size_are_not_judged(cli: Run, tmp_path: Path) -> None:
    line = 'time=2025-06-01T10:00:05Z level=INFO source=server.go:168 msg=offload memory.weights.total="1.1 GiB"\n'
    found, _ = diagnose(cli, tmp_path, OLLAMA.format(weights=line, more=""), "--model", "llama-3.1-8b")
    assert all(t["predicted_bytes"] is None for t in found["terms"])
    assert "does not say how the weights are stored" in " ".join(found["notes"])


def test_a_tower_is_no_part_of_the_weights(cli: Run, tmp_path: Path) -> None:
    """A start of Gemma 3 12B in ollama/ollama#11819: 6.8 GiB of text in Q4_K_M, and the projector apart."""
    weights = 'memory.weights.total="6.8 GiB" memory.weights.nonrepeating="787.5 MiB" projector.weights="795.9 MiB"'
    line = f"time=2025-06-01T10:00:05Z level=INFO source=server.go:168 msg=offload {weights}\n"
    found, _ = diagnose(cli, tmp_path, OLLAMA.format(weights=line, more=""), "--model", "gemma-3-12b")
    assert any("q4_k_m is taken" in note for note in found["notes"])


@pytest.mark.parametrize("line", ["ggml_metal_init: recommendedMaxWorkingSetSize  = 11453.25 MB\n", ""])
def test_a_mac_has_what_its_log_says(cli: Run, tmp_path: Path, line: str) -> None:
    """An M2 of 16 GB under macOS 15 and before: 10,922 MiB, of which all is free before anything is loaded."""
    text = (
        "llama_model_load_from_file_impl: using device Metal (Apple M2) - 10922 MiB free\n"
        "llama_model_loader: loaded meta data with 28 key-value pairs and 399 tensors from Qwen3-8B-Q8_0.gguf (version GGUF V3 (latest))\n"
        f"print_info: file type   = Q8_0\n{line}load_tensors: Metal_Mapped model buffer size =  8300.00 MiB\n"
        "llama_context: n_ctx         = 40960\n"
        "error: Insufficient Memory (00000008:kIOGPUCommandBufferCallbackErrorOutOfMemory)\n"
    )
    found, _ = diagnose(cli, tmp_path, text)
    memory = next(t for t in found["terms"] if t["name"] == "memory")
    assert memory["predicted_bytes"] == pytest.approx(11453.25e6, rel=0.001) and found["gpu"] == "apple-m2"


@pytest.mark.parametrize(("room", "weights", "said"), [(30.0, 15.2683, "less than none"), (17.69, 8.2, "no overhead")])
def test_a_calibration_that_no_host_can_have_is_refused(cli: Run, tmp_path: Path, room: float, weights: float, said: str) -> None:
    args = {"model": "qwen3-8b", "max_model_len": 40960}
    text = HEAD.format(version="0.9.2", args=args, weights=weights) + ROOM.format(room=room, tokens=128800, length=40960, times=3.1)
    (tmp_path / "l.log").write_text(text)
    done = cli("diagnose", "l.log", "--gpu", "a100-sxm4-40gb", "--save-calibration", "host.json", "--offline")
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr and not (tmp_path / "host.json").exists()
