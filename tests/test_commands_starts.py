"""Commands that start otherwise than their words suggest, or not at all: drafts, reserves, devices, releases; what `kv` refuses too."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from archcalc.arch import parse
from archcalc.engines.llamacpp.lengths import served_length
from archcalc.engines.llamacpp.ollama import asked_for, cache_of
from archcalc.engines.llamacpp.settings import Settings
from archcalc.zoo import config
from conftest import Run

GIB = 1 << 30
SGLANG = "python -m sglang.launch_server --model-path"
EAGLE3 = {
    "architectures": ["LlamaForCausalLMEagle3"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "num_hidden_layers": 1, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "draft_vocab_size": 32000,
    "max_position_embeddings": 131072, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
}  # fmt: skip


def asked(cli: Run, gpu: str, command: str, *options: str, code: int | None = None) -> dict[str, Any]:
    done = cli("fit", "--offline", "--gpu", gpu, *options, "--format", "json", "--", *shlex.split(command))
    assert done.stdout, done.stderr
    assert code is None or done.returncode == code
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(cli: Run, gpu: str, command: str, *options: str) -> str:
    done = cli("fit", "--offline", "--gpu", gpu, *options, "--", *shlex.split(command))
    assert (done.returncode, done.stdout) == (2, ""), done.stdout
    return done.stderr


# Drafts


@pytest.mark.parametrize(
    ("model", "flags", "version", "slot"),
    [
        # SGLang 0.5.23 and 0.5.14, srt/model_executor/pool_configurator.py: a layer that drafts counts as one of the target's.
        ("llama-3.1-8b", "--speculative-algorithm EAGLE3 --speculative-draft-model-path draft.json", "0.5.23", 33 * 8 * 256 * 2),
        ("llama-3.1-8b", "--speculative-algorithm EAGLE3 --speculative-draft-model-path draft.json", "0.5.14", 33 * 8 * 256 * 2),
        # Before, none counts but DFlash's, which has rows of its own: here 4 heads of 128.
        ("llama-3.1-8b", "--speculative-algorithm EAGLE3 --speculative-draft-model-path draft.json", "0.5.13", 32 * 8 * 256 * 2),
        ("llama-3.1-8b", "--speculative-algorithm DFLASH --speculative-draft-model-path narrow.json", "0.5.23", (32 * 8 + 4) * 256 * 2),
        ("llama-3.1-8b", "--speculative-algorithm STANDALONE --speculative-draft-model-path narrow.json", "0.5.23", 33 * 8 * 256 * 2),
        # MTP of DeepSeek: 61 layers of 576, and one more.
        ("deepseek-v3", "--tp 8 --speculative-algorithm EAGLE", "0.5.23", 62 * 576 * 2),
        ("deepseek-v3", "--tp 8", "0.5.23", 61 * 576 * 2),
        # Qwen3.5's MTP layer is written into the draft's own config alone: 16 layers with caches of 64.
        ("qwen3.5-27b", "--speculative-algorithm NEXTN", "0.5.23", 16 * 4 * 512 * 2),
    ],
)  # fmt: skip
def test_a_request_needs_of_a_draft_what_a_slot_of_the_pool_has(
    cli: Run, tmp_path: Path, model: str, flags: str, version: str, slot: int
) -> None:
    (tmp_path / "draft.json").write_text(json.dumps(EAGLE3))
    (tmp_path / "narrow.json").write_text(json.dumps({**EAGLE3, "num_key_value_heads": 4}))
    command = f"{SGLANG} {model} {flags} --context-length"
    gpu = "8xh200" if "--tp 8" in flags else "h200"
    found, longer = (asked(cli, gpu, f"{command} {n}", "--engine-version", version) for n in (8192, 16384))
    needed = [each["per_gpu"]["kv_needed_bytes"] for each in (found, longer)]
    assert needed[1] - needed[0] == 8192 * slot
    if model != "qwen3.5-27b":
        assert found["per_gpu"]["kv_room_bytes"] / found["kv_tokens"] == pytest.approx(slot, rel=1e-4)
    done = cli("kv", "--offline", "--format", "json", "--engine-version", version, "--", *shlex.split(f"{command} 8192"))
    assert json.loads(done.stdout)["bytes_per_token"] == slot


@pytest.mark.parametrize(("share", "fits"), [("0.75", True), ("0.725", False), ("0.72", False)])
def test_a_context_that_the_pool_is_too_small_for_does_not_fit(cli: Run, tmp_path: Path, share: str, fits: bool) -> None:
    (tmp_path / "draft.json").write_text(json.dumps(EAGLE3))
    command = (
        f"{SGLANG} llama-3.1-8b --context-length 131072 --speculative-algorithm EAGLE3 --speculative-draft-model-path draft.json"
    )
    found = asked(cli, "l40s", f"{command} --mem-fraction-static {share}")
    assert (found["fits"], found["kv_tokens"] >= 131072) == (fits, fits)
    assert found["max_context_tokens"] <= found["kv_tokens"]


MTP = """--speculative-config '{"method": "mtp", "num_speculative_tokens": 2}'"""


@pytest.mark.parametrize(
    ("command", "gpu", "said"),
    [
        # vLLM 0.11 to 0.33, config/speculative.py `SpeculativeConfig.__post_init__`.
        (f"vllm serve qwen3-8b --max-model-len 16384 {MTP}", "h100", "Unsupported speculative method: 'mtp'"),
        (f"vllm serve gpt-oss-120b -tp 2 {MTP}", "2xh100", "Unsupported speculative method: 'mtp'"),
        # llama.cpp 0c1e57098, src/llama-context.cpp `llama_init_from_model`: "model doesn't contain MTP layers".
        ("llama-server -m qwen3-8b -c 8192 --spec-type draft-mtp", "h100", "failed to create MTP context"),
    ],
)
def test_mtp_layers_that_are_not_there_stop_the_start(cli: Run, command: str, gpu: str, said: str) -> None:
    found = asked(cli, gpu, command, code=1)
    assert not found["fits"] and not found["start"]["starts"] and said in found["start"]["limit"]
    done = cli("kv", "--offline", "--", *shlex.split(command))
    assert done.returncode == 2 and said in done.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        # SGLang 0.5.23: srt/arg_groups/speculative_hook.py, srt/managers/tp_worker.py `_init_model_config`.
        ("--speculative-algorithm EAGLE", "the model has no MTP layers"),
        ("--speculative-algorithm NEXTN", "the model has no MTP layers"),
        ("--speculative-algorithm EAGLE3", "needs a draft model"),
        ("--speculative-algorithm STANDALONE", "needs a draft model"),
        ("--speculative-algorithm DFLASH", "needs a draft model"),
    ],
)
def test_sglang_drafts_with_layers_or_a_model(cli: Run, flags: str, said: str) -> None:
    command = f"{SGLANG} qwen3-8b {flags}"
    assert said in refused(cli, "h100", command)
    assert said in cli("kv", "--offline", "--", *command.split()).stderr
    assert asked(cli, "h100", f"{SGLANG} qwen3-8b --speculative-algorithm NGRAM")["fits"]


@pytest.mark.parametrize("command", [f"vllm serve deepseek-v3 -tp 8 {MTP}", f"{SGLANG} deepseek-v3 --tp 8 --speculative-algorithm EAGLE",
                                     f"vllm serve qwen3-next-80b-a3b -tp 8 {MTP}", f"vllm serve qwen3.5-27b {MTP}"])  # fmt: skip
def test_mtp_layers_that_are_there_draft(cli: Run, command: str) -> None:
    assert asked(cli, "8xh200", command)["start"]["starts"]


# SGLang's reserve


@pytest.mark.parametrize(
    ("flags", "serves"),
    [
        # Of one layer 16,384 tokens take 2 bytes each of the residual, the input (5,120 each), both projections and their product
        # (3 x 25,600): 2.66 GiB. 0.99 leaves 0.8 GiB of 78.6.
        ("--mem-fraction-static 0.99 --context-length 32768 --chunked-prefill-size 16384", False),
        ("--mem-fraction-static 0.97 --context-length 32768 --chunked-prefill-size 16384", False),
        ("--mem-fraction-static 0.96 --context-length 32768 --chunked-prefill-size 16384", True),
        # Shorter chunks, and prompts, take less.
        ("--mem-fraction-static 0.99 --context-length 32768 --chunked-prefill-size 2048", True),
        ("--mem-fraction-static 0.99 --context-length 2048 --chunked-prefill-size 16384", True),
    ],
)
def test_a_share_that_leaves_less_than_a_chunk_takes_serves_no_prompt(cli: Run, flags: str, serves: bool) -> None:
    found = asked(cli, "h100", f"{SGLANG} qwen3-32b {flags}")
    assert found["fits"] is serves
    if not serves:
        assert "runs out of memory on a prompt" in found["start"]["limit"]
        lower = found["start"]["flag"].rpartition(" ")[2]
        assert (
            asked(cli, "h100", f"{SGLANG} qwen3-32b {flags.replace('0.99', lower).replace('0.97', lower)}")["start"]["limit"]
            is None
        )


# llama-server

YARN = "--rope-scaling yarn --rope-scale 4 --yarn-orig-ctx 32768"


@pytest.mark.parametrize(
    ("flags", "served"),
    [
        # src/llama-context.cpp `llama_init_from_model`: n_ctx_train = n_ctx_orig_yarn / rope_freq_scale.
        (YARN, 131072),
        ("--rope-scaling yarn --rope-freq-scale 0.25 --yarn-orig-ctx 32768", 131072),
        ("--rope-scaling yarn --rope-scale 2 --yarn-orig-ctx 32768", 65536),
        ("--rope-scaling yarn --rope-scale 4", 163840),
        ("--rope-scaling yarn", 40960),
        ("--rope-scaling linear --rope-scale 4", 40960),
        ("--rope-scale 4", 40960),
        ("", 40960),
    ],
)
def test_yarn_lengthens_what_is_served(cli: Run, flags: str, served: int) -> None:
    found = asked(cli, "3090", f"llama-server -m Qwen3-8B-Q4_K_M.gguf -c 131072 -np 1 -ctk q8_0 -ctv q8_0 {flags}")
    said = [note for note in found["notes"] if "serves no more than" in note]
    assert bool(said) is (served < 131072)
    assert all(f"{served:,}" in note for note in said)


def test_yarn_of_the_file_itself_changes_nothing() -> None:
    own = Settings(rope_kind="yarn", rope_scale=0.25)
    scaled = {**config("qwen3-8b"), "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}}
    trained = parse(scaled).facts.context_tokens
    assert served_length(parse(scaled), own) == trained
    assert served_length(parse(scaled), own._replace(rope_scale=0.125)) == 262144


@pytest.mark.parametrize("flags", ["--rope-scale 0", "--rope-freq-scale -1", "--rope-scale x", "--rope-freq-scale nan"])
def test_a_scale_is_a_number_above_0(cli: Run, flags: str) -> None:
    assert "a number above 0 was expected" in refused(cli, "3090", f"llama-server -m qwen3-8b {flags}")


CARDS, MOE = "1x4090,1x3060", "llama-server -m qwen3-30b-a3b -c 32768 -np 1"


@pytest.mark.parametrize(
    ("flags", "gpu"),
    [
        # src/llama.cpp `llama_prepare_model_devices`: one GPU mode keeps the main GPU of the devices that are named.
        ("-sm none", "rtx-4090"),
        ("-sm none -mg 0", "rtx-4090"),
        ("-sm none -mg 1", "rtx-3060-12gb"),
        ("-dev CUDA1", "rtx-3060-12gb"),
        ("-dev CUDA0", "rtx-4090"),
        ("-dev CUDA1,CUDA0 -sm none", "rtx-3060-12gb"),
        ("-dev CUDA1,CUDA0 -sm none -mg 1", "rtx-4090"),
        ("-mg 1", "rtx-4090+rtx-3060-12gb"),
    ],
)
def test_the_gpus_that_a_command_names_are_those_that_are_planned_for(cli: Run, flags: str, gpu: str) -> None:
    found = asked(cli, CARDS, f"{MOE} {flags}", "--quant", "q4_k_m", "--ram", "32GiB")
    assert (found["gpu"], found["plan"]["pp"], found["options"]["unmodelled"]) == (gpu, 1 + ("+" in gpu), [])
    # 17.1 GiB of weights and 3 GiB of cache lie on 23.5 GiB, and not on 11.6.
    assert (found["ram"]["used_bytes"] > 5 * GIB) is (gpu == "rtx-3060-12gb")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("-sm none -mg 2", "GPU 0 to GPU 1"),
        ("-dev CUDA2", "CUDA0 to CUDA1"),
        ("-dev CUDA1 -sm none -mg 1", "of 1 devices"),
        ("-sm none -mg -1", "the CPU alone"),
        ("-dev none", "the CPU alone"),
    ],
)
def test_gpus_that_are_not_there_are_refused(cli: Run, flags: str, said: str) -> None:
    assert said in refused(cli, CARDS, f"{MOE} {flags}", "--quant", "q4_k_m")


@pytest.mark.parametrize(("mode", "fits"), [("layer", True), ("row", False), ("tensor", False)])
def test_fit_moves_nothing_of_weights_in_rows(cli: Run, mode: str, fits: bool) -> None:
    """common/fit.cpp: "changing weight allocation for LLAMA_SPLIT_MODE_ROW not implemented", "not implemented for SPLIT_MODE_TENSOR"."""
    found = asked(cli, "2x3060", f"{MOE} -sm {mode}", "--quant", "q8_0", "--ram", "64GiB")
    assert (found["fits"], "--split-mode" in found["options"]["unmodelled"]) == (fits, not fits)


BARE = [("-fa", "-fa on", "b6325"), ("--flash-attn", "--flash-attn on", "b6325"), ("--log-colors", "--log-colors on", "b6500"),
        ("--color", "--color on", "b7710"), ("--lora-scaled a.gguf 0.5", "--lora-scaled a.gguf:0.5", "b7710"),
        ("--control-vector-scaled a.gguf 0.5", "--control-vector-scaled a.gguf:0.5", "b7710")]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "first"), BARE)
@pytest.mark.parametrize("place", ["{} -c 4096", "-c 4096 {}"])
def test_flags_whose_words_changed_with_a_build(cli: Run, old: str, new: str, first: str, place: str) -> None:
    """common/arg.cpp; ggml-org/llama.cpp#15434 (`-fa`), #15792, #17827, #18056."""
    line = "llama-server -m qwen3-8b " + place
    today = asked(cli, "4090", line.format(new))
    assert not any("refuse it" in note for note in today["notes"])
    bare = asked(cli, "4090", line.format(old))
    assert any(first in note and "refuse it" in note for note in bare["notes"])
    assert "builds up to" in refused(cli, "4090", line.format(old), "--engine-version", "b9500")
    assert asked(cli, "4090", line.format(old), "--engine-version", "b6000")["context_tokens"] == 4096
    assert f"builds from {first}" in refused(cli, "4090", line.format(new), "--engine-version", "b6000")


BENCH = "llama-bench -m qwen3-8b -p 8192"


# Defaults by build. llama-cpp-python 0.3.16's llama.cpp (before #15434), src/llama-model.cpp `llama_model_default_params`: no layers,
# with Metal 999; tools/llama-bench/llama-bench.cpp `cmd_params_defaults`: 99 layers, `flash_attn` false, until #23714 (release b9437).
# #16653 (release b7410) brought `--fit`, and with it the trained length.
@pytest.mark.parametrize(
    ("build", "gpu", "line", "on_gpu", "tokens"),
    [
        ("b6324", "4090", "llama-server -m qwen3-8b", False, 4096),
        ("b6324", "4090", "llama-server -m qwen3-8b -ngl 99", True, 4096),
        ("b6324", "m3-max", "llama-server -m qwen3-8b", True, 4096),
        ("b6325", "4090", "llama-server -m qwen3-8b", True, 4096),
        ("b7409", "4090", "llama-server -m qwen3-8b", True, 4096),
        ("b7410", "4090", "llama-server -m qwen3-8b", True, 40960),
        ("b6324", "4090", BENCH, True, 8192),
    ],
)
def test_defaults_of_layers_and_of_context_by_build(cli: Run, build: str, gpu: str, line: str, on_gpu: bool, tokens: int) -> None:
    found = asked(cli, gpu, line, "--engine-version", build, "--quant", "q4_k_m")
    assert (found["per_gpu"]["weights_bytes"] > 0, found["context_tokens"]) == (on_gpu, tokens)
    assert any("without -ngl" in note for note in found["notes"]) != on_gpu


def test_llama_bench_decides_on_flash_attention_since_b9437(cli: Run) -> None:
    scores = 512 * 32 * 8192 * 4
    for build, written in [("b9436", True), ("b9437", False)]:
        found = asked(cli, "4090", BENCH, "--engine-version", build, "--quant", "q4_k_m")
        assert (found["per_gpu"]["activation_bytes"] >= scores) == written


# Ollama


def kept(name: str, version: str, flash: str = "", dtype: str = "q8_0") -> tuple[bool, str]:
    own = Settings(type_k=dtype, type_v=dtype, runner=version, flash_asked=asked_for(flash))
    found = cache_of(parse(config(name)), own)
    assert found.type_k == found.type_v and (found.type_k == dtype or found.fitted)
    return found.flash, found.type_k


@pytest.mark.parametrize(
    ("name", "version", "flash", "expected"),
    [
        # fs/ggml/ggml.go `FlashAttention` and llm/server.go of each release.
        ("qwen3-8b", "0.9.0", "", (False, "f16")), ("qwen3-8b", "0.9.0", "1", (True, "q8_0")), ("qwen3-8b", "0.9.0", "0", (False, "f16")),
        ("qwen3-8b", "0.12.3", "", (False, "f16")), ("qwen3-8b", "0.12.4", "", (True, "q8_0")), ("qwen3-8b", "0.12.4", "0", (False, "f16")),
        ("qwen3-8b", "0.12.4", "false", (False, "f16")),
        # What Go reads for no boolean is true (envconfig/config.go `BoolWithDefault`).
        ("qwen3-8b", "0.9.0", "off", (True, "q8_0")),
        ("llama-3.1-8b", "0.20.7", "", (False, "f16")), ("llama-3.1-8b", "0.20.7", "1", (True, "q8_0")),
        ("gemma-3-27b", "0.12.5", "", (False, "f16")), ("gemma-3-27b", "0.12.6", "", (True, "q8_0")),
        ("gemma-2-9b", "0.9.0", "1", (True, "q8_0")), ("gemma-2-9b", "0.11.11", "1", (False, "f16")),
        # gpt-oss: by itself from 0.11.8, whatever is asked to 0.12.3, and with no quantized cache from 0.11.5 to 0.12.3.
        ("gpt-oss-20b", "0.11.7", "", (False, "f16")), ("gpt-oss-20b", "0.11.8", "0", (True, "f16")),
        ("gpt-oss-20b", "0.12.3", "1", (True, "f16")), ("gpt-oss-20b", "0.12.4", "", (True, "q8_0")),
        ("gpt-oss-20b", "0.12.4", "0", (False, "f16")),
        # Keys and values of other widths (`SupportsFlashAttention`).
        ("deepseek-v3", "0.12.6", "1", (False, "f16")),
        # Quantized caches came with 0.5.0.
        ("qwen3-8b", "0.4.7", "1", (True, "f16")), ("qwen3-8b", "0.5.0", "1", (True, "q8_0")),
    ],
)  # fmt: skip
def test_ollamas_cache_by_release(name: str, version: str, flash: str, expected: tuple[bool, str]) -> None:
    assert kept(name, version, flash) == expected


def test_a_type_that_ollama_has_not_falls_back() -> None:
    assert kept("qwen3-8b", "0.12.4", "1", "q5_1") == (True, "f16")


@pytest.mark.parametrize(
    ("version", "flash", "size"),
    # 16,384 tokens of 36 layers of 8 heads of 128, twice, in two bytes, or in 34 for 32 elements.
    [("0.9.0", "", 2.25), ("0.9.0", "OLLAMA_FLASH_ATTENTION=0", 2.25), ("0.9.0", "OLLAMA_FLASH_ATTENTION=1", 2.25 * 34 / 64),
     ("0.12.4", "", 2.25 * 34 / 64), ("0.33.0", "", 2.25 * 34 / 64)],
)  # fmt: skip
def test_a_command_of_ollama_keeps_the_cache_that_its_release_does(
    cli: Run, tmp_path: Path, version: str, flash: str, size: float
) -> None:
    (tmp_path / "o.sh").write_text(f"OLLAMA_KV_CACHE_TYPE=q8_0 {flash} OLLAMA_CONTEXT_LENGTH=16384 ollama run qwen3:8b\n")
    words = ("--offline", "--engine-version", version, "--command-file", "o.sh", "--format", "json")
    found = json.loads(cli("fit", "--gpu", "3090", *words).stdout)
    assert (found["fits"], found["per_gpu"]["kv_needed_bytes"] / GIB) == (True, pytest.approx(size))
    made = json.loads(cli("kv", *words).stdout)
    assert made["bytes"] == found["per_gpu"]["kv_needed_bytes"]
    assert all(any("keeps the cache in f16" in note for note in each["notes"]) is (size == 2.25) for each in (found, made))


def test_ollama_since_0_30_starts_llama_server_which_refuses(cli: Run, tmp_path: Path) -> None:
    (tmp_path / "o.sh").write_text("OLLAMA_KV_CACHE_TYPE=q8_0 OLLAMA_FLASH_ATTENTION=0 ollama run qwen3:8b\n")
    done = cli("fit", "--offline", "--gpu", "3090", "--command-file", "o.sh")
    assert done.returncode == 2 and "need flash attention" in done.stderr


# `kv` beside `fit`


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("vllm serve gpt-oss-20b --max-model-len 131072 --disable-sliding-window", "beyond the model's 128"),
        ("vllm serve qwen3-8b --max-model-len 131072", "beyond the model's 40,960"),
        ("vllm serve qwen3-8b --max-num-batched-tokens 64 --max-num-seqs 128", "cannot run 128 sequences"),
        ("vllm serve qwen3-8b -tp 3", "do not divide"),
        ("vllm serve qwen3-8b --quantization awq", "finds no config of awq"),
        (f"{SGLANG} qwen3-8b --context-length 131072", "beyond the model's 40,960"),
        (f"{SGLANG} qwen3-8b --quantization awq", "awq"),
        ("llama-server -m qwen3-8b -c 8192 -np 300", "up to 256 sequences"),
    ],
)
def test_kv_refuses_what_fit_refuses_whatever_the_memory(cli: Run, command: str, said: str) -> None:
    fit = cli("fit", "--offline", "--gpu", "8xh200", "--", *command.split())
    made = cli("kv", "--offline", "--", *command.split())
    assert fit.returncode and said in " ".join((fit.stdout + fit.stderr).split())
    assert (made.returncode, made.stdout) == (2, "") and said in " ".join(made.stderr.split())


@pytest.mark.parametrize(
    "command",
    [
        # Of what a GPU lacks `kv` knows nothing, and memory it has as much as it takes.
        f"{SGLANG} deepseek-v3 --tp 8 --attention-backend trtllm_mla",
        "vllm serve qwen3-235b-a22b",
        "vllm serve qwen3-8b --max-num-batched-tokens 512",
        "mlx_lm.server --model qwen3-8b",
        "ollama run qwen3:8b",
    ],
)
def test_kv_answers_what_some_machine_starts(cli: Run, command: str) -> None:
    assert cli("kv", "--offline", "--", *command.split()).returncode == 0


# Calibrations

HOST = {"engine": "vllm", "gpu": "rtx-4090", "overhead_bytes": 100_000_000, "of": "x", "engine_version": "0.33.0"}
FACTORS = {"factors": {"decode": 1.1}, "spreads": {"decode": 1.2}, "rows": 3, "gpu": "rtx-4090", "engine": "vllm", "source": "x"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        *((json.dumps({**HOST, "overhead_bytes": 0}).replace(": 0", f": {value}"), "overhead_bytes") for value in
          ("1e400", "-1e400", "NaN", '"abc"', "true", "null", "1.5", "[]", "-5000000000", "99999999999999999")),
        *((json.dumps({**HOST, key: value}), key) for key in ("engine", "gpu", "of", "engine_version") for value in (["x"], 3)),
        *((json.dumps({**FACTORS, "factors": {"decode": 0}}).replace(": 0", f": {value}"), "factors.decode") for value in
          ("1e400", "NaN", "-1", "0", '"x"', "true", "1000")),
        *((json.dumps({**FACTORS, "spreads": {"decode": 0}}).replace(": 0", f": {value}"), "spreads.decode") for value in
          ("0.5", "NaN", "1e400")),
        (json.dumps({**FACTORS, "spreads": {}}), "spreads"),
        *((json.dumps({**FACTORS, "rows": rows}), "rows") for rows in (0, -1, True, 1.5, None)),
        *((json.dumps({**FACTORS, key: None}), key) for key in ("gpu", "engine", "source")),
        ("[]", "no factors"), ("[" * 100_000, "not JSON"), ("{", "not JSON"),
    ],
)  # fmt: skip
def test_an_impossible_calibration_is_refused_by_its_key(cli: Run, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "c.json").write_text(text)
    done = cli("fit", "--offline", "--gpu", "4090", "--calibration", "c.json", "--", "vllm", "serve", "qwen3-8b")
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr and "internal error" not in done.stderr


@pytest.mark.parametrize("size", [100_000_000, 0, -50_000_000])
def test_a_host_may_need_more_or_less_than_is_predicted(cli: Run, tmp_path: Path, size: int) -> None:
    (tmp_path / "c.json").write_text(json.dumps({**HOST, "overhead_bytes": size}))
    plain, found = (
        asked(cli, "4090", "vllm serve qwen3-8b --max-model-len 4096", *options) for options in ((), ("--calibration", "c.json"))
    )
    assert found["per_gpu"]["overhead_bytes"] - plain["per_gpu"]["overhead_bytes"] == size


# Ollama has no `--mmproj`: what its library holds of a model has the towers with it (model/models/gemma3/model_vision.go), and of Gemma 3n
# and of text models there are none (model/models/gemma3n).
@pytest.mark.parametrize(
    ("model", "counted"), [("gemma3:27b", True), ("gemma3:1b", False), ("gemma3n:e4b", False), ("qwen3:8b", False)]
)
def test_ollama_loads_the_towers_that_its_library_has(cli: Run, model: str, counted: bool) -> None:
    shown = cli("fit", "--offline", "--gpu", "2x3060", "--", "ollama", "run", model).stdout
    assert ("the projector takes" in shown) == counted
    assert "--mmproj" not in shown


# Ollama, server/sched.go `defaultParallel`: 4 in 0.2.0 and 0.6.5, 2 in 0.7.0 and 0.9.x, 1 since 0.10.0.
@pytest.mark.parametrize(
    ("version", "tried"), [("0.1.20", 1), ("0.2.0", 4), ("0.6.5", 4), ("0.7.0", 2), ("0.9.6", 2), ("0.10.0", 1), ("0.30.0", 1)]
)
def test_requests_at_once_that_ollama_makes_room_for_are_told(cli: Run, version: str, tried: int) -> None:
    command = ("--gpu", "4090", "--offline", "--engine-version", version, "--", "ollama", "run", "llama3.1:8b")
    done = cli("fit", *command)
    assert (f"OLLAMA_NUM_PARALLEL={tried}" in " ".join(done.stdout.split())) == (tried > 1)
    words = (*command[:-3], "env", f"OLLAMA_NUM_PARALLEL={tried}", *command[-3:])
    assert "makes room for" not in cli("fit", *words).stdout
