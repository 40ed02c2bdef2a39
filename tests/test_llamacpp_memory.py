"""llama.cpp's memory under a command: weights that lie in the CPU's memory and are multiplied on the GPU, and draft models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from archcalc.engines.llamacpp.budget import in_pipeline
from archcalc.engines.llamacpp.settings import Settings
from archcalc.zoo import spec
from conftest import Run

MIB = 1 << 20
# Experts of Qwen3 30B A3B: 128 of 2,048 x 768, the down-projection of half the layers in Q6_K, all others in Q4_K.
Q6_K, Q4_K = (128 * 2048 * 768 * block // 256 for block in (210, 144))
# A key and a value of 8 heads of 64 in 16 layers: Llama 3.2 1B, in half precision.
DRAFT_TOKEN = 16 * 2 * 8 * 64 * 2


def asked(cli: Run, gpu: str, command: str, *options: str) -> dict[str, Any]:
    done = cli("fit", "--gpu", gpu, "--quant", "q4_k_m", *options, "--offline", "--format", "json", "--", *command.split())
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_experts_in_the_cpus_memory_are_brought_to_the_gpu_one_at_a_time(cli: Run) -> None:
    """ggml/src/ggml-backend.cpp `ggml_backend_sched_split_graph`: each starts a split of its own, and its memory is used again."""
    base = "llama-server -m qwen3-30b-a3b -c 131072 -ngl 99"
    here, away, kept = (
        asked(cli, "h100", f"{base} {more}", "--engine-version", "b10488")["per_gpu"]["activation_bytes"]
        for more in ("", "--n-cpu-moe 20", "--n-cpu-moe 20 --no-op-offload")
    )
    assert kept == here
    # Where it goes the inside of the experts was.
    assert Q4_K < away - here <= Q6_K
    few = asked(cli, "h100", f"{base} --n-cpu-moe 20 -ub 16 -b 16")["per_gpu"]["activation_bytes"]
    assert few < Q4_K


def test_a_whole_layer_in_the_cpus_memory_is_streamed_too(cli: Run) -> None:
    whole, part = (
        asked(cli, "h100", f"llama-server -m llama-3.1-8b -c 131072 -ngl {n}")["per_gpu"]["activation_bytes"] for n in (33, 10)
    )
    # What llama.cpp 63d93d17 reserves: keys and values of a layer in the CPU's memory are copied beside its weights.
    assert (whole, part) == (pytest.approx(436219904, rel=0.001), pytest.approx(964692224, rel=0.01))


@pytest.mark.parametrize(("flags", "bytes_per_token"), [("", DRAFT_TOKEN), ("-ctkd q8_0 -ctvd q8_0", DRAFT_TOKEN * 34 // 64)])
def test_a_draft_model_is_counted_with_its_cache_and_its_buffer(cli: Run, flags: str, bytes_per_token: int) -> None:
    """common/speculative.cpp: its context is as long as the target's, its cache in types of its own."""
    base = "llama-server -m llama-3.1-8b -c 32768 -np 1"
    alone, drafted = asked(cli, "3090", base), asked(cli, "3090", f"{base} -md llama-3.2-1b {flags}")
    own = asked(cli, "3090", "llama-server -m llama-3.2-1b -c 32768 -np 1")
    more = {key: drafted["per_gpu"][key] - alone["per_gpu"][key] for key in alone["per_gpu"]}
    assert more["weights_bytes"] == own["per_gpu"]["weights_bytes"]
    assert more["kv_needed_bytes"] == 32768 * bytes_per_token
    assert more["activation_bytes"] == own["per_gpu"]["activation_bytes"]
    assert "--spec-draft-model" in drafted["options"]["used"]


def test_a_server_reserves_logits_for_what_is_drafted(cli: Run) -> None:
    """tools/server/server-context.cpp `server_output_limits`: a row of each slot for the token before, and one for each drafted."""
    base = "llama-server -m llama-3.1-8b -c 1024 -np 200 -ub 1024 -b 2048"
    two, four = (asked(cli, "h100", f"{base} -md llama-3.2-1b --spec-draft-n-max {n}", "--engine-version", "b9500") for n in (2, 4))
    more = four["per_gpu"]["activation_bytes"] - two["per_gpu"]["activation_bytes"]
    assert 400 * 128256 * 4 * 0.9 < more <= 400 * (128256 + 4096) * 4


def test_a_draft_that_is_not_to_be_had_is_named(cli: Run) -> None:
    found = asked(cli, "3090", "llama-server -m llama-3.1-8b -c 4096 -hfd nobody/nothing:Q8_0")
    assert found["options"]["unmodelled"] == ["--spec-draft-hf"]
    assert any("nobody/nothing is not counted" in note for note in found["notes"])
    done = cli("fit", "--gpu", "3090", "--", *"llama-server -m llama-3.1-8b -md qwen3-0.6b -hfd nobody/nothing".split())
    assert done.returncode == 2
    assert "two draft models" in done.stderr


@pytest.mark.parametrize(
    ("own", "gpus", "piped"),
    [
        (None, 2, True), (None, 1, False), (Settings(gpu_layers=99), 2, True), (Settings(gpu_layers=32), 2, False),
        (Settings(split=False), 2, False), (Settings(cpu_experts=1), 2, False), (Settings(overrides=(("exps", "CPU"),)), 2, False),
        (Settings(cache_on_cpu=True), 2, False),
    ],
)  # fmt: skip
def test_which_commands_run_gpus_one_behind_the_other(own: Settings | None, gpus: int, piped: bool) -> None:
    """llama.cpp 0c1e57098, src/llama-context.cpp: `pipeline_parallel`."""
    model = spec("llama-3.1-8b")
    assert model is not None
    assert in_pipeline(model, own, gpus) is piped


def test_two_gpus_keep_inputs_in_four_copies(cli: Run) -> None:
    base = "llama-server -m llama-3.1-8b -c 65536 -np 1"
    piped, plain = (asked(cli, "2x3090", base + more)["per_gpu"]["activation_bytes"] for more in (" -ngl 33", " -ngl 33 -ot x=CPU"))
    # What llama.cpp 63d93d17 reserves on the first, which holds more layers.
    assert (piped, plain) == (750821376, 234891264)


def test_mtp_layers_draft_in_a_context_of_their_own(cli: Run) -> None:
    """A log of 2026 (Qwen3.6 27B Q4_K_M, one slot of 32,768 tokens, three drafted): the file's buffer 15,339.44 MiB with its MTP layer, the
    cache 2,048, states of four tokens 598.5, the draft's cache 128, and compute buffers 154.02 and 130.02."""
    command = "llama-server -m qwen3.5-27b -c 32768 -np 1 --spec-type draft-mtp"
    found = asked(cli, "3090", command, "--engine-version", "b10800")
    assert found["per_gpu"]["weights_bytes"] / MIB == pytest.approx(15339.44, rel=0.001)
    assert found["per_gpu"]["kv_needed_bytes"] / MIB == pytest.approx(2048 + 598.5 + 128, rel=0.001)
    assert found["per_gpu"]["activation_bytes"] / MIB == pytest.approx(154.02 + 130.02, rel=0.15)
    assert found["options"]["used"]["--spec-type"] == "draft-mtp"
    other = asked(cli, "3090", "llama-server -m qwen3.5-27b -c 32768 --spec-type draft-eagle3")
    assert other["options"]["unmodelled"] == ["--spec-type"]


def test_a_draft_of_another_file_type(cli: Run) -> None:
    base = "llama-server -m llama-3.1-8b -c 4096 -np 1"
    alone = asked(cli, "3090", base)["per_gpu"]["weights_bytes"]
    drafted = asked(cli, "3090", f"{base} -hfd llama-3.2-1b:Q8_0")["per_gpu"]["weights_bytes"]
    own = cli("fit", "llama-3.2-1b", "--gpu", "3090", "--engine", "llama.cpp", "--quant", "q8_0", "--offline", "--format", "json")
    assert drafted - alone == json.loads(own.stdout)["per_gpu"]["weights_bytes"]


@pytest.mark.parametrize(
    ("flags", "tokens", "sequences"),
    [
        ("-c 40960", 40960, 1), ("-c 40960 -np 4", 40960, 4), ("-c 40960 -np 4 -kvu", 40960, 1), ("-c 40960 -ngl 0", 40960, 1),
        ("-c 1000 -np 1", 1000, 1),
    ],
)  # fmt: skip
def test_a_server_holds_what_its_command_allocates(cli: Run, flags: str, tokens: int, sequences: int) -> None:
    """src/llama-context.cpp: `n_ctx` cells, however much more there is room for."""
    found = asked(cli, "3090", f"llama-server -m qwen3-8b {flags}")
    assert found["kv_tokens"] == tokens
    assert found["max_concurrency"] == sequences
