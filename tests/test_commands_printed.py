"""The command that is printed is one that runs, and read back it gives the figures that stand above it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from archcalc.analysis.ask import understand
from archcalc.analysis.command import wrapped
from archcalc.commands.change import changed, written
from archcalc.commands.words import Command, of_arguments, of_text
from conftest import Run

COMPOSE = "services:\n  engine:\n    image: {image}\n    environment:\n{variables}    command: {command}\n"
POD = (
    "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: engine\n    image: {image}\n    env:\n{variables}    command:"
    " {command}\n"
)
VLLM, LLAMA = "vllm/vllm-openai:v0.20.0", "ghcr.io/ggml-org/llama.cpp:server-cuda"


def figures(cli: Run, *words: str) -> dict[str, Any]:
    done = cli("fit", "--offline", "--format", "json", *words)
    assert done.returncode in (0, 1), done.stderr
    found = json.loads(done.stdout)
    return {key: found[key] for key in ("fits", "plan", "per_gpu", "ram", "kv_tokens", "context_tokens", "command")}


SHELL: list[tuple[str, str, dict[str, str], str]] = [
    # What stands before --, the release, the variables, the command.
    ("h100", "", {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}, "vllm serve qwen3-8b --max-model-len 131072"),
    ("h100", "0.10.0", {"VLLM_USE_V1": "0"}, "vllm serve qwen3-8b --max-model-len 8192"),
    ("h100", "", {"VLLM_USE_V2_MODEL_RUNNER": "0"}, "vllm serve qwen3-8b --max-model-len 8192"),
    ("h100", "0.20.0", {"VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS": "0"}, "vllm serve qwen3-8b --max-model-len 8192"),
    ("h100", "0.10.0", {"VLLM_USE_FLASHINFER_SAMPLER": "1"}, "vllm serve qwen3-8b --max-model-len 8192"),
    ("h100", "", {"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "1"},
     "python -m sglang.launch_server --model-path qwen3-8b --context-length 65536"),
    ("h100", "", {"SGLANG_MAMBA_SSM_DTYPE": "bfloat16"}, "python -m sglang.launch_server --model-path qwen3.5-9b"),
    ("3090", "", {"LLAMA_ARG_N_CPU_MOE": "10", "LLAMA_ARG_CTX_SIZE": "16384"}, "llama-server -m qwen3-30b-a3b-Q4_K_M.gguf"),
    ("3090", "", {"LLAMA_ARG_CACHE_TYPE_K": "q8_0", "LLAMA_ARG_CACHE_TYPE_V": "q8_0"}, "llama-server -m qwen3-8b-Q4_K_M.gguf -c 32768"),
    ("3090", "", {"OLLAMA_CONTEXT_LENGTH": "32768", "OLLAMA_KV_CACHE_TYPE": "q8_0"}, "ollama run qwen3:14b-q4_K_M"),
    ("3090", "", {"OLLAMA_NUM_PARALLEL": "4", "OLLAMA_CONTEXT_LENGTH": "8192"}, "ollama run qwen3:8b-q4_K_M"),
    ("24GiB", "", {"OLLAMA_GPU_OVERHEAD": "2147483648"}, "ollama run qwen3-8b"),
    ("2x3090", "", {"CUDA_VISIBLE_DEVICES": "1"}, "vllm serve qwen3-8b --max-model-len 8192"),
]  # fmt: skip


@pytest.mark.parametrize(("gpu", "version", "variables", "command"), SHELL, ids=[" ".join(row[2]) for row in SHELL])
def test_read_back_it_gives_the_same_figures(
    cli: Run, tmp_path: Path, gpu: str, version: str, variables: dict[str, str], command: str
) -> None:
    machine = ("--gpu", gpu, *(("--engine-version", version) if version else ()))
    words = [f"{name}={value}" for name, value in variables.items()]
    first = figures(cli, *machine, "--", *words, *shlex.split(command))
    assert shlex.split(first["command"])[: len(words)] == words
    assert figures(cli, *machine, "--", *shlex.split(first["command"])) == first
    # What a variable does is not what the command does without it.
    plain = cli("fit", "--offline", "--format", "json", *machine, "--", *shlex.split(command))
    assert not plain.stdout or figures(cli, *machine, "--", *shlex.split(command)) != first


@pytest.mark.parametrize("form", [COMPOSE, POD], ids=["compose", "pod"])
@pytest.mark.parametrize(
    ("gpu", "image", "variables", "command"),
    [
        ("h100", VLLM, {"VLLM_ALLOW_LONG_MAX_MODEL_LEN": "1"}, "vllm serve qwen3-8b --max-model-len 131072"),
        ("h100", "vllm/vllm-openai:v0.10.0", {"HF_HOME": "/models"}, "vllm serve qwen3-8b --max-model-len 8192"),
        (
            "h100",
            "lmsysorg/sglang:v0.5.20",
            {"SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN": "1"},
            "python3 -m sglang.launch_server --model-path qwen3-8b --context-length 65536",
        ),
        ("3090", LLAMA, {"LLAMA_ARG_N_CPU_MOE": "10"}, "llama-server -m qwen3-30b-a3b-Q4_K_M.gguf -c 8192"),
    ],
)
def test_a_manifest_s_variables_stand_before_its_command(
    cli: Run, tmp_path: Path, form: str, gpu: str, image: str, variables: dict[str, str], command: str
) -> None:
    compose = form is COMPOSE
    given = "".join(
        f"      {name}: '{value}'\n" if compose else f"    - name: {name}\n      value: '{value}'\n"
        for name, value in variables.items()
    )
    text = form.format(image=image, variables=given, command=json.dumps(shlex.split(command)))
    if compose:
        text = text.replace("    command:", "    entrypoint:")
    (tmp_path / "engine.yaml").write_text(text)
    first = figures(cli, "--gpu", gpu, "--command-file", "engine.yaml")
    version = image.rpartition(":v")[2] if ":v" in image else ""
    machine = ("--gpu", gpu, *(("--engine-version", version) if version else ()))
    again = figures(cli, *machine, "--", *shlex.split(first["command"]))
    assert again == first
    assert "HF_HOME" not in first["command"]


PYTHON = [
    'llm = LLM(model="qwen3-8b", tensor_parallel_size=2, max_model_len=8192, gpu_memory_utilization=0.85)',
    'llm = LLM("qwen3-8b", quantization="fp8", enforce_eager=True, enable_prefix_caching=False, max_num_seqs=64)',
    'import os\nos.environ["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] = "1"\nllm = LLM(model="qwen3-8b", max_model_len=131072)',
    'llm = LLM(model="qwen3-8b", hf_overrides={"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings":'
    ' 32768}}, compilation_config={"cudagraph_capture_sizes": [1, 2, 4]}, max_model_len=16384, served_model_name="a, b (c)")',
]


@pytest.mark.parametrize("text", PYTHON)
def test_a_program_is_told_as_python(cli: Run, tmp_path: Path, text: str) -> None:
    (tmp_path / "first.py").write_text(f"from vllm import LLM\n{text}\n")
    machine = ("--gpu", "2xh100" if "parallel" in text else "h100")
    first = figures(cli, *machine, "--command-file", "first.py")
    assert "LLM(model=" in first["command"] and " --" not in first["command"]
    (tmp_path / "again.py").write_text("import os\nfrom vllm import LLM\n" + first["command"] + "\n")
    assert figures(cli, *machine, "--command-file", "again.py") == first
    for width in (40, 80):
        broken = "\n".join(wrapped(first["command"], width))
        compile("import os\n" + broken, "broken.py", "exec")
        assert of_text(f"from vllm import LLM\n{broken}\n", "a.py").words == of_text(
            f"from vllm import LLM\n{text}\n", "a.py"
        ).words or ('LLM("' in text)


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (
            'import sglang as sgl\nengine = sgl.Engine(model_path="qwen3-8b", tp_size=2)',
            "python -m sglang.launch_server --model-path",
        ),
        ('from vllm import AsyncEngineArgs\nargs = AsyncEngineArgs(model="qwen3-8b", max_model_len=8192)', "vllm serve qwen3-8b"),
    ],
)
def test_a_class_that_a_command_stands_for_is_named(cli: Run, tmp_path: Path, text: str, program: str) -> None:
    (tmp_path / "a.py").write_text(text + "\n")
    done = cli("fit", "--offline", "--gpu", "2xh100", "--format", "json", "--command-file", "a.py")
    found = json.loads(done.stdout)
    assert found["command"].startswith(program) and any("is told as the command" in note for note in found["notes"])


def test_what_is_not_known_in_a_program_stays_as_it_is_written() -> None:
    command = of_text("from vllm import LLM\nllm = LLM(model='qwen3-8b', max_model_len=8192, seed=args.seed)\n", "a.py")
    assert written(command) == "LLM(model='qwen3-8b', max_model_len=8192, seed=args.seed)"
    assert changed(command, {"context_tokens": 4096}).startswith("LLM(model='qwen3-8b',")


def test_a_changed_command_keeps_its_variables_and_no_secret() -> None:
    words = "VLLM_USE_V1=0 VLLM_API_KEY=hidden HF_TOKEN=hidden vllm serve qwen3-8b --max-model-len 8192"
    command = of_arguments(shlex.split(words))
    assert changed(command, {"context_tokens": 4096}) == "VLLM_USE_V1=0 vllm serve qwen3-8b --max-model-len 4096"
    assert understand(command).line == "VLLM_USE_V1=0 vllm serve qwen3-8b --max-model-len 8192"
    command = Command(
        "llama.cpp", "llama-server", ("-m", "a.gguf"), (("LLAMA_ARG_API_KEY", "hidden"), ("LLAMA_ARG_CTX_SIZE", "8192"))
    )
    assert written(command) == "LLAMA_ARG_CTX_SIZE=8192 llama-server -m a.gguf"


@pytest.mark.parametrize("kind", ["compose", "k8s", "slurm"])
def test_files_start_it_with_its_variables(cli: Run, kind: str) -> None:
    words = shlex.split("VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 CUDA_VISIBLE_DEVICES=0 vllm serve qwen3-8b --max-model-len 131072")
    done = cli("fit", "--offline", "--gpu", "h100", "--emit", kind, "--", *words)
    assert done.returncode == 0, done.stderr
    assert "CUDA_VISIBLE" not in done.stdout
    if kind == "slurm":
        assert "\nexport VLLM_ALLOW_LONG_MAX_MODEL_LEN=1\n" in done.stdout
        return
    found = next(iter(yaml.safe_load_all(done.stdout)))
    if kind == "compose":
        (service,) = found["services"].values()
        assert service["environment"]["VLLM_ALLOW_LONG_MAX_MODEL_LEN"] == "1" and service["command"][0] == "Qwen/Qwen3-8B"
    else:
        container = found["spec"]["template"]["spec"]["containers"][0]
        assert {"name": "VLLM_ALLOW_LONG_MAX_MODEL_LEN", "value": "1"} in container["env"]


def test_a_file_that_has_no_words_for_variables_is_refused(cli: Run) -> None:
    words = shlex.split("VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 vllm serve qwen3-8b --max-model-len 131072")
    done = cli("fit", "--offline", "--gpu", "h100", "--emit", "helm", "--", *words)
    assert done.returncode == 2 and "no words for VLLM_ALLOW_LONG_MAX_MODEL_LEN=1" in done.stderr
