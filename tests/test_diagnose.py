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
        done = cli("fit", "--gpu", "4xrtx-3090" if "tensor" in remedy["command"] else "rtx-3090", "--engine-version", "0.19.0", "--offline",
                   "--", *shlex.split(remedy["command"]))  # fmt: skip
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
