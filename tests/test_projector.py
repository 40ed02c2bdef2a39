"""llama.cpp's projectors (`--mmproj`): their size and the buffer reserved for them, against what llama-server logged and what is published.

Sizes are lines "load_hparams: model size" and "reserve_compute_meta: CUDA0 compute buffer size" of clip.cpp in public logs, in MiB, and
files as they were listed.
"""

from __future__ import annotations

import json
import shlex

import pytest

from archcalc.engines.llamacpp import projector
from archcalc.loader import load
from conftest import Run

MIB = 1 << 20
LOGGED = [
    # Logs of unsloth/Qwen3.6-27B-MTP-GGUF, mmproj-BF16.gguf, whose tower and output width are Qwen3.5-27B's (warm-up 1472 x 1472).
    ("qwen3.5-27b", "mmproj-BF16.gguf", 887.99, 248.10),
    # ggml-org/llama.cpp#22673.
    ("qwen3.5-4b", "mmproj-BF16.gguf", 644.26, 223.30),
    # ikawrakow/ik_llama.cpp#1383, mmproj-Qwen3.5-122B-A10B-Q8_0.gguf.
    ("qwen3.5-122b-a10b", "mmproj-Qwen3.5-122B-A10B-Q8_0.gguf", 590.51, 248.10),
    # ggml-org/llama.cpp#18181.
    ("qwen3-vl-8b", "mmproj-F32.gguf", 2198.75, None),
    # A log of llama-server build 7972, mmproj of Qwen2.5-VL-7B.
    ("qwen2.5-vl-7b", "mmproj-qwen2.5-vl-7b.gguf", 1291.40, None),
]


@pytest.mark.parametrize(("model", "file", "size", "buffer"), LOGGED)
def test_a_projector_takes_what_was_logged(model: str, file: str, size: float, buffer: float | None) -> None:
    architecture = load(model, offline=True).architecture
    assert projector.stored(architecture, projector.kind_of(file)) / MIB == pytest.approx(size, abs=0.006)
    if buffer is not None:
        assert (projector.reserved(architecture) or 0) / MIB == pytest.approx(buffer, abs=0.006)


def test_a_published_file_is_its_tensors_and_metadata() -> None:
    """unslothai/unsloth#5849: unsloth/Qwen3.5-0.8B-GGUF, mmproj-BF16.gguf, 207,346,528 bytes."""
    held = projector.stored(load("qwen3.5-0.8b", offline=True).architecture, "BF16")
    assert 0 < 207_346_528 - held < 20_000


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("mmproj-F16.gguf", "F16"), ("mmproj-BF16.gguf", "BF16"), ("mmproj-model-f16.gguf", "F16"), ("qwen.mmproj-Q8_0.gguf", "Q8_0"),
        ("mmproj-fp32.gguf", "F32"), ("mmproj.gguf", "F16"),
    ],
)  # fmt: skip
def test_a_file_s_name_says_its_type(name: str, kind: str) -> None:
    assert projector.kind_of(name) == kind


def fit(cli: Run, command: str) -> dict:  # type: ignore[type-arg]
    return json.loads(cli("fit", "--offline", "--format", "json", "--gpu", "4090", "--", *shlex.split(command)).stdout)  # type: ignore[no-any-return]


FILE = "llama-server -m Qwen3-VL-8B-Q8_0.gguf -c 16384 -np 1 -ngl 99"
REPO = "llama-server -hf unsloth/Qwen3-VL-8B-Instruct-GGUF:Q8_0 -c 16384 -np 1 -ngl 99"
COMMANDS = [
    # Without a projector, on the GPU, in the CPU's memory; and what -hf loads by itself (common/arg.cpp `--mmproj-auto`).
    (FILE, 0, 0),
    (f"{FILE} --mmproj mmproj-F16.gguf", 1, 0),
    (f"{FILE} --mmproj mmproj-F16.gguf --no-mmproj-offload", 0, 1),
    (REPO, 1, 0),
    (f"{REPO} --no-mmproj", 0, 0),
    (f"{REPO} --no-mmproj-offload", 0, 1),
]


@pytest.mark.parametrize(("command", "gpu", "ram"), COMMANDS)
def test_a_command_s_projector_is_counted_where_it_lies(command: str, gpu: int, ram: int, cli: Run) -> None:
    alone, got = fit(cli, FILE), fit(cli, command)
    architecture = load("qwen3-vl-8b", offline=True).architecture
    size, buffer = projector.stored(architecture), projector.reserved(architecture) or 0
    assert got["per_gpu"]["weights_bytes"] - alone["per_gpu"]["weights_bytes"] == gpu * size
    assert got["per_gpu"]["activation_bytes"] - alone["per_gpu"]["activation_bytes"] == gpu * buffer
    assert got["ram"]["used_bytes"] - alone["ram"]["used_bytes"] == ram * size
    assert not got["options"]["unmodelled"]
    assert any("not counted here" in note for note in got["notes"]) == (not gpu and not ram)


def test_a_file_that_is_here_has_its_own_size(tmp_path, cli: Run) -> None:  # type: ignore[no-untyped-def]
    file = tmp_path / "mmproj-F16.gguf"
    file.write_bytes(b"GGUF" + bytes(5 * MIB))
    alone, got = fit(cli, FILE), fit(cli, f"{FILE} --mmproj {file}")
    assert got["per_gpu"]["weights_bytes"] - alone["per_gpu"]["weights_bytes"] == 5 * MIB + 4


def test_fit_leaves_room_for_the_projector(cli: Run) -> None:
    """tools/server/server-context.cpp `load_model` adds what the projector takes to what `--fit` leaves free."""
    command = "llama-server -m gemma-3-27b-it-Q4_K_M.gguf"
    alone, got = fit(cli, command), fit(cli, f"{command} --mmproj mmproj-F16.gguf")
    assert got["context_tokens"] < alone["context_tokens"]
    assert any("buffer in which the projector computes is not counted" in note for note in got["notes"])
