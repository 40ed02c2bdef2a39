"""Where the GPUs do not hold a model and the CPU's memory is named: what is left there, as few of it as must be."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from conftest import Run

BESIDE = [
    ("gpt-oss-120b", "3090", "64GiB", ["--ctx", "32k"], "--n-cpu-moe", "mxfp4_moe"),
    ("gpt-oss-120b", "3090", "64GiB", [], "--n-cpu-moe", "mxfp4_moe"),
    ("qwen3-235b-a22b", "4090", "128GiB", ["--ctx", "16k"], "--n-cpu-moe", "q4_k_m"),
    ("deepseek-r1", "4090", "512GiB", [], "--n-cpu-moe", "q4_k_m"),
    ("llama-3.3-70b", "4090", "64GiB", ["--ctx", "8k"], "-ngl", "q4_k_m"),
    ("llama-3.3-70b", "4090", "64GiB", ["--ctx", "8k", "--engine", "llama.cpp", "--quant", "q5_k_m"], "-ngl", "q5_k_m"),
    ("gpt-oss-120b", "2x3090", "64GiB", ["--ctx", "32k"], "--n-cpu-moe", "mxfp4_moe"),
]


@pytest.mark.parametrize(
    ("model", "gpu", "ram", "more", "flag", "quant"), BESIDE, ids=[f"{b[0]}-{b[1]}-{b[2]}-{b[3]}" for b in BESIDE]
)
def test_what_the_gpus_do_not_hold_is_left_to_the_cpu(
    cli: Run, model: str, gpu: str, ram: str, more: list[str], flag: str, quant: str
) -> None:
    """llama.cpp's own way with experts and layers; its command, read back, is the same plan, and with one fewer it does not fit."""
    assert cli("fit", model, "--gpu", gpu, *more, "--quant", quant, "--engine", "llama.cpp", "--offline").returncode in (1, 2)
    asked = ("fit", model, "--gpu", gpu, "--ram", ram, *more, "--offline", "-f", "json")
    done = cli(*asked)
    r = json.loads(done.stdout)
    assert done.returncode == 0 and r["fits"] and r["engine"] == "llama.cpp" and r["plan"]["quant"] == quant
    assert 0 < r["ram"]["used_bytes"] <= r["ram"]["budget_bytes"] and "in the CPU's memory, of" in r["verdict"]
    words = shlex.split(r["command"].replace("\\\n", " "))
    n = int(words[words.index(flag) + 1])
    again = json.loads(cli("fit", "--gpu", gpu, "--ram", ram, "--offline", "-f", "json", "--", *words).stdout)
    for figure in ("per_gpu", "ram", "context_tokens", "kv_tokens", "plan"):
        assert again[figure] == r[figure], figure
    words[words.index(flag) + 1] = str(n - 1 if flag == "--n-cpu-moe" else n + 1)
    assert not json.loads(cli("fit", "--gpu", gpu, "--ram", ram, "--offline", "-f", "json", "--", *words).stdout)["fits"]


@pytest.mark.parametrize(
    "asked",
    [
        ("gpt-oss-120b", "--gpu", "3090", "--ram", "24GiB", "--ctx", "8k"),
        ("llama-3.1-405b", "--gpu", "4090", "--ram", "64GiB", "--ctx", "4k"),
        ("gpt-oss-120b", "--gpu", "3090", "--ram", "64GiB", "--ctx", "8k", "--engine", "vllm"),
        ("gpt-oss-120b", "--gpu", "3090", "--ctx", "8k"),
    ],
)
def test_what_neither_holds_does_not_fit(cli: Run, asked: tuple[str, ...]) -> None:
    """With too little of it, none that was named, or an engine that leaves nothing there."""
    done = cli("fit", *asked, "--offline", "-f", "json")
    assert done.returncode == 1 and not json.loads(done.stdout)["fits"]


def test_the_rate_of_the_cpus_memory_bounds_what_lies_there(cli: Run) -> None:
    """A token visits 4 of 128 experts: their share of what lies there is read at its rate, 80 GB/s, with less than 2% beside it."""
    asked = ("fit", "gpt-oss-120b", "--gpu", "3090", "--ram", "64GiB", "--ctx", "32k", "--offline", "-f", "json")
    r = json.loads(cli(*asked, "--ram-bandwidth", "80GB").stdout)
    assert r["decode_tokens_per_s_ceiling"] <= 80e9 / (r["ram"]["used_bytes"] * 0.98 * 4 / 128)
    assert json.loads(cli(*asked).stdout)["decode_tokens_per_s_ceiling"] > r["decode_tokens_per_s_ceiling"]
    alone = cli("fit", "gpt-oss-120b", "--gpu", "3090", "--ram-bandwidth", "80GB", "--offline")
    assert alone.returncode == 2 and "--ram 64GiB" in alone.stderr


def test_a_list_names_what_the_cpus_memory_makes_room_for(cli: Run) -> None:
    """Without a model: what the card and that memory hold together, down to four bits."""
    asked = ("fit", "--gpu", "3090", "--family", "gpt-oss", "--offline")
    with_ram = [json.loads(line) for line in cli(*asked, "--ram", "64GiB", "-f", "jsonl").stdout.splitlines()]
    alone = [json.loads(line) for line in cli(*asked, "-f", "jsonl").stdout.splitlines()]
    (large,) = [r for r in with_ram if r["source"] == "gpt-oss-120b"]
    assert large["fits"] and large["engine"] == "llama.cpp" and 36 << 30 < large["ram_bytes"] <= 64 << 30
    assert [r["fits"] for r in alone if r["source"] == "gpt-oss-120b"] == [False]
    assert "in RAM" in cli(*asked, "--ram", "64GiB").stdout and "in RAM" not in cli(*asked).stdout


@pytest.mark.parametrize(
    ("flags", "layers"),
    [(["-ngl", "40", "--no-kv-offload"], 80), (["-ngl", "41"], 40), (["-ngl", "81"], 0), (["-ngl", "0"], 80)],
)
def test_the_cache_of_layers_in_the_cpus_memory_lies_there(cli: Run, flags: list[str], layers: int) -> None:
    """src/llama-kv-cache.cpp: a layer's cache lies where the layer does; the head counts as one more. 2 x 8 heads x 128 x 2 B a token."""
    words = ["llama-server", "-m", "llama-3.3-70b-Q4_K_M.gguf", "-np", "1", *flags, "-c"]

    def used(tokens: int) -> int:
        r = json.loads(cli("fit", "--gpu", "4xh100", "--offline", "-f", "json", "--", *words, str(tokens)).stdout)
        return int(r["ram"]["used_bytes"])

    assert used(131072) - used(65536) == layers * 65536 * 2 * 8 * 128 * 2
    if layers == 80:
        done = cli("fit", "--gpu", "4xh100", "--ram", "40GiB", "--offline", "-f", "json", "--", *words, "131072")
        assert done.returncode == 1 and "CPU's memory is too small" in json.loads(done.stdout)["verdict"]


@pytest.mark.parametrize(
    "asked",
    [
        "llama-3.1-70b --gpu 4090 --ram 64GiB --ctx 8k --quant q4_k_m",
        "llama-3.1-70b --gpu h100 --ram 192GiB --ctx 8k",
        "qwen3-235b-a22b --gpu 4090 --ram 192GiB --ctx 8k --max-quant q4_k_m",
    ],
)
def test_where_no_engine_is_named_a_storage_that_is_decides_nothing(cli: Run, asked: str) -> None:
    r = json.loads(cli("fit", *asked.split(), "--offline", "-f", "json").stdout)
    assert r["fits"] and r["engine"] == "llama.cpp" and r["plan"]["quant"] == "q4_k_m"


@pytest.mark.parametrize(
    "words",
    [
        "-hf ggml-org/gpt-oss-120b-GGUF -c 32768",
        "-hf ggml-org/gpt-oss-120b-GGUF -c 0 --fit on",
        "-m gpt-oss-120b-mxfp4.gguf -c 65536 -np 2",
        "-hf unsloth/Llama-3.3-70B-Instruct-GGUF:Q4_K_M -c 8192",
    ],
)
def test_what_fit_leaves_to_the_cpu_is_one_verdict(cli: Run, words: str) -> None:
    """`--fit` moves what the GPUs do not hold: with room for that in the CPU's memory it fits by that placement, without room it does not,
    and where that memory is not named the verdict says what it takes, and an option that makes it fit."""

    def asked(*options: str) -> dict[str, Any]:
        done = cli("fit", "--gpu", "4090", *options, "--offline", "-f", "json", "--", "llama-server", *words.split())
        made: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) == made["fits"]
        assert not any("starts all the same" in note for note in made["notes"])
        return made

    large, small, alone = asked("--ram", "64GiB"), asked("--ram", "16GiB"), asked()
    assert large["fits"] and "in the CPU's memory, of 64.0 GiB" in large["verdict"]
    assert any(note.startswith("--fit puts ") for note in large["notes"]) and large["kv_tokens"] == max(
        1, int(words.split("-c ")[1].split(maxsplit=1)[0]) or 131072
    )
    assert not small["fits"] and "the CPU's memory is too small" in small["verdict"]
    assert not alone["fits"] and "of RAM that is not known here (--ram)" in alone["verdict"]
    (way,) = [each["options"] for each in alone["would_fit"] if each["options"].startswith("--ram")]
    assert asked(*way.split())["fits"]


@pytest.mark.parametrize(
    ("command", "tables_alone"),
    [
        ("llama-server -m qwen3-8b -c 8192 -ngl 99", True),
        ("llama-server -m qwen3-8b -c 8192 -ngl 20", False),
        ("llama-server -m qwen3-8b -c 8192 -ngl 99 -nkvo", False),
        ("llama-server -m qwen3-8b -c 8192 -ngl 99 --mlock", True),
        ("llama-server -m qwen3-30b-a3b -c 8192 -ngl 99 --cpu-moe", False),
        ("llama-server -m qwen3-30b-a3b -c 8192 -ngl 99 --n-cpu-moe 40 --no-mmap", False),
        ("llama-server -m qwen3-30b-a3b -c 8192 -ngl 99 -ot exps=CPU", False),
        ("vllm serve qwen3-8b --max-model-len 8192", True),
        ("vllm serve qwen3-8b --max-model-len 8192 --cpu-offload-gb 4", False),
        ("vllm serve qwen3-8b --max-model-len 8192 --kv-offloading-size 8", False),
        ("python -m sglang.launch_server --model-path qwen3-8b --context-length 4096 --cpu-offload-gb 4", False),
        (
            "python -m sglang.launch_server --model-path qwen3-8b --context-length 4096 --enable-hierarchical-cache --hicache-ratio 2",
            False,
        ),
    ],
)
def test_what_lies_in_memory_of_no_known_size_is_told(cli: Run, command: str, tables_alone: bool) -> None:
    """One verdict in every engine: it fits with so much RAM, and with that much named it fits without a word of what is not known."""

    def asked(*options: str) -> dict[str, Any]:
        done = cli("fit", "--gpu", "4090", *options, "--offline", "-f", "json", "--", *command.split())
        made: dict[str, Any] = json.loads(done.stdout)
        assert (done.returncode == 0) == made["fits"]
        return made

    found = asked()
    used, assumed = found["ram"]["used_bytes"], found["ram"]["assumed_bytes"]
    assert found["fits"] and assumed == (0 if tables_alone else used)
    assert ("of RAM that is not known here" in found["verdict"]) is not tables_alone
    named = asked("--ram", f"{-(-max(used, 1) >> 30)}GiB")
    assert named["fits"] and named["ram"]["assumed_bytes"] == 0 and "not known" not in named["verdict"]
    assert named["per_gpu"] == found["per_gpu"]


@pytest.mark.parametrize("flags", [[], ["-c", "0"], ["-np", "2"], ["-np", "3", "-kvu"], ["--fit", "off"]])
@pytest.mark.parametrize("model", ["Qwen/Qwen3-8B-GGUF:Q4_K_M", "ggml-org/gpt-oss-20b-GGUF"])
def test_a_server_allocates_its_context_and_no_more(cli: Run, model: str, flags: list[str]) -> None:
    """Without `-c` and with `-c 0` the trained length is allocated, for each slot but where they share it: the same as if it were named
    (src/llama-context.cpp: `n_ctx` 0 is `n_ctx_train`)."""

    def asked(*more: str) -> dict[str, Any]:
        words = ["llama-server", "-hf", model, *([] if more and "-c" in flags else flags), *more]
        made: dict[str, Any] = json.loads(cli("fit", "--gpu", "h100", "--offline", "-f", "json", "--", *words).stdout)
        return made

    left = asked()
    named = asked("-c", str(left["kv_tokens"]))
    assert left["kv_tokens"] % left["context_tokens"] == 0
    for figure in ("context_tokens", "kv_tokens", "max_concurrency", "per_gpu"):
        assert left[figure] == named[figure], figure


UNUSED = [
    ("llama-3.1-70b --gpu 4090 --ram 64GiB --ctx 32k --engine vllm", "under llama.cpp alone", "--engine llama.cpp"),
    ("qwen3-235b-a22b --gpu 4090 --ram 64GiB --engine sglang", "under llama.cpp alone", "--engine llama.cpp"),
    ("llama-3.1-70b --gpu 4090 --ram 24GiB --ctx 128k --quant q4_k_m", None, "--ram"),
    ("llama-3.1-70b --gpu 4090 --ram 64GiB --ctx 8k --quant bf16", "under llama.cpp alone", "--engine llama.cpp --ram"),
    ("qwen3-235b-a22b --gpu 4090 --ram 32GiB --engine llama.cpp", None, "--quant q2_k --ram"),
    ("llama-3.1-70b --gpu m4-max-36gb --ram 64GiB", "share one memory", None),
    ("qwen3-30b-a3b --gpu 4090 --ram 64GiB --ram-bandwidth 80GB", "nothing in the CPU's memory", None),
    ("qwen3-8b --gpu 4090 --ram 64GiB --engine transformers", "nothing in the CPU's memory", None),
    ("--gpu 4090 --ram 64GiB -- vllm serve Qwen/Qwen3-32B", "under llama.cpp alone", None),
]


@pytest.mark.parametrize(("call", "said", "way"), UNUSED)
def test_a_memory_that_changes_nothing_is_told_and_what_would_take_it_holds(
    cli: Run, call: str, said: str | None, way: str | None
) -> None:
    """No option without effect goes by in silence; where llama.cpp would hold it with this memory, or with more, that is an option that
    fits when it is followed."""
    made = json.loads(cli("fit", "--offline", "-f", "json", *call.split()).stdout)
    assert [note for note in made["notes"] if note.startswith("--ram changes nothing") and said and said in note] or said is None
    if way is None:
        return
    (options,) = [each["options"] for each in made["would_fit"] if each["what"].startswith("under llama.cpp")]
    assert options.startswith(way)
    asked, new = call.split(), options.split()
    for flag, value in zip(new[::2], new[1::2], strict=True):
        if flag in asked:
            asked[asked.index(flag) + 1] = value
        else:
            asked += [flag, value]
    again = json.loads(cli("fit", "--offline", "-f", "json", *asked).stdout)
    assert again["fits"] and again["engine"] == "llama.cpp" and again["ram"]["used_bytes"] > 0


@pytest.mark.parametrize("ram", [[], ["--ram", "64GiB"]])
@pytest.mark.parametrize("flags", ["-c 8192", "-c 0", "", "-c 8192 -ngl 40"])
def test_a_memory_that_cpu_and_gpu_share_is_one(cli: Run, flags: str, ram: list[str]) -> None:
    """39.6 GiB of weights are more than 36 GiB, wherever their layers are placed; 64 GiB hold them."""
    words = ["llama-server", "-m", "Llama-3.3-70B-Instruct-Q4_K_M.gguf", *flags.split()]
    for gpu, fits in (("m4-max-36gb", False), ("m4-max-64gb", flags != "-c 0")):
        done = cli("fit", "--gpu", gpu, *ram, "--offline", "-f", "json", "--", *words)
        made = json.loads(done.stdout)
        assert made["fits"] is fits and made["ram"]["budget_bytes"] is None
        assert fits or "CPU and GPU share" in made["verdict"]
        page = cli("fit", "--gpu", gpu, *ram, "--offline", "--", *words).stdout
        # What is refused whatever the GPU's part has room for holds nothing.
        assert fits or made["per_gpu"]["headroom_bytes"] < 0 or ("would hold" in page and "\nholds" not in page)
        assert any("share one memory" in note for note in made["notes"]) == bool(ram)
        assert fits or not any("wired_limit" in note and "raises" in note for note in made["notes"])
