"""Flags by release, against what the engines' own parsers take."""

from __future__ import annotations

import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.commands.effects import effect, used
from archcalc.commands.flags import read, table
from archcalc.commands.words import of_arguments
from archcalc.errors import ArchcalcError, UsageError


def flags(command: str, version: str | None = None) -> dict[str, Any]:
    return {g.name: g.value for g in read(of_arguments(shlex.split(command)), version).given}


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        # vLLM, utils/argparse_utils.py `FlexibleArgumentParser`: underscores, `=`, dotted keys, `-O3`, readable numbers.
        ("vllm serve a --max_model_len 32768", {"--max-model-len": 32768}),
        ("vllm serve a --max-model-len=32k", {"--max-model-len": 32000}),
        ("vllm serve a --max-model-len 32K", {"--max-model-len": 32768}),
        ("vllm serve a -tp 2 -pp=2", {"--tensor-parallel-size": 2, "--pipeline-parallel-size": 2}),
        ("vllm serve a --no-enable-prefix-caching", {"--enable-prefix-caching": False}),
        ("vllm serve a --enforce-eager", {"--enforce-eager": True}),
        (
            "vllm serve a --speculative-config.method mtp --speculative-config.num_speculative_tokens 2",
            {"--speculative-config": {"method": "mtp", "num_speculative_tokens": 2}},
        ),
        ("vllm serve a -O3", {"--optimization-level": "3"}),
        ("vllm serve a --cudagraph-capture-sizes 1 2 4", {"--cudagraph-capture-sizes": ["1", "2", "4"]}),
        ("vllm serve a --gpu-memory-util 0.8", {"--gpu-memory-utilization": 0.8}),
        # SGLang: argparse, which takes the start of a name.
        (
            "sglang serve --model-path a --tp 4 --mem-fraction-static=0.8",
            {"--model-path": "a", "--tp-size": 4, "--mem-fraction-static": 0.8},
        ),
        # llama.cpp, common/arg.cpp: no `=`, switches with forms of their own, flags that add up.
        (
            "llama-server -m a.gguf -c 8192 -ngl 99 -fa on -ot exps=CPU -ot x=CUDA0",
            {
                "--model": "a.gguf",
                "--ctx-size": 8192,
                "--gpu-layers": "99",
                "--flash-attn": "on",
                "--override-tensor": ["exps=CPU", "x=CUDA0"],
            },
        ),
        ("llama-server -m a.gguf -fa -np 2", {"--model": "a.gguf", "--flash-attn": "on", "--parallel": 2}),
        ("llama-server -m a.gguf --no-kv-unified", {"--model": "a.gguf", "--kv-unified": False}),
        ("llama-bench -m a.gguf -p 512,2048 -fa 1", {"--model": "a.gguf", "--n-prompt": 2048, "--flash-attn": "on"}),
        # tools/llama-bench/llama-bench.cpp `parse_int_range`: lists, ranges with steps, and flags given again.
        (
            "llama-bench -m a.gguf -p 512-4096*2 -n 0 -d 0-10000+4096",
            {"--model": "a.gguf", "--n-prompt": 4096, "--n-gen": 0, "--n-depth": 8192},
        ),
        (
            "llama-bench -m a.gguf -p 512 -p 2048 -pg 8,4 -pg 16,2",
            {"--model": "a.gguf", "--n-prompt": 2048, "-pg": ["8,4", "16,2"]},
        ),
        (
            "llama-bench -m a.gguf -ncmoe 10,20 -fitt 512 -lm mmap",
            {"--model": "a.gguf", "--n-cpu-moe": 10, "--fit-target": 512, "--load-mode": "mmap"},
        ),
        ("mlx_lm.server --model a --prompt-cache-size 4", {"--model": "a", "--prompt-cache-size": 4}),
        ("ollama create a --num_ctx 8192", {"--num_ctx": 8192}),
    ],
)
def test_values(command: str, expected: dict[str, Any]) -> None:
    assert flags(command) == expected


@pytest.mark.parametrize(
    ("command", "version", "said", "hint"),
    [
        ("vllm serve a --max-model-lenn 3", None, "no flag --max-model-lenn", "--max-model-len"),
        # vLLM 0.17.0, engine/arg_utils.py: the first release with it.
        ("vllm serve a --language-model-only", "0.16.0", "it came with 0.17.0", ""),
        ("vllm serve a --num-scheduler-steps 8", "0.20.0", "has it no longer", ""),
        ("llama-bench -m a.gguf -p 4096-512", None, "4096-512 is no range", "first-last"),
        ("llama-bench -m a.gguf -pg 512", None, "-pg 512: tokens of a prompt and of its answer", "512,128"),
        ("vllm serve a --max-num-seqs x", None, "a whole number was expected", "such as"),
        ("vllm serve a --gpu-memory-utilization high", None, "a number was expected", "such as"),
        ("vllm serve a --hf-overrides.x 1 --max-num-seqs 4 --max-num-seqs 8", None, "given twice, as 4 and as 8", "leave one"),
        ("vllm serve a --max-num-seqs", None, "needs a value", ""),
        ("vllm serve a --max-num-seqs --enforce-eager", None, "needs a value", ""),
        ("vllm serve a --speculative-config '{x'", None, "JSON was expected", "quote it"),
        ("sglang serve --model-path a --mem-fraction-statik 1", None, "no flag --mem-fraction-statik", "--mem-fraction-static"),
        ("llama-server -m a -ctx 3", None, "no flag -ctx", ""),
        ("llama-bench -m a --ctx 3", None, "llama-bench has no flag", ""),
        ("ollama create a --num_ctxx 3", None, "no parameter num_ctxx", "--num_ctx"),
    ],
)
def test_one_message(command: str, version: str | None, said: str, hint: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")) as caught:
        flags(command, version)
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("command", "release", "gone"),
    [
        # The newest release read whose `--help` has them all: engine/arg_utils.py, srt/server_args.py.
        ("vllm serve a --num-scheduler-steps 8", "0.10.0", ("--num-scheduler-steps",)),
        ("vllm serve a --swap-space 4", "0.17.0", ("--swap-space",)),
        ("vllm serve a --swap-space 4 --task generate", "0.12.0", ("--swap-space", "--task")),
        ("python -m sglang.launch_server --model-path a --enable-ep-moe", "0.5.4", ("--enable-ep-moe",)),
        ("vllm serve a --max-model-len 4096", None, ()),
    ],
)
def test_a_command_without_a_release_is_of_the_newest_that_takes_it(
    command: str, release: str | None, gone: tuple[str, ...]
) -> None:
    done = read(of_arguments(shlex.split(command)), None)
    assert (done.version, done.gone) == (release, gone)
    if release is not None:
        # What is judged starts: the release found takes the command, and the newest is refused where it is named.
        assert read(of_arguments(shlex.split(command)), release).given == done.given
        with pytest.raises(UsageError, match=gone[0]):
            read(of_arguments(shlex.split(command)), table(done.command.engine).releases[-1])


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_every_flag_that_is_gone_names_a_release_that_has_it(engine: Any) -> None:
    newest = table(engine).at(None)
    start = "vllm serve a" if engine == "vllm" else "python -m sglang.launch_server --model-path a"
    for name, rows in table(engine).rows.items():
        if name in newest or rows[-1].kind not in ("none", "switch") or any(n.startswith(name) for n in newest):
            continue
        done = read(of_arguments(shlex.split(f"{start} {name}")), None)
        assert done.version and name in table(engine).at(done.version), name


def test_flags_that_no_release_has_together_are_refused_with_both() -> None:
    with pytest.raises(UsageError) as caught:
        flags("vllm serve a --swap-space 4 --kv-cache-dtype nvfp4")
    assert all(word in caught.value.message for word in ("--swap-space", "0.33.0", "nvfp4", "0.17.0"))


@pytest.mark.parametrize(
    ("flag", "since"),
    [
        # Read in the first release that has each, and in the one before: engine/arg_utils.py, srt/server_args.py.
        ("--kv-cache-memory-bytes", "0.10.2"),
        ("--decode-context-parallel-size", "0.10.2"),
        ("--enable-expert-parallel", "0.8.0"),
    ],
)
def test_when_a_flag_came(flag: str, since: str) -> None:
    spelled = [r.since for r in table("vllm").rows[flag]]
    assert spelled[0] == since


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp", "mlx"])
def test_every_flag_that_is_used_is_one_of_the_engine(engine: Any) -> None:
    known = set(table(engine).rows)
    if engine == "llama.cpp":
        known |= {"--n-prompt", "--n-gen", "--n-depth", "-pg", "--embeddings"}  # llama-bench has a parser of its own.
    assert used(engine) <= known


def test_effects() -> None:
    assert effect("vllm", "--max-num-seqs") == "used"
    assert effect("vllm", "--port") == "inert"
    assert effect("vllm", "--kv-transfer-config") == "unmodelled"
    assert effect("sglang", "--enable-hisparse") == "unmodelled"


@given(st.lists(st.sampled_from(sorted(table("vllm").at(None))), max_size=4), st.text(max_size=8))
def test_any_flags_are_read_or_refused_in_words(names: list[str], value: str) -> None:
    command = of_arguments(["vllm", "serve", "m", *(w for n in names for w in (n, value))])
    try:
        read(command)
    except ArchcalcError as error:
        assert error.message and error.hint


@pytest.mark.parametrize(
    ("command", "said"),
    [
        # argparse, `_parse_optional`: "ignored explicit argument".
        ("vllm serve a --enforce-eager=True", "--enforce-eager takes no value"),
        ("vllm serve a --no-enable-prefix-caching=true", "takes no value"),
        ("sglang serve --model-path a --disable-cuda-graph=1", "--disable-cuda-graph takes no value"),
        # llama.cpp, common/arg.cpp `common_params_parse_ex`: "invalid argument".
        ("llama-server -m a.gguf --ctx-size=4096", "has no flag so called"),
        ("llama-server -m a.gguf --no-kv-unified=1", "has no flag so called"),
    ],
)
def test_a_value_is_given_as_the_program_takes_it(command: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        flags(command)
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "python -m sglang.launch_server --model-path a/b --max-model-len 8192",
            "vLLM's --max-model-len is --context-length in SGLang",
        ),
        ("python -m sglang.launch_server --model-path a/b --gpu-memory-utilization 0.9", "--mem-fraction-static"),
        ("python -m sglang.launch_server --model-path a/b --max-num-seqs 8", "--max-running-requests"),
        ("python -m sglang.launch_server --model-path a/b --max-num-batched-tokens 8192", "--chunked-prefill-size"),
        ("python -m sglang.launch_server --model-path a/b --enforce-eager", "--disable-cuda-graph"),
        ("python -m sglang.launch_server --model-path a/b -ngl 99", "all layers are on the GPUs"),
        ("python -m sglang.launch_server --model-path a/b --enable-expert-parallel", "--ep-size"),
        ("vllm serve a/b --context-length 8192", "SGLang's --context-length is --max-model-len in vLLM"),
        ("vllm serve a/b --mem-fraction-static 0.8", "--gpu-memory-utilization"),
        ("vllm serve a/b --max-running-requests 8", "--max-num-seqs"),
        ("vllm serve a/b --chunked-prefill-size 8192", "--max-num-batched-tokens"),
        ("vllm serve a/b --disable-cuda-graph", "--enforce-eager"),
        ("vllm serve a/b --disable-radix-cache", "--no-enable-prefix-caching"),
        ("vllm serve a/b --ctx-size 8192", "llama.cpp's --ctx-size is --max-model-len in vLLM"),
        ("vllm serve a/b -c 8192", r"llama.cpp's -c \(--ctx-size\) is --max-model-len"),
        ("vllm serve a/b -ngl 99", "all layers are on the GPUs"),
        ("vllm serve a/b -ctk q8_0", "--kv-cache-dtype"),
        ("llama-server -m a.gguf --max-model-len 8192", "vLLM's --max-model-len is --ctx-size in llama.cpp"),
        ("llama-server -m a.gguf --context-length 8192", "--ctx-size"),
        ("llama-server -m a.gguf --max-num-seqs 8", "--parallel"),
        ("llama-server -m a.gguf --tensor-parallel-size 2", "--split-mode"),
        ("llama-server -m a.gguf --gpu-memory-utilization 0.9", "--fit-target"),
        ("mlx_lm.server --model a/b --max-num-seqs 8", "--decode-concurrency"),
        ("ollama run qwen3:8b --ctx-size 8192", "OLLAMA_CONTEXT_LENGTH"),
        ("ollama run qwen3:8b --max-model-len 8192", "OLLAMA_CONTEXT_LENGTH"),
        ("ollama run qwen3:8b -ngl 99", "num_gpu"),
        ("vllm serve a/b --ctx 8192", "--max-model-len says it"),
        ("vllm serve a/b --num_ctx 8192", "--max-model-len says it"),
        ("vllm serve a/b --num-gpus 2", "--tensor-parallel-size says it"),
        ("llama-server -m a.gguf --num-ctx 8192", "--ctx-size says it"),
        ("python -m sglang.launch_server --model-path a/b --max-seq-len 8192", "--context-length says it"),
    ],
)
def test_a_flag_of_another_engine_is_told_by_its_name_here(line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(of_arguments(line.split()))
    assert re.search(said, caught.value.hint or "")


def test_what_is_alike_is_in_the_tables() -> None:
    from archcalc.commands.alike import ALIKE
    from archcalc.commands.flags import table

    for row in ALIKE:
        for engine, name in row.items():
            assert engine == "ollama" or name in table(engine).at(None), (engine, name)
