"""Commands of engines in the forms that people have them in: each gives the same words, or one message."""

from __future__ import annotations

import json
import shlex
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archcalc.analysis.ask import understand
from archcalc.commands.words import Command, filled, of_arguments, of_text
from archcalc.errors import ArchcalcError, UsageError
from conftest import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """In this process: each call of its own would cost the start of an interpreter."""
    return cli


SERVE = ("Qwen/Qwen3-8B", "--max-model-len", "32768", "--tensor-parallel-size", "2")
WORDS = " ".join(SERVE)


def _is_serve(c: Command) -> None:
    assert (c.engine, c.words) == ("vllm", SERVE)


@pytest.mark.parametrize(
    "text",
    [
        f"vllm serve {WORDS}",
        f"#!/bin/sh\nset -eu\nexec vllm serve {WORDS}\n",
        f"CUDA_VISIBLE_DEVICES=0,1 nohup vllm serve {WORDS} > log.txt 2>&1 &\nsleep 10; curl http://localhost:8000/health",
        'M=Qwen/Qwen3-8B\nvllm serve "$M" \\\n  --max-model-len ${LEN:-32768} \\\n  --tensor-parallel-size 2 | tee log',
        f'ARGS=({" ".join(SERVE[1:])})\nvllm serve Qwen/Qwen3-8B "${{ARGS[@]}}"',
        f"EXTRA='{' '.join(SERVE[1:])}'\nvllm serve Qwen/Qwen3-8B $EXTRA",
        f"bash -lc 'vllm serve {WORDS}'",
        f"docker run --gpus all --ipc=host -p 8000:8000 -e HF_TOKEN=$T --rm -it vllm/vllm-openai:v0.11.0 {WORDS}",
        f"docker run --runtime nvidia --entrypoint bash some/image -c 'vllm serve {WORDS}'",
        f"services:\n  llm:\n    image: vllm/vllm-openai:v0.11.0\n    command: {WORDS}\n  ui:\n    image: web\n",
        f"services:\n  llm:\n    image: vllm/vllm-openai:v0.11.0\n    command: [{', '.join(repr(w) for w in SERVE)}]\n",
        "spec:\n  containers:\n  - name: a\n    image: vllm/vllm-openai:v0.11.0\n    args:\n"
        + "".join(f"    - {w!r}\n" for w in SERVE)
        + "    env: [{name: A, value: '1'}]\n",
        f"spec:\n  containers:\n  - name: a\n    image: x\n    command: [sh, -c]\n    args: ['vllm serve {WORDS}']\n",
        f"FROM vllm/vllm-openai:v0.11.0\nENV A=1\nCMD [{', '.join(chr(34) + w + chr(34) for w in SERVE)}]\n",
        f"FROM some/base\nENTRYPOINT vllm serve {WORDS}\n",
    ],
)
def test_the_same_command_in_every_form(text: str) -> None:
    _is_serve(of_text(text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.bat", "@echo off\r\nllama-server.exe -m D:\\m\\x.gguf ^\r\n  -c 8192\r\npause\r\n"),
        ("a.cmd", 'REM what\nset MODEL=D:\\m\\x.gguf\nset "CTX=8192"\nstart "srv" /b llama-server.exe -m "%MODEL%" -c %CTX%\n'),
        ("a.ps1", '# what\n$MODEL = "D:\\m\\x.gguf"\n$env:CTX = "8192"\n.\\llama-server.exe -m $MODEL `\n  -c $env:CTX\n'),
        ("", "llama-server.exe -m D:\\m\\x.gguf -c 8192"),
    ],
)
def test_a_script_of_windows(name: str, text: str) -> None:
    c = of_text(text, name)
    assert (c.engine, c.words) == ("llama.cpp", ("-m", "D:\\m\\x.gguf", "-c", "8192"))


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("model: a/b\nmax-model-len: 8192\n", "vllm serve --config x.yaml"),
        ("model-path: a/b\ntp-size: 2\n", "launch_server --config"),
    ],
)
def test_a_file_of_flags_is_told_what_it_is(text: str, of: str) -> None:
    with pytest.raises(UsageError) as told:
        of_text(text, "x.yaml")
    assert of in (told.value.hint or "")


@pytest.mark.parametrize(
    ("text", "engine", "version"),
    [
        ("docker run vllm/vllm-openai:v0.10.2 --model a/b", "vllm", "0.10.2"),
        ("docker run vllm/vllm-openai:latest --model a/b", "vllm", None),
        ("docker run lmsysorg/sglang:v0.5.4.post3-cu126 python3 -m sglang.launch_server --model-path a/b", "sglang", "0.5.4.post3"),
        ("docker run ghcr.io/ggml-org/llama.cpp:server-cuda-b6123 -m x.gguf", "llama.cpp", "b6123"),
        ("docker run registry:5000/vllm/vllm-openai:v0.9.1@sha256:00 --model a/b", "vllm", "0.9.1"),
        ("docker run rocm/vllm:rocm6.4_vllm_0.9.2_x vllm serve a/b", "vllm", "0.9.2"),
    ],
)
def test_the_tag_of_an_image_is_its_version(text: str, engine: str, version: str | None) -> None:
    c = of_text(text)
    assert (c.engine, c.version) == (engine, version)


@pytest.mark.parametrize(
    ("words", "engine", "program"),
    [
        ("python3 -m vllm.entrypoints.openai.api_server --model a", "vllm", "vllm serve"),
        ("vllm bench throughput --model a", "vllm", "vllm bench throughput"),
        ("python -m sglang.launch_server --model-path a", "sglang", "python -m sglang.launch_server"),
        ("sglang serve --model-path a", "sglang", "sglang serve"),
        ("./build/bin/llama-server -m a.gguf", "llama.cpp", "llama-server"),
        ("C:\\llama\\llama-server.exe -m a.gguf", "llama.cpp", "llama-server"),
        ("llama-bench -m a.gguf", "llama.cpp", "llama-bench"),
        ("OLLAMA_NUM_PARALLEL=2 ollama run llama3", "ollama", "ollama run"),
        ("mlx_lm.server --model a", "mlx", "mlx_lm.server"),
        ("python -m mlx_lm server --model a", "mlx", "mlx_lm.server"),
        ("uv run --with vllm vllm serve a", "vllm", "vllm serve"),
    ],
)
def test_programs(words: str, engine: str, program: str) -> None:
    c = of_arguments(words.split())
    assert (c.engine, c.program) == (engine, program)


def test_a_modelfile_and_a_program() -> None:
    c = of_text("FROM qwen3:8b\nPARAMETER num_ctx 8192\nSYSTEM hello\n")
    assert (c.engine, c.words) == ("ollama", ("qwen3:8b", "--num_ctx", "8192"))
    c = of_text(
        "from vllm import LLM\nllm = LLM('a/b', tensor_parallel_size=2, enforce_eager=True, enable_prefix_caching=False)\n",
        "run.py",
    )
    assert (c.program, c.words) == (
        "LLM",
        ("--model", "a/b", "--tensor-parallel-size", "2", "--enforce-eager", "--no-enable-prefix-caching"),
    )


def test_the_environment_comes_with_it() -> None:
    c = of_text("export OLLAMA_CONTEXT_LENGTH=8192\nOLLAMA_NUM_PARALLEL=2 ollama run llama3\n")
    assert dict(c.environment) == {"OLLAMA_CONTEXT_LENGTH": "8192", "OLLAMA_NUM_PARALLEL": "2"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "starts no engine"),
        ("echo hello\nls", "starts no engine"),
        ("vllm chat --url x", "starts no engine"),
        ("vllm serve a --max-model-len 10\nvllm serve b --max-model-len 20", "starts 2 engines"),
        ("vllm serve 'a", "single quote"),
        ('vllm serve "a', "double quote"),
        ("A=(A=(A=(", "not closed"),
        ("services: {a: [", "not YAML"),
        ("FROM\nPARAMETER num_ctx 3", "names no model"),
        ("import vllm\nx = LLM(", "not Python"),
        ("\0\0", "not text"),
    ],
)
def test_one_message_for_what_is_no_command(text: str, said: str) -> None:
    with pytest.raises(ArchcalcError, match=said) as caught:
        of_text(text, "f.yaml" if said == "not YAML" else "")
    assert caught.value.hint


@pytest.mark.parametrize("text", ["vllm serve $MODEL", "vllm serve ${MODEL}", "vllm serve $(cat name)", "vllm serve `cat name`"])
def test_what_a_shell_would_put_in_is_named(text: str) -> None:
    c = of_text(text)
    with pytest.raises(UsageError, match="is not known here"):
        c.refuse_unknown(0)


@given(
    st.lists(st.text(alphabet=st.characters(blacklist_characters="\0\n\r", blacklist_categories=("Cs",)), max_size=12), max_size=5)
)
def test_quoted_words_come_back(words: list[str]) -> None:
    import shlex

    c = of_text(f"vllm serve m {' '.join(shlex.quote(w) for w in words)}\n", "run.sh")
    assert c.words == ("m", *words)


@given(st.text(max_size=200))
def test_any_text_gives_a_command_or_one_message(text: str) -> None:
    try:
        of_text(text)
    except ArchcalcError as error:
        assert error.message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("LEN=$((1024*16))\nvllm serve a --max-model-len $LEN", ("a", "--max-model-len", "16384")),
        ("K=1024\nexport LEN=$(( (K + 0) * 4 ))\nvllm serve a --max-model-len ${LEN}", ("a", "--max-model-len", "4096")),
        ("vllm serve a -tp $((7/2))", ("a", "-tp", "3")),
        ("MODEL=${1:-b}\nvllm serve $MODEL", ("b",)),
        ('vllm serve ${MODEL:-$((1<<3))} "$@"', ("8",)),
    ],
)
def test_a_shells_sums_and_defaults_are_read(script: str, words: tuple[str, ...]) -> None:
    found = of_text(script)
    assert (found.words, found.unknown) == (words, ())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("TP=$(nvidia-smi -L | wc -l)\nvllm serve a -tp $TP", "nvidia-smi -L | wc -l"),
        ("D=$(cat dt)\nvllm serve a --kv-cache-dtype $D", "cat dt"),
        ("export D=`cat dt`\nvllm serve a --kv-cache-dtype ${D}", "cat dt"),
        ("T=$((N+1))\nvllm serve a -tp $T", "$((N+1))"),
        ("A=$B; C=${A}x\nvllm serve a --max-model-len $C", "$B"),
        ("T=$((1/0))\nvllm serve a -tp $T", "$((1/0))"),
        ("T=$((9**999999))\nvllm serve a -tp $T", "$((9**999999))"),
        ("from vllm import LLM\nLLM('a', max_model_len=int(input()))", "int(input())"),
        ("from vllm import LLM\nN = 1\nN = 2\nLLM('a', tensor_parallel_size=N)", "N"),
        ("from vllm import LLM\nfor N in (1, 2):\n    LLM('a', tensor_parallel_size=N)", "N"),
        ("from vllm import LLM\ndef f(n):\n    LLM('a', tensor_parallel_size=n)", "n"),
    ],
)
def test_what_only_a_run_would_say_is_named(script: str, said: str, run: Run, tmp_path: Path) -> None:
    place = tmp_path / "script"
    place.write_text(script)
    done = run("fit", "--gpu", "h100", "--command-file", str(place))
    assert done.returncode == 2
    assert said in done.stderr and "not known here" in done.stderr


def test_a_programs_own_names_and_sums_are_read() -> None:
    found = of_text("from vllm import LLM\nM: str = 'a'\nK = 1024\nN = 8 * K\nLLM(M, max_model_len=N * 2, enforce_eager=True)")
    assert found.words == ("--model", "a", "--max-model-len", "16384", "--enforce-eager")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python -m vllm.entrypoints.openai.api_server --port 1 --model a -tp 2", ("a", "--port", "1", "-tp", "2")),
        ("docker run vllm/vllm-openai:v0.11.0 --model=a -tp 2", ("a", "-tp", "2")),
        ("vllm serve --model a -tp 2", ("--model", "a", "-tp", "2")),
    ],
)
def test_a_model_stands_where_vllm_serve_takes_it(command: str, words: tuple[str, ...]) -> None:
    assert of_arguments(command.split()).words == words


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        # vLLM, `parse_args` of `FlexibleArgumentParser`: an error up to 0.11.0, a warning since 0.11.1.
        ("--engine-version 0.11.0 -- vllm serve --model Qwen/Qwen3-8B", 2, "vllm serve Qwen/Qwen3-8B"),
        ("--engine-version 0.11.1 -- vllm serve --model Qwen/Qwen3-8B", 0, ""),
        (
            "--engine-version 0.8.5 -- python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-8B",
            0,
            "vllm serve Qwen/Qwen3-8B",
        ),
        # SGLang's console script came between 0.5.4 and 0.5.6.
        ("--engine-version 0.5.2 -- sglang serve --model-path Qwen/Qwen3-8B", 2, "launch_server"),
        (
            "-- docker run lmsysorg/sglang:v0.5.3 python3 -m sglang.launch_server --model Qwen/Qwen3-8B",
            0,
            "python -m sglang.launch_server",
        ),
        ("--engine-version 0.5.6 -- sglang serve --model-path Qwen/Qwen3-8B", 0, "sglang serve"),
    ],
)
def test_what_is_printed_is_a_program_of_the_release(arguments: str, status: int, said: str, run: Run) -> None:
    done = run("fit", "--gpu", "h100", *arguments.split())
    assert done.returncode == status, done.stderr
    assert said in done.stdout + done.stderr


def test_a_config_file_is_read_in_front_of_the_flags(run: Run, tmp_path: Path) -> None:
    place = tmp_path / "serve.yaml"
    place.write_text("model: Qwen/Qwen3-8B\nmax-model-len: 8192\ntensor_parallel_size: 2\nenforce-eager: true\nport: 1\n")
    for command in (f"vllm serve --config {place} -tp 1", f"vllm serve Qwen/Qwen3-8B -tp=1 --config={place}"):
        found = json.loads(run("fit", "--gpu", "h100", "--format", "json", "--", *command.split()).stdout)
        assert (found["context_tokens"], found["plan"]["tp"], found["gpus"]) == (8192, 1, 1)
        assert found["options"]["used"]["--enforce-eager"] == "true"
        assert "--config" not in found["command"]
    done = run("fit", "--gpu", "h100", "--", "vllm", "serve", "--config", str(tmp_path / "not.yaml"))
    assert done.returncode == 2 and "not.yaml is not here" in done.stderr
    place.write_text("- a\n- b\n")
    done = run("fit", "--gpu", "h100", "--", "vllm", "serve", "a", "--config", str(place))
    assert done.returncode == 2 and "holds no flags" in done.stderr


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("llama3.1:8b-instruct-q8_0", 0, "llama-3.1-8b-instruct in q8_0"),
        ("qwen3:30b-a3b-q4_K_M", 0, "qwen3-30b-a3b in q4_k_m"),
        ("phi4", 0, "phi-4 in q4_k_m"),
        ("phi4:latest", 0, "phi-4 in q4_k_m"),
        # MXFP4 stays so in GGUF.
        ("gpt-oss:20b", 0, "gpt-oss-20b in bf16"),
        # A tag with a size names another model of the family, which the family's first is not.
        ("deepseek-r1:32b", 2, "deepseek-r1-distill-qwen-32b"),
        ("deepseek-coder-v2:16b", 2, "which release of that name and size"),
        ("deepseek-r1:671b", 1, "deepseek-r1 in q4_k_m"),
        ("llama3.1", 2, "names no size"),
        ("kimi-k2:1t-cloud", 2, "Ollama's own machines"),
        ("qwen3:8b --num_ctx 8192", 2, "OLLAMA_CONTEXT_LENGTH"),
    ],
)
def test_a_name_of_ollamas_library_is_the_model_of_that_size_or_none(name: str, status: int, said: str, run: Run) -> None:
    done = run("fit", "--offline", "--gpu", "4090", "--format", "json", "--", "ollama", "run", *name.split())
    assert done.returncode == status, done.stdout + done.stderr
    if status == 2:
        assert said in done.stderr
    else:
        found = json.loads(done.stdout)
        assert f"{found['source']} in {found['plan']['quant']}" == said


def test_a_modelfile_is_started_by_what_reads_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "Modelfile").write_text("FROM qwen3:8b\nPARAMETER num_ctx 8192\n")
    found = json.loads(run("fit", "--gpu", "4090", "--format", "json", "--command-file", str(tmp_path / "Modelfile")).stdout)
    assert found["context_tokens"] == 8192
    made = ("--", "ollama", "create", "mine", "-f", str(tmp_path / "Modelfile"))
    assert json.loads(run("fit", "--gpu", "4090", "--format", "json", *made).stdout)["context_tokens"] == 8192
    assert found["command"] == "ollama create qwen3-8b -f Modelfile && ollama run qwen3-8b"


def test_devices_drafts_and_lengths_of_llama_server(run: Run) -> None:
    head = ("fit", "--offline", "--gpu", "2x4090", "--format", "json", "--", "llama-server")
    one = json.loads(run(*head, "-m", "Llama-3.3-70B-Instruct-Q4_K_M.gguf", "-c", "8192", "-dev", "CUDA0").stdout)
    assert (one["gpus"], one["fits"]) == (1, False)
    drafted = json.loads(run(*head, "-m", "Qwen3-8B-Q4_K_M.gguf", "-c", "8192", "-md", "Qwen3-0.6B-Q8_0.gguf").stdout)
    assert not drafted["options"]["unmodelled"]
    beyond = json.loads(run(*head, "-m", "Qwen3-8B-Q4_K_M.gguf", "-c", "65536", "-np", "1").stdout)
    assert any("no more than the 40,960 trained" in note for note in beyond["notes"])


@pytest.mark.parametrize(
    ("words", "taken", "quant"),
    [
        ("-hf unsloth/Qwen3-8B-GGUF", "qwen3-8b in q4_k_m", "q4_k_m"),
        ("-hf Qwen/Qwen3-8B-GGUF:Q6_K", "qwen3-8b in q6_k", "q6_k"),
        ("-hf bartowski/Qwen_Qwen3-8B-GGUF:Q4_K_L", "qwen3-8b in q4_k_l", "q4_k_l"),
        ("-hf ggml-org/gpt-oss-20b-GGUF", "gpt-oss-20b in mxfp4_moe", "mxfp4_moe"),
        ("-m models/gpt-oss-20b-F16.gguf", "gpt-oss-20b in f16", "f16"),
        ("-m DeepSeek-R1-Q4_K_M-00001-of-00009.gguf", "deepseek-r1 in q4_k_m", "q4_k_m"),
    ],
)
def test_the_repacked_model_that_a_llamacpp_command_names(run: Run, words: str, taken: str, quant: str) -> None:
    """A repository of GGUF files has no config.json: its name says the model, and llama.cpp takes Q4_K_M of it unless a type is named
    (common/arg.cpp `--hf-repo`)."""
    r = run("fit", "--gpu", "8xh100", "--offline", "-f", "json", "--", "llama-server", *words.split(), "-c", "8192")
    found = json.loads(r.stdout)
    assert any(taken in note for note in found["notes"])
    assert found["plan"]["quant"] == quant, found["plan"]


@pytest.mark.parametrize(
    ("command", "taken"),
    [
        ("vllm serve Qwen/Qwen3-235B-A22B-FP8 -tp 8", "qwen3-235b-a22b in fp8"),
        ("vllm serve Qwen/Qwen3-8B-AWQ", "qwen3-8b in awq"),
        ("python -m sglang.launch_server --model-path Qwen/Qwen3-8B-GPTQ-Int4", "qwen3-8b in gptq"),
        # mlx-lm reads MLX's own types alone: what the model itself is published in is nothing to a checkpoint made of it.
        ("mlx_lm.server --model mlx-community/DeepSeek-V3.1-4bit", "deepseek-v3.1 in mlx-4bit"),
        ("vllm serve nvidia/DeepSeek-R1-FP4 -tp 8", None),
        ("vllm serve some/Thing-AWQ", None),
    ],
)
def test_a_quantized_checkpoint_without_the_network(run: Run, command: str, taken: str | None) -> None:
    """Its config is not to be had: the answer is of the bundled model in that storage, and says so; FP4 is each publisher's own."""
    gpu = "m3-ultra-512gb" if command.startswith("mlx") else "8xh100"
    r = run("fit", "--gpu", gpu, "--offline", "-f", "json", "--", *command.split())
    if taken is None:
        assert r.returncode == 2 and "the network" in r.stderr
    else:
        assert any(f"taken for {taken}; its own config" in note for note in json.loads(r.stdout)["notes"])


@pytest.mark.parametrize(
    ("source", "asked"),
    [
        ("Qwen/Qwen3-8B-AWQ-x", ""),
        ("some/Qwen3-8B-AWQ", "archcalc fit qwen3-8b --quant awq"),
        ("some/Qwen3-8B-GPTQ-Int4", "archcalc fit qwen3-8b --quant gptq"),
        ("some/Qwen3-8B-bnb-4bit", "archcalc fit qwen3-8b --engine transformers --quant nf4"),
        ("mlx-community/Qwen3-8B-4bit", "archcalc fit qwen3-8b --engine mlx --quant mlx-4bit"),
        ("some/Qwen3-8B-GGUF:Q5_K_M", "archcalc fit qwen3-8b --engine llama.cpp --quant q5_k_m"),
        ("some/Qwen3-8B-GGUF:UD-Q4_K_XL", "archcalc fit qwen3-8b --engine llama.cpp --quant q4_k_m"),
        ("Qwen3-8B-UD-IQ2_XXS.gguf", "archcalc fit qwen3-8b --engine llama.cpp --quant iq2_xxs"),
    ],
)
def test_a_repacked_checkpoint_that_is_not_here_is_named_by_its_model(run: Run, source: str, asked: str) -> None:
    r = run("inspect", source, "--offline")
    assert r.returncode == 2 and (f"`{asked}`" in r.stderr if asked else "is bundled" not in r.stderr)
    if asked:
        assert run(
            *asked.split()[1:], "--gpu", "apple-m4-max-128gb" if "mlx" in asked else "8xh100", "--ctx", "4k", "--offline"
        ).returncode in (0, 1)


@pytest.mark.parametrize(
    "command",
    [
        "vllm serve qwen3-8b -tp 8 --nnodes 2 --node-rank $RANK --port $PORT",
        "vllm serve qwen3-8b -tp 8 --data-parallel-rank $RANK",
        # The instance of a unit's template, systemd.unit(5), "Specifiers".
        "vllm serve qwen3-8b -tp 8 --port %i",
        "vllm serve qwen3-8b -tp 8 --enable-lora --max-cpu-loras $N",
        "python -m sglang.launch_server --model-path qwen3-8b --tp 8 --nnodes $N --node-rank $RANK",
    ],
)
def test_a_number_that_a_shell_puts_in_and_no_memory_follows_from_is_passed_over(run: Run, tmp_path: Path, command: str) -> None:
    script = tmp_path / "start.sh"
    script.write_text(command + "\n")
    done = run("fit", "--gpu", "8xh100", "--command-file", str(script), "--offline", "-f", "json")
    assert done.returncode == 0 and json.loads(done.stdout)["fits"], done.stderr


@pytest.mark.parametrize(
    "words", ["-hf unsloth/Qwen3-8B-GGUF:Q8_0", "-m models/Qwen3-8B-Q4_K_M.gguf", "-m D:\\\\m\\\\Qwen3-8B-Q4_K_M.gguf"]
)
def test_the_cache_of_a_repacked_model_is_that_of_the_model(run: Run, words: str) -> None:
    """36 layers x 2 x 8 heads x 128 x 2 B a token."""
    done = run("kv", "--offline", "-f", "json", "--", "llama-server", *words.split(), "-c", "8192", "-np", "1")
    found = json.loads(done.stdout)
    assert found["bytes"] == 8192 * 36 * 2 * 8 * 128 * 2
    assert any("taken for qwen3-8b" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fit", "--gpu", "3090", "--", "vllm", "serve", "qwen3-8b", "--ram", "9GiB"], "archcalc's own --ram stands before --"),
        (["fit", "--gpu", "3090", "--", "ollama", "run", "qwen3:8b", "--offline"], "archcalc's own --offline"),
        (["fit", "--gpu", "3090", "--ctx", "8k", "--", "vllm", "serve", "qwen3-8b"], "write --max-model-len into the command"),
        (["kv", "--ctx", "8k", "--", "ollama", "run", "qwen3:8b"], "write OLLAMA_CONTEXT_LENGTH"),
        (["fit", "--gpu", "3090", "--", "mlx_lm.generate", "--model", "qwen3-8b", "--prompt", "x"], "mlx_lm.generate"),
    ],
)
def test_an_option_of_the_other_side_is_told_where_it_stands(run: Run, arguments: list[str], said: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and said in " ".join(done.stderr.split()), done.stderr


def test_the_options_that_stand_before_a_command_are_options(run: Run) -> None:
    from archcalc.commands.flags import OWN

    words = run("fit", "--help").stdout.split()
    assert not [option for option in OWN if option not in words]


def test_an_engine_that_takes_no_unnamed_file_of_a_repository_is_not_answered(run: Run) -> None:
    done = run("fit", "--gpu", "4090", "--offline", "--", "vllm", "serve", "unsloth/Qwen3-8B-GGUF")
    assert done.returncode == 2 and "--engine llama.cpp" in done.stderr


@pytest.mark.parametrize(
    ("words", "quant"),
    [
        ("-hf Qwen/Qwen3-8B-GGUF:Q4_K_M -hff qwen3-8b-q8_0.gguf", "q8_0"),
        ("--hf-repo unsloth/Qwen3-8B-GGUF --hf-file Q6_K/Qwen3-8B-Q6_K-00001-of-00002.gguf", "q6_k"),
        ("-mu https://huggingface.co/Qwen/Qwen3-8B-GGUF/resolve/main/Qwen3-8B-Q5_K_M.gguf?download=true", "q5_k_m"),
        ("-hf unsloth/Qwen3-8B-GGUF:F16", "f16"),
    ],
)
def test_the_file_that_is_loaded_is_the_one_that_is_named(run: Run, words: str, quant: str) -> None:
    """`--hf-file` overrides the type behind the repository's colon (common/arg.cpp); an address is fetched by its last part."""
    found = json.loads(run("fit", "--gpu", "4090", "--offline", "-f", "json", "--", "llama-server", *words.split()).stdout)
    assert found["plan"]["quant"] == quant
    assert any(note.endswith(f"taken for qwen3-8b in {quant}") for note in found["notes"])


def test_a_file_whose_name_says_no_type_is_told(run: Run) -> None:
    words = "llama-server -hf unsloth/Qwen3-8B-GGUF:Q8_0 -hff model.gguf".split()
    found = json.loads(run("fit", "--gpu", "4090", "--offline", "-f", "json", "--", *words).stdout)
    assert any("--hf-file model.gguf: its name says no type" in note for note in found["notes"])


@pytest.mark.parametrize("command", ["fit --gpu 4090", "kv"])
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-hf Qwen/Qwen3-8B:Q4_K_M", "Qwen/Qwen3-8B-GGUF:Q4_K_M"),
        ("-hf meta-llama/Llama-3.1-8B-Instruct", "holds no GGUF file"),
        ("-hf Qwen3-8B-GGUF:Q4_K_M", "a repository was expected"),
        ("--hf-file qwen3-8b-q8_0.gguf", "--hf-file"),
        ("-hf unsloth/Qwen3-8B-GGUF:Q3_K_X", "one of q3_k_"),
        ("-hf unsloth/Qwen3-8B-GGUF:latest", "no type of GGUF files"),
        ("-hf unsloth/Qwen3-8B-GGUF:AWQ", "no type of GGUF files"),
    ],
)
def test_what_llama_server_finds_no_file_of_is_refused(run: Run, command: str, words: str, said: str) -> None:
    """Types that GGUF files have alone, the likest first (common/download.cpp `common_download_get_hf_plan`: "no GGUF files found")."""
    done = run(*command.split(), "--offline", "--", "llama-server", *words.split())
    assert (done.returncode, done.stdout) == (2, "") and said in done.stderr
    assert not {"awq,", "nf4", "mlx-4bit"} & set(done.stderr.split())


@pytest.mark.parametrize(
    ("gpu", "device", "status"),
    [("4090", "CUDA3", 2), ("2x4090", "CUDA2", 2), ("2x4090", "CUDA0,CUDA3", 2), ("2x4090", "CUDA1", 0), ("4x4090", "CUDA3", 0)],
)
def test_a_device_that_the_machine_has_not_is_refused(run: Run, gpu: str, device: str, status: int) -> None:
    """`parse_device_list`: "invalid device" (common/arg.cpp)."""
    words = ["llama-server", "-m", "Qwen3-8B-Q4_K_M.gguf", "-c", "8192", "-dev", device]
    done = run("fit", "--gpu", gpu, "--offline", "--", *words)
    assert done.returncode == status and (status == 0 or f"--device {device}" in done.stderr)


def test_a_type_beside_another_is_refused(run: Run) -> None:
    words = ["llama-server", "-hf", "unsloth/Qwen3-8B-GGUF:Q4_K_M"]
    done = run("fit", "--gpu", "4090", "--offline", "--quant", "q8_0", "--", *words)
    assert done.returncode == 2 and "q4_k_m" in done.stderr and "--quant is q8_0" in done.stderr


@pytest.mark.parametrize(
    ("name", "model", "quant"),
    [
        ("Qwen/Qwen3-32B-AWQ", "qwen3-32b", "awq"),
        ("Qwen/Qwen3-8B-FP8", "qwen3-8b", "fp8"),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", "llama-3.1-8b-instruct", "awq"),
        ("RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8", "llama-3.1-70b-instruct", "fp8"),
        ("RedHatAI/Meta-Llama-3-8B-Instruct-FP8", "llama-3-8b", "fp8"),
    ],
)
def test_one_name_of_a_quantized_repository_has_one_answer(run: Run, name: str, model: str, quant: str) -> None:
    """Without its config it is the bundled model in that storage, as an option and as an engine's own command, by its repository's name of
    today or an earlier one; what is read of tensors is refused, and says the names that answer."""
    machine = ["--gpu", "2xh100", "--offline", "-f", "json"]
    asked = json.loads(run("fit", name, "--ctx", "8k", "--tp", "2", *machine).stdout)
    words = shlex.split(asked["command"])
    own = json.loads(run("fit", *machine, "--", *words).stdout)
    assert words[2] == name and asked["fits"] and own["fits"]
    for figure in ("plan", "per_gpu", "kv_tokens", "context_tokens"):
        assert asked[figure] == own[figure], figure
    taken = f"{name} is not here, and taken for {model} in {quant}"
    assert all(any(taken in note for note in made["notes"]) for made in (asked, own))
    cache = json.loads(run("kv", name, "--engine", "vllm", "--offline", "-f", "json").stdout)
    assert any(taken in note for note in cache["notes"])
    assert cache["bytes"] == json.loads(run("kv", model, "--engine", "vllm", "--offline", "-f", "json").stdout)["bytes"]
    beside = run("compare", model, name, "--offline")
    assert beside.returncode == 0 and taken in beside.stderr
    refused = run("inspect", name, "--offline")
    assert refused.returncode == 2 and f"archcalc fit {model} --quant {quant}" in refused.stderr and "inspect" in refused.stderr


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M", "llama-3.1-8b-instruct"),
        ("lmstudio-community/Meta-Llama-3.1-405B-Instruct-GGUF:Q4_K_M", "llama-3.1-405b-instruct"),
        ("QuantFactory/Meta-Llama-3-8B-Instruct-GGUF:Q4_K_M", "llama-3-8b"),
    ],
)
def test_earlier_names_of_a_repository_are_known_to_quantizers(run: Run, name: str, model: str) -> None:
    """meta-llama/Meta-Llama-3.1-8B-Instruct is what the Hub now calls meta-llama/Llama-3.1-8B-Instruct."""
    found = json.loads(run("fit", "--gpu", "8xh100", "--offline", "-f", "json", "--", "llama-server", "-hf", name).stdout)
    assert any(f"taken for {model} in q4_k_m" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("name", "text", "context", "said"),
    [
        # Ollama, parser/parser.go: a text in quotes takes several lines, and what stands in it sets nothing.
        (
            "Modelfile",
            'FROM qwen3:8b\nSYSTEM """\nPARAMETER num_ctx 40960\nPARAMETER num_gpu 0\n"""\nPARAMETER num_ctx 8192\n',
            8192,
            "",
        ),
        ("Modelfile", 'FROM qwen3:8b\nTEMPLATE "one\nPARAMETER num_ctx 40960\nend"\nPARAMETER num_ctx 8192\n', 8192, ""),
        ("Modelfile", 'FROM qwen3:8b\nMESSAGE user """hello\nFROM llama3"""\nPARAMETER num_ctx 8192\n', 8192, ""),
        ("Modelfile", "FROM qwen3:8b\nADAPTER ./lora.gguf\nPARAMETER num_ctx 8192\n", 8192, "--adapter"),
        ("mine.txt", "FROM qwen3:8b\nADAPTER ./lora.gguf\nSYSTEM hello\n", None, "--adapter"),
        # No more than the trained length is served (llm/server.go), and no memory is taken for more.
        ("Modelfile", "FROM qwen3:8b\nPARAMETER num_ctx 200000\n", 40960, ""),
    ],
)
def test_what_a_modelfile_says(name: str, text: str, context: int | None, said: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    found = run("fit", "--gpu", "4090", "--format", "json", "--command-file", str(tmp_path / name))
    assert found.returncode == 0, found.stderr
    got = json.loads(found.stdout)
    assert context is None or got["kv_tokens"] == context
    assert said in got["verdict"] + json.dumps(got["reads"])
    assert "200,000" not in json.dumps(got["notes"])


@pytest.mark.parametrize(
    ("flags", "cells"),
    [
        # tools/llama-bench/llama-bench.cpp: each test has a context of its own, of a prompt, an answer or a pair, behind its depth.
        ("-pg 32768,1024 -p 0 -n 0", 33792),
        ("-p 32768 -n 32768", 32768),
        ("-p 0 -n 0 -pg 512,128 -pg 4096,512 -d 8192", 12800),
        ("", 512),
    ],
)
def test_each_test_of_a_bench_has_a_context_of_its_own(flags: str, cells: int, run: Run) -> None:
    line = ("--gpu", "4090", "--", "llama-bench", "-m", "Qwen3-8B-Q4_K_M.gguf", *flags.split())
    assert json.loads(run("fit", "--format", "json", *line).stdout)["kv_tokens"] == cells


def test_a_bench_of_no_test(run: Run) -> None:
    found = run("fit", "--gpu", "4090", "--", "llama-bench", "-m", "Qwen3-8B-Q4_K_M.gguf", "-p", "0", "-n", "0")
    assert found.returncode == 2 and "no test" in found.stderr


@pytest.mark.parametrize(
    ("line", "starts", "inert"),
    [
        # Flags of the benches' own: vLLM 0.33, benchmarks/throughput.py and latency.py; SGLang 0.5.23, benchmark/one_batch.py and
        # offline_throughput.py, which older releases have at the top.
        (
            "vllm bench throughput --model qwen3-8b --input-len 512 --num-prompts 100",
            "vllm bench throughput ",
            {"--input-len", "--num-prompts"},
        ),
        (
            "vllm bench latency --model qwen3-8b --batch-size 8 --use-beam-search",
            "vllm bench latency ",
            {"--batch-size", "--use-beam-search"},
        ),
        (
            "python -m sglang.bench_one_batch --model-path qwen3-8b --batch-size 1 8 --input-len 256 --correctness-test",
            "python -m sglang.bench_one_batch ",
            {"--batch-size", "--input-len", "--correctness-test"},
        ),
        (
            "python -m sglang.benchmark.offline_throughput --model-path qwen3-8b --num-prompts 10 --gsp-num-groups 4",
            "python -m sglang.benchmark.offline_throughput ",
            {"--num-prompts", "--gsp-num-groups"},
        ),
    ],
)
def test_a_bench_has_flags_of_its_own(line: str, starts: str, inert: set[str], run: Run) -> None:
    found = run("fit", "--gpu", "h100", "--format", "json", "--", *line.split())
    assert found.returncode == 0, found.stderr
    got = json.loads(found.stdout)
    assert got["command"].startswith(starts)
    assert inert <= set(got["options"]["inert"])


@pytest.mark.parametrize(
    ("image", "version", "tag"),
    [
        ("vllm/vllm-openai:v0.11.0", "0.11.0", ""),
        # docs.nvidia.com, vLLM Release Notes, 25.10 and 26.10: the calendar's numbers, and the vLLM that is inside.
        ("nvcr.io/nvidia/vllm:25.10-py3", "0.10.2", ""),
        ("nvcr.io/nvidia/vllm:26.10-py3", "0.31.0", ""),
        ("nvcr.io/nvidia/vllm:25.09-py3", None, "25.09-py3"),
        ("registry.redhat.io/rhaiis/vllm-cuda-rhel9:3.2.0", None, "3.2.0"),
        ("nvcr.io/nvidia/sglang:25.10-py3", None, "25.10-py3"),
        ("lmsysorg/sglang:v0.5.9-cu130", "0.5.9", ""),
    ],
)
def test_a_tag_that_names_no_release_of_the_engine(image: str, version: str | None, tag: str) -> None:
    server = "python -m sglang.launch_server --model-path qwen3-8b" if "sglang" in image else "vllm serve qwen3-8b"
    command = of_arguments(["docker", "run", "--gpus", "all", image, *server.split()])
    assert (command.version, command.tag) == (version, tag)
    assert any("names no release" in note for note in understand(command).notes) == bool(tag)


@pytest.mark.parametrize(
    ("text", "environment"),
    [
        # Ollama, docs/docker.mdx: the server in a container, and its client beside it.
        (
            "docker run -d --gpus=all -e OLLAMA_CONTEXT_LENGTH=16384 --name o ollama/ollama:0.12.9\ndocker exec -it o ollama run qwen3:8b",
            {"OLLAMA_CONTEXT_LENGTH": "16384"},
        ),
        ("OLLAMA_NUM_PARALLEL=2 ollama serve &\nollama run qwen3:8b", {"OLLAMA_NUM_PARALLEL": "2"}),
        (
            "export OLLAMA_NUM_PARALLEL=2\nollama serve &\nsleep 5\nollama run qwen3:8b\nollama run qwen3:8b",
            {"OLLAMA_NUM_PARALLEL": "2"},
        ),
    ],
)
def test_a_client_is_served_by_the_server_beside_it(text: str, environment: dict[str, str]) -> None:
    command = of_text(text)
    assert (command.program, command.words, dict(command.environment)) == ("ollama run", ("qwen3:8b",), environment)


@pytest.mark.parametrize(
    ("line", "least", "most"),
    [
        # ggml-org/gpt-oss-20b-GGUF, gpt-oss-20b-mxfp4.gguf: 12.11 GB with the embedding, 201,088 x 2,880 in Q8_0, in the CPU's memory.
        ("llama-server -m gpt-oss-20b-mxfp4.gguf", 11.45e9, 11.52e9),
        ("llama-server -hf ggml-org/gpt-oss-20b-GGUF", 11.45e9, 11.52e9),
        # What is published in FP4 stays so: unsloth/gpt-oss-20b-GGUF, 12.1 GB as Q8_0.
        ("llama-server -m gpt-oss-20b-Q8_0.gguf", 11.3e9, 11.6e9),
        # google/gemma-3-12b-it-qat-q4_0-gguf is Q4_0, without its towers: 11.77 G parameters of 4.5 bits, the embedding in Q6_K. Ollama's
        # has them with it, 0.42 G in F16: its gemma3:12b is of 8.1 GB, and ggml-org's file in Q4_K_M of 7.3 GB.
        ("ollama run gemma3:12b-it-qat", 7.4e9, 7.95e9),
    ],
)
def test_a_file_is_what_its_name_says(line: str, least: float, most: float, run: Run) -> None:
    found = run("fit", "--gpu", "3090", "--ram", "64GiB", "--format", "json", "--", *line.split())
    assert least < json.loads(found.stdout)["per_gpu"]["weights_bytes"] < most


def test_clients_of_two_models_are_two_commands() -> None:
    with pytest.raises(UsageError, match="starts 3 engines"):
        of_text("ollama serve &\nollama run qwen3:8b\nollama run llama3.1:8b")


_COMPOSE = "services: {{v: {{image: 'vllm/vllm-openai:v0.20.0', command: '--model a', environment: {{B: '9'}}, env_file: {0}}}}}"
_POD = """
kind: Pod
spec:
  containers:
  - image: vllm/vllm-openai:v0.20.0
    args: [--model, a, --max-model-len, $(LENGTH)]
    {0}
"""
_MAP = "---\nkind: ConfigMap\nmetadata: {name: m}\ndata: {LENGTH: '4096'}\n"


@pytest.mark.parametrize(
    ("text", "files", "environment", "unread"),
    [
        # The Compose specification, 05-services.md `env_file`: a name, names, or records of a path; `environment` stands over it.
        (_COMPOSE.format("e"), {"e": "A=1\nB=2\n# C=3"}, {"A": "1", "B": "9"}, ()),
        (_COMPOSE.format("[e, f]"), {"e": "A='1 2'\n", "f": "A=3"}, {"A": "3", "B": "9"}, ()),
        (_COMPOSE.format("[{path: e}, f]"), {"e": 'export A="1"'}, {"A": "1", "B": "9"}, ("env_file f",)),
        # docker/cli 27, opts/file.go: as they stand.
        ("docker run --env-file e -e B=9 vllm/vllm-openai:v0.20.0 --model a", {"e": "A='1'"}, {"A": "'1'", "B": "9"}, ()),
        ("docker run --env-file e vllm/vllm-openai:v0.20.0 --model a", {}, {}, ("--env-file e",)),
        # Kubernetes, "Define container environment variables": maps that stand in the manifest are read.
        (_POD.format("envFrom: [{configMapRef: {name: m}}]") + _MAP, {}, {"LENGTH": "4096"}, ()),
        (_POD.format("env: [{name: LENGTH, valueFrom: {configMapKeyRef: {name: m, key: LENGTH}}}]") + _MAP, {}, {"LENGTH": "4096"}, ()),
        (_POD.format("envFrom: [{configMapRef: {name: other}}]") + _MAP, {}, {}, ("envFrom configMapRef other",)),
        (_POD.format("envFrom: [{secretRef: {name: s}}]"), {}, {}, ("envFrom secretRef s",)),
    ],
)  # fmt: skip
def test_variables_that_stand_in_files_beside_the_command(
    text: str, files: dict[str, str], environment: dict[str, str], unread: tuple[str, ...]
) -> None:
    made = filled(of_text(text), files.get)
    assert (dict(made.environment), made.unread) == (environment, unread)
    if "LENGTH" in environment:
        assert made.words[-1] == "4096" and not made.unknown


def test_what_is_not_here_to_be_read_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(_COMPOSE.format("e").replace("--model a", "--model qwen3-8b"))
    notes = json.loads(run("fit", "--gpu", "h100", "--command-file", str(tmp_path / "c.yaml"), "--format", "json").stdout)["notes"]
    assert any("env_file e: not here to be read" in note for note in notes)
    (tmp_path / "e").write_text("VLLM_USE_V1=0\n")
    found = run("fit", "--gpu", "h100", "--command-file", str(tmp_path / "c.yaml"), "--format", "json").stdout
    assert "not here" not in found and "VLLM_USE_V1=0" in found
    (tmp_path / "k.yaml").write_text(_POD.format("envFrom: [{configMapRef: {name: other}}]"))
    said = run("fit", "--gpu", "h100", "--command-file", str(tmp_path / "k.yaml"))
    assert said.returncode and "configMapRef other, which may set it" in said.stderr


@pytest.mark.parametrize(
    ("command", "names"),
    [
        # Ollama 0.33, cmd/cmd.go `NewCLI`: `run` reads OLLAMA_EDITOR, OLLAMA_HOST and OLLAMA_NOHISTORY.
        ("OLLAMA_CONTEXT_LENGTH=8192 ollama run qwen3:8b", "OLLAMA_CONTEXT_LENGTH is read"),
        (
            "OLLAMA_NUM_PARALLEL=2 OLLAMA_KV_CACHE_TYPE=q8_0 ollama run qwen3:8b",
            "OLLAMA_NUM_PARALLEL and OLLAMA_KV_CACHE_TYPE are read",
        ),
        ("OLLAMA_HOST=a ollama run qwen3:8b", ""),
    ],
)
def test_variables_of_ollama_s_server_do_nothing_before_its_client(command: str, names: str, run: Run) -> None:
    notes = json.loads(run("fit", "--gpu", "4090", "--format", "json", "--", *command.split()).stdout)["notes"]
    found = [note for note in notes if "`ollama serve`" in note]
    assert (len(found) == 1 and found[0].startswith(names)) if names else not found


# Of each script what bash 5.2 starts with none of the variables set that the script itself does not set, and whether that depends on them.
BRANCHES = [
    ('BIG=1\nL=8192\nif [ "$BIG" = 1 ]; then\n  L=32768\nelse\n  L=4096\nfi', "32768", ""),
    ('BIG=1\nif [ "$BIG" = 1 ]; then L=32768; else L=8192; fi', "32768", ""),
    ('BIG=0\nL=8192\n[ "$BIG" = 1 ] && L=32768', "8192", ""),
    ('BIG=1\nL=8192\n[ "$BIG" = 1 ] && L=32768', "32768", ""),
    ('BIG=1\n[[ "$BIG" == 1 && -n "$BIG" ]] && { L=32768; M=1; } || L=1', "32768", ""),
    ('BIG=1\nL=8192\n[ "$BIG" = 1 ] || L=32768', "8192", ""),
    ("N=3\nif [ $N -gt 4 ]; then L=1\nelif [ $N -ge 3 ]; then L=2\nelse L=3; fi", "2", ""),
    ("N=3\nif ! [ $N -gt 4 ]; then L=1; else L=2; fi", "1", ""),
    ('A=1\nB=\nif [ -n "$A" ]; then if [ -z "$B" ]; then L=1; else L=2; fi; else L=3; fi', "1", ""),
    ("MODE=big\ncase $MODE in big) L=32768;; *) L=8192;; esac", "32768", ""),
    ('MODE=mid\ncase "$MODE" in\n  big|huge)\n    L=32768\n    ;;\n  m*) L=16384 ;;\n  *)\n    L=8192\nesac', "16384", ""),
    ("L=1\nif false; then L=2; fi\ntrue && L=3", "3", ""),
    ("cd /srv && export L=7", "7", ""),
    ("N=2\nif (( N > 1 )); then L=7; else L=8; fi", "7", ""),
    ("N=2\n((N * 2 == 4)) && L=7 || L=8", "7", ""),
    ("if (( N > 1 )); then L=7; else L=8; fi", "8", "N > 1"),
    ('L=8192\nif [ -z "$BIG" ]; then L=32768; fi', "32768", "BIG"),
    ('L=8192\n[ "$BIG" = 1 ] && L=32768', "8192", "BIG"),
    ('L=8192\nif [ "$BIG" = 1 ]; then\n  L=32768\nelif [ "$MID" = 1 ]; then\n  L=16384\nfi', "8192", "BIG"),
    ('if [ "${BIG:-0}" = 1 ]; then L=32768; else L=8192; fi', "8192", "BIG"),
    ("MODE=${1:-big}\ncase $MODE in big) L=32768;; *) L=8192;; esac", "32768", "MODE"),
    ('case "$1" in\n small) L=4096;;\n *) L=8192;;\nesac', "8192", "$1"),
    ("if [[ -f /etc/big ]]; then L=32768; else L=4096; fi", "4096", "/etc/big"),
    ("if nvidia-smi | grep -q H100; then L=32768; else L=4096; fi", "4096", "H100"),
    ('if [ "$BIG" = 1 ]; then K=2; fi\nL=1$K', "1", "BIG"),
    ("for L in 5 6; do", "5", "5 6"),
]


@pytest.mark.parametrize(("script", "length", "depends"), BRANCHES, ids=[script[:50] for script, *_ in BRANCHES])
def test_branches_are_followed_where_their_words_are_known(script: str, length: str, depends: str) -> None:
    command = of_text(f"{script}\nvllm serve m --max-model-len $L\n")
    assert (command.words[1:], command.unknown) == (("--max-model-len", length), ())
    assert bool(command.notes) == bool(depends) and all(depends in note for note in command.notes)


@pytest.mark.parametrize(
    ("script", "words", "notes"),
    [
        ('A=(--seed 1)\nif [ "$B" = 1 ]; then A+=(--enforce-eager); fi\nvllm serve m "${A[@]}"', ("m", "--seed", "1"), 1),
        ('[ -n "$E" ] && X="--enforce-eager"\nvllm serve m $X', ("m",), 1),
        ('[ -n "$E" ] && X=(--enforce-eager)\nvllm serve m "${X[@]}"', ("m",), 1),
        # What no word of the command is made of, and no engine reads, is not told.
        ('[ -n "$E" ] && LOG=x\nvllm serve m', ("m",), 0),
        ('[ -n "$E" ] && export VLLM_USE_V1=0\nvllm serve m', ("m",), 1),
        ('if [ -z "$E" ]; then echo "set E"; exit 1; fi\nvllm serve m', ("m",), 0),
        ("if false; then\n  vllm serve n\nfi\nvllm serve m", ("m",), 0),
        ("B=1\nif [ $B = 1 ]; then vllm serve m; else vllm serve n; fi", ("m",), 0),
        ("bash -c 'B=1; [ $B = 1 ] && C=--enforce-eager; vllm serve m $C'", ("m", "--enforce-eager"), 0),
    ],
)
def test_what_a_branch_changes_is_told(script: str, words: tuple[str, ...], notes: int) -> None:
    command = of_text(script)
    assert (command.words, len(command.notes)) == (words, notes)


def test_engines_of_branches_that_are_not_known_are_several() -> None:
    with pytest.raises(UsageError, match="starts 2 engines"):
        of_text('if [ "$BIG" = 1 ]; then\n  vllm serve m\nelse\n  vllm serve n\nfi')


def test_a_note_of_a_branch_stands_in_the_report(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "run.sh"
    file.write_text('L=8192\n[ "$BIG" = 1 ] && L=32768\nvllm serve qwen3-8b --max-model-len $L\n')
    done = run("fit", "--command-file", str(file), "--gpu", "h100-sxm-80gb", "--format", "json")
    assert any('[ "$BIG" = 1 ]' in note for note in json.loads(done.stdout)["notes"]), done.stdout


KEYWORDS = 'if then elif else fi case in esac ;; ; && || ! { } ( ) [ ] [[ ]] a A=1 A+=(b) $A "$A" for do done |'.split()


@given(st.lists(st.sampled_from([*KEYWORDS, "\n"])))
def test_no_order_of_keywords_is_a_fault(words: list[str]) -> None:
    from archcalc.commands.shell import simple_commands

    with suppress(ArchcalcError):
        simple_commands(" ".join(words))


# bash: a variable that is set to what a command prints is set, and `${NAME:-word}` is `word` only where it printed nothing.
@pytest.mark.parametrize(
    ("script", "value"),
    [
        ("TP=$(nvidia-smi -L | wc -l)\nvllm serve a/b -tp ${TP:-1}", None), ("TP=`nvidia-smi -L`\nvllm serve a/b -tp ${TP:-1}", None),
        ("TP=$(x)\nvllm serve a/b -tp ${TP:=1}", None), ("export TP=$(x)\nvllm serve a/b -tp ${TP-1}", None),
        ("A=$(x)\nTP=$A\nvllm serve a/b -tp ${TP:-1}", None), ("TP=$(x)\nN=${TP:-1}\nvllm serve a/b -tp $N", None),
        ("TP=$(x)\n: ${TP:=1}\nvllm serve a/b -tp $TP", None), ("TP=$(x)\nTP=2\nvllm serve a/b -tp ${TP:-1}", "2"),
        ("vllm serve a/b -tp ${TP:-1}", "1"), ("TP=$1\nvllm serve a/b -tp ${TP:-1}", "1"), ("TP=\nvllm serve a/b -tp ${TP:-1}", "1"),
    ],
)  # fmt: skip
def test_a_default_is_not_taken_for_what_a_command_prints(script: str, value: str | None) -> None:
    from archcalc.commands.shell import simple_commands

    last = simple_commands(script)[-1].words[-1]
    assert (bool(last.unknown), last.text) == (False, value) if value else last.unknown
