"""Logs as they come: from their middle on, of several starts, with arguments of any form, ended by a shell's own line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archcalc.commands.logs import read
from archcalc.commands.logs._lines import UNREAD, literal
from conftest import Run

GIB = 1 << 30


def diagnose(cli: Run, folder: Path, text: str, *options: str) -> dict[str, Any]:
    (folder / "engine.log").write_text(text, encoding="utf-8")
    done = cli("diagnose", "engine.log", "--offline", "--format", "json", *options)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def notes(found: dict[str, Any]) -> str:
    return "\n".join(found["notes"])


# From the middle on

# Of Qwen2.5-72B-Instruct over two ranks in FP8 35 GiB lie on each; as it is published, 67.8 GiB.
REFUSED = (
    "(EngineCore pid=200) ERROR 11-20 08:01:51 [core.py:1210] ValueError: To serve at least one request with the model's max seq len"
    " (32768), (5.0 GiB KV cache is needed, which is larger than the available KV cache memory (4.12 GiB). Based on the available memory,"
    " the estimated maximum model length is 26992.\n"
)
TOOK = "INFO 11-20 08:01:20 [model_runner.py:428] Model loading took {} GiB memory and 55.1 seconds\n"
TAIL = f"(Worker_TP0 pid=301) {TOOK}(Worker_TP1 pid=302) {TOOK}".replace("{}", "35.02") + REFUSED


def test_no_change_of_a_command_that_nobody_has_starts(cli: Run, tmp_path: Path) -> None:
    found = diagnose(cli, tmp_path, TAIL, "--gpu", "2xl40s", "--model", "qwen2.5-72b-instruct")
    assert (found["outcome"], found["kind"], found["gpus"], found["remedies"]) == ("refused", "one-request", 2, [])
    assert "--tensor-parallel-size 2 is read from the names of its workers" in notes(found)
    assert "--quant" in notes(found) and "--max-model-len 26992 beside the flags" in notes(found)


def test_an_option_tells_what_the_log_does_not(cli: Run, tmp_path: Path) -> None:
    found = diagnose(cli, tmp_path, TAIL, "--gpu", "2xl40s", "--model", "qwen2.5-72b-instruct", "--quant", "fp8")
    assert found["remedies"]
    for remedy in found["remedies"]:
        assert "--quantization fp8" in remedy["command"] and "--tensor-parallel-size" in remedy["command"]
    assert "whatever else it has" in notes(found)


# Qwen3-8B takes 15.3 GiB in BF16, half of it on each of two ranks; a request of 40,960 tokens 5.6 GiB.
ONE = REFUSED.replace("32768", "40960").replace("5.0 GiB", "5.62 GiB").replace("26992", "29952")


@pytest.mark.parametrize(
    ("text", "options", "told", "remedies"),
    [
        # What is known agrees with what is predicted.
        (TOOK.format(15.27) + ONE, ("--gpu", "a100-sxm4-40gb", "--model", "qwen3-8b"), "whatever else it has", True),
        # Nothing in the log says what its arguments were.
        (ONE.replace("(5.62 GiB KV cache is needed, which", "(the KV cache needed"),
         ("--gpu", "h100", "--model", "qwen3-8b"), "not known", False),
        # Another model than is named.
        (TOOK.format(15.27) + ONE, ("--gpu", "h100", "--model", "qwen3-14b"), "weights on a GPU", False),
        (TOOK.format(15.27) + ONE, ("--gpu", "h100"), "whole list of its command's arguments", False),
        # A cache in half of the bytes.
        (
            TOOK.format(15.27) + ONE.replace("5.62 GiB", "2.81 GiB"),
            ("--gpu", "h100", "--model", "qwen3-8b"), "cache of one request", False
        ),
    ],
)  # fmt: skip
def test_a_tail_of_vllm(cli: Run, tmp_path: Path, text: str, options: tuple[str, ...], told: str, remedies: bool) -> None:
    found = diagnose(cli, tmp_path, text, *options)
    assert told in notes(found) and bool(found["remedies"]) == remedies


def test_a_tail_of_sglang(cli: Run, tmp_path: Path) -> None:
    """Qwen3-32B over two ranks: 30.5 GiB on each in BF16, 16 GiB in FP8."""
    text = (
        "[2026-01-10 10:00:50 TP1] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=7.71 GB, mem usage=16.31 GB.\n"
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.\n"
    )
    found = diagnose(cli, tmp_path, text, "--gpu", "2xl40s", "--model", "qwen3-32b")
    assert not found["remedies"] and "--tp-size 2 is read from the names of its workers" in notes(found)
    found = diagnose(cli, tmp_path, text.replace("16.31", "30.51"), "--gpu", "2xa100-sxm4-40gb", "--model", "qwen3-32b")
    assert all("--tp-size" in remedy["command"] for remedy in found["remedies"])


def test_layers_that_lie_elsewhere_than_the_log_says(cli: Run, tmp_path: Path) -> None:
    """llama.cpp does not print -ot and --n-cpu-moe, and its buffers show that weights stay in RAM."""
    text = (
        "  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes, VRAM: 24124 MiB\n"
        "llama_model_loader: loaded meta data with 35 key-value pairs from /models/Qwen3-30B-A3B-Q4_K_M.gguf (version GGUF V3)\n"
        "load_tensors: offloaded 49/49 layers to GPU\nload_tensors:   CPU_Mapped model buffer size = 9000.00 MiB\n"
        "load_tensors:        CUDA0 model buffer size = 8423.70 MiB\nllama_context: n_ctx         = 262144\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 24576.00 MiB on device 0: cudaMalloc failed: out of memory\n"
    )
    found = diagnose(cli, tmp_path, text, "--model", "qwen3-30b-a3b")
    assert not found["remedies"] and "weights on a GPU: 8.23 GiB in the log" in notes(found)


def test_listed_arguments_that_are_of_other_weights(cli: Run, tmp_path: Path) -> None:
    """A folder whose config is not here, and --model names the model as it was published: stored otherwise."""
    args = "INFO [utils.py:233] non-default args: {'model': '/models/mine', 'max_model_len': 32768, 'tensor_parallel_size': 2}\n"
    found = diagnose(cli, tmp_path, args + TAIL, "--gpu", "2xl40s", "--model", "qwen2.5-72b-instruct")
    assert not found["remedies"] and "weights on a GPU: 35.0 GiB in the log" in notes(found)


RANKS: list[tuple[str, dict[str, Any]]] = [
    # vLLM 0.10 to 0.33, v1/executor/multiproc_executor.py; 0.8 to 0.10 before it; v1/engine/utils.py.
    ("(Worker_TP0 pid=1) {0}(Worker_TP1 pid=2) {0}", {"--tensor-parallel-size": 2}),
    ("(Worker_TP0_EP0 pid=1) {0}(Worker_TP1_EP1 pid=2) {0}", {"--tensor-parallel-size": 2, "--enable-expert-parallel": True}),
    ("(Worker_PP0_TP0 pid=1) {0}(Worker_PP1_TP1 pid=2) {0}", {"--tensor-parallel-size": 2, "--pipeline-parallel-size": 2}),
    ("(VllmWorker TP0 pid=1) {0}(VllmWorker TP3 pid=2) {0}", {"--tensor-parallel-size": 4}),
    ("(VllmWorker rank=1 pid=1) {0}(VllmWorker rank=0 pid=2) {0}", {"--tensor-parallel-size": 2}),
    ("(EngineCore_DP0 pid=1) {0}(EngineCore_DP1 pid=2) {0}", {"--data-parallel-size": 2}),
    # One rank alone is named so where there are several.
    ("(Worker_TP0 pid=1) {0}", {"--tensor-parallel-size": 2}),
    ("(EngineCore pid=1) {0}", {}),
    # SGLang 0.5.23, managers/scheduler.py `configure_scheduler_process`.
    ("[2026-01-10 10:00:09 TP0] {1}[2026-01-10 10:00:09 TP1] {1}", {"--tp-size": 2}),
    ("[2026-01-10 10:00:09 TP0 EP0] {1}[2026-01-10 10:00:09 TP1 EP1] {1}", {"--tp-size": 2, "--ep-size": 2}),
    ("[2026-01-10 10:00:09 PP1 TP3] {1}", {"--pp-size": 2, "--tp-size": 4}),
    ("[2026-01-10 10:00:09] {1}", {}),
]


@pytest.mark.parametrize(("text", "asked"), RANKS)
def test_ranks_by_the_names_of_workers(text: str, asked: dict[str, Any]) -> None:
    begun = "Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=47.71 GB, mem usage=30.78 GB.\n"
    assert dict(read(text.format(TOOK.format(7.6), begun)).asked) == asked


def test_a_list_that_a_terminal_broke_is_whole() -> None:
    whole = VLLM_REFUSED
    broken = "\n".join(line[i : i + 72] for line in whole.splitlines() for i in range(0, max(1, len(line)), 72))
    assert read(broken).asked == read(whole).asked and read(broken).model == "qwen2.5-72b-instruct"
    served = "\n".join(line[i : i + 60] for line in SGLANG_SERVED.splitlines()[:1] for i in range(0, len(line), 60))
    assert read(served + "\n" + SGLANG_SERVED.partition("\n")[2]).asked == read(SGLANG_SERVED).asked


def test_a_list_that_is_cut_is_not_whole(cli: Run, tmp_path: Path) -> None:
    cut = VLLM_REFUSED.replace(", 'quantization': 'fp8'}", ", 'quanti")
    found = diagnose(cli, tmp_path, cut, "--gpu", "2xl40s")
    assert not found["remedies"] and "whole list" in notes(found)


def test_listed_ranks_stand_over_names() -> None:
    text = "INFO non-default args: {'model': 'qwen3-8b', 'tensor_parallel_size': 4}\n(Worker_TP0 pid=1) " + TOOK.format(7.6)
    assert dict(read(text).asked)["--tensor-parallel-size"] == 4


# How it ended

HEAD = (
    "(APIServer pid=1) INFO 11-20 08:00:03 [api_server.py:1896] vLLM API server version 0.20.0\n"
    "(APIServer pid=1) INFO 11-20 08:00:03 [startup.py:96] non-default args: {'model': 'qwen3-14b', 'max_model_len': 16384}\n"
    "(EngineCore pid=200) INFO 11-20 08:00:13 [weight_utils.py:441] Loading weights\n"
)
SERVES = "INFO:     Application startup complete.\n"


@pytest.mark.parametrize("started", [False, True])
@pytest.mark.parametrize(
    ("line", "kind"),
    [
        # bash 5.2, jobs.c `pretty_print_job`: a script's line, and a job's.
        ("run.sh: line 4:   200 Killed                  vllm serve Qwen/Qwen3-14B --max-model-len 16384", "killed"),
        ("/opt/run.sh: line 12:  2001 Killed                  python3 -m vllm.entrypoints.openai.api_server --model x", "killed"),
        ("[1]+  Killed                  vllm serve Qwen/Qwen3-14B", "killed"),
        ("[1]  + 4242 killed     vllm serve Qwen/Qwen3-14B", "killed"),
        ("zsh: killed     vllm serve Qwen/Qwen3-14B", "killed"),
        ("Killed", "killed"),
        ("[12345.678] Out of memory: Killed process 4242 (VLLM::EngineCor) total-vm:1234kB, anon-rss:1kB", "killed"),
        ("vllm.service: Main process exited, code=killed, status=9/KILL", "killed"),
        ("vllm-1 exited with code 137", "killed"),
        ("    Exit Code:    137", "killed"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0. Some of the step tasks have been OOM Killed.", "killed"),
        ("run.sh: line 4:   200 Segmentation fault      (core dumped) vllm serve Qwen/Qwen3-14B", "other"),
        ("run.sh: line 4:   200 Aborted                 (core dumped) vllm serve Qwen/Qwen3-14B", "other"),
        ("zsh: segmentation fault (core dumped)  vllm serve Qwen/Qwen3-14B", "other"),
        ("run.sh: line 4:   200 Bus error               (core dumped) vllm serve Qwen/Qwen3-14B", "shared-memory"),
        # What asks it to end: a signal, its container, a batch system, a terminal.
        ("run.sh: line 4:   200 Terminated              vllm serve Qwen/Qwen3-14B", "ended"),
        ("[1]+  Terminated              vllm serve Qwen/Qwen3-14B", "ended"),
        ("vllm.service: Main process exited, code=killed, status=15/TERM", "ended"),
        ("vllm-1 exited with code 143", "ended"),
        ("vllm-1 exited with code 0", "ended"),
        ("slurmstepd: error: *** JOB 1 ON n1 CANCELLED AT 2026-06-01T12:00:00 DUE TO TIME LIMIT ***", "ended"),
        ("INFO:     Shutting down", "ended"),
        # Codes are 128 and the signal's number; docker ps and inspect, kubectl describe, make, Slurm.
        ("9a3 vllm/vllm-openai \"vllm\" Exited (137) 3 minutes ago", "killed"),
        ("make: *** [Makefile:3: serve] Error 137", "killed"),
        ("srun: error: n1: task 0: Out Of Memory", "killed"),
        ('{"Status":"exited","OOMKilled":true,"ExitCode":137}', "killed"),
        ("    Reason:       OOMKilled", "killed"),
        ('{"Status":"exited","OOMKilled":false,"ExitCode":1}', "other"),
        ("vllm-1 exited with code 139", "other"),
        ("vllm-1 exited with code 1", "other"),
        ("    Exit Code:    134", "other"),
        ("vllm.service: Main process exited, code=exited, status=1/FAILURE", "other"),
        ("Fatal Python error: Segmentation fault", "other"),
        # Errors that no process outlives.
        ("torch.AcceleratorError: CUDA error: an illegal memory access was encountered", "other"),
        ("CUDA error: unspecified launch failure", "other"),
        ("NVRM: Xid (PCI:0000:01:00): 79, pid=4242, name=python3, GPU has fallen off the bus.", "other"),
    ],
)  # fmt: skip
def test_a_shell_s_own_line_ends_it(line: str, kind: str, started: bool) -> None:
    log = read(HEAD + (SERVES if started else "") + line + "\n")
    assert log.failure == kind and log.said == line.strip()


@pytest.mark.parametrize(
    "line",
    [
        '{"Status":"running","OOMKilled":false,"ExitCode":0}',
        'INFO:     127.0.0.1:5000 - "POST /v1/chat/completions HTTP/1.1" 400 Bad Request',
        "(APIServer pid=1) INFO 11-20 09:00:00 [logger.py:39] Received request chatcmpl-1: prompt: 'Killed. Terminated. exit code 137'",
    ],
)
def test_a_server_that_serves_on_did_not_end(line: str) -> None:
    log = read(f"{HEAD}{SERVES}{line}\n")
    assert (log.started, log.failure) == (True, None)


def test_a_process_that_was_killed_is_no_guess(cli: Run, tmp_path: Path) -> None:
    text = HEAD + "run.sh: line 4:   200 Killed                  vllm serve qwen3-14b --max-model-len 16384 > log 2>&1\n"
    found = diagnose(cli, tmp_path, text, "--gpu", "rtx-3060")
    assert (found["outcome"], found["kind"], found["remedies"]) == ("stopped", "killed", [])


def test_a_command_in_the_log_is_read_as_a_shell_does(cli: Run, tmp_path: Path) -> None:
    """With the variables in front of it, and without what is redirected."""
    line = "+ VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 HF_TOKEN=hidden vllm serve qwen3-8b --max-model-len 65536 > /tmp/log 2>&1\n"
    text = line + TOOK.format(15.27) + ONE.replace("40960", "65536").replace("5.62 GiB", "9.0 GiB")
    found = diagnose(cli, tmp_path, text, "--gpu", "rtx-3090")
    assert found["command"] == "VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 vllm serve qwen3-8b --max-model-len 65536"
    assert found["remedies"]
    for remedy in found["remedies"]:
        assert remedy["command"].startswith("VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 vllm serve qwen3-8b ") and ">" not in remedy["command"]


# The card

NAMES = """
NVIDIA GeForce RTX 4060 Ti|16380|rtx-4060-ti-16gb
NVIDIA GeForce RTX 4060 Ti|16071|rtx-4060-ti-16gb
NVIDIA GeForce RTX 4060 Ti|8188|rtx-4060-ti-8gb
NVIDIA GeForce RTX 5060 Ti|16311|rtx-5060-ti-16gb
NVIDIA GeForce RTX 5060 Ti|8151|rtx-5060-ti-8gb
NVIDIA GeForce RTX 3080|12288|rtx-3080-12gb
NVIDIA GeForce RTX 3080|10240|rtx-3080-10gb
NVIDIA H20|97871|h20-96gb
NVIDIA H20|143771|h20-141gb
NVIDIA GeForce RTX 3090|24124|rtx-3090
"""


@pytest.mark.parametrize("row", NAMES.strip().splitlines())
def test_a_name_of_several_sizes_is_the_one_of_the_log(cli: Run, tmp_path: Path, row: str) -> None:
    name, size, device = row.split("|")
    text = (
        f"  Device 0: {name}, compute capability 8.9, VMM: yes, VRAM: {size} MiB\n"
        "llama_model_loader: loaded meta data with 35 key-value pairs from /models/Qwen3-32B-Q4_K_M.gguf (version GGUF V3)\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 18423.70 MiB on device 0: cudaMalloc failed: out of memory\n"
    )
    assert diagnose(cli, tmp_path, text, "--model", "qwen3-32b")["gpu"] == device


def test_a_size_that_is_not_listed_is_told(cli: Run, tmp_path: Path) -> None:
    text = (
        "  Device 0: NVIDIA GeForce RTX 3060, compute capability 8.6, VMM: yes, VRAM: 8192 MiB\n"
        "llama_model_loader: loaded meta data with 35 key-value pairs from /models/Qwen3-14B-Q4_K_M.gguf (version GGUF V3)\n"
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 8423.70 MiB on device 0: cudaMalloc failed: out of memory\n"
    )
    found = diagnose(cli, tmp_path, text, "--model", "qwen3-14b")
    assert "taken for one with the memory that the log states" in notes(found)


# Arguments

ENUM = "<AttentionBackendEnum.FLASHINFER: 'vllm.v1.attention.backends.flashinfer.FlashInferBackend'>"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (ENUM, "FLASHINFER"),
        ("<CUDAGraphMode.FULL: 2>", "FULL"),
        ("<CUDAGraphMode.FULL_AND_PIECEWISE: (2, 1)>", "FULL_AND_PIECEWISE"),
        (f"AttentionConfig(backend={ENUM}, flash_attn_version=None, on=False)", {"backend": "FLASHINFER", "on": False}),
        ("[LoRAModulePath(name='sql', path='/a/sql', base_model_name=None)]", [{"name": "sql", "path": "/a/sql"}]),
        ("{'mode': <CompilationMode.VLLM_COMPILE: 3>, 'sizes': [1, 2]}", {"mode": "VLLM_COMPILE", "sizes": [1, 2]}),
        ("PosixPath('/models')", "/models"),
        ("torch.bfloat16", "bfloat16"),
        ("'it\\'s, {odd'", "it's, {odd"),
        ("<function cmd at 0x7f, 'x'>", UNREAD),
        ("<object object at 0x7f>", UNREAD),
        ("Weird(<x>, [y})", UNREAD),
        ("array([1, 2], dtype=int32)", UNREAD),
        ("{1, 2}", {1, 2}),
        ("-1", -1),
    ],
)
@pytest.mark.parametrize("form", ["{{'a': 1, 'b': {0}, 'model': 'qwen3-8b'}}", "Args(a=1, b={0}, model='qwen3-8b')"])
def test_one_value_loses_no_other(form: str, text: str, value: Any) -> None:
    found = literal(form.format(text))
    assert found is not None
    assert (found["a"], found["model"], found["b"]) == (1, "qwen3-8b", value)


ARGUMENTS = (
    "INFO [api_server.py:1896] vLLM API server version 0.33.0\n"
    "INFO [startup.py:96] non-default args: {'model_tag': 'qwen3-8b', 'model': 'qwen3-8b', 'max_model_len': 40960, 'enable_lora': True,"
    " 'lora_modules': [LoRAModulePath(name='sql', path='/adapters/sql', base_model_name=None)], 'attention_config':"
    f" AttentionConfig(backend={ENUM}, flash_attn_version=None), 'weight_transfer_config': <Secret object at 0x7f>,"
    " 'served_model_name': ['mine']}\n" + TOOK.format(15.3)
)  # fmt: skip


def test_remedies_have_every_argument_or_name_it(cli: Run, tmp_path: Path) -> None:
    found = diagnose(cli, tmp_path, ARGUMENTS + ONE, "--gpu", "rtx-3090")
    assert found["model"] == "qwen3-8b" and found["remedies"]
    for remedy in found["remedies"]:
        assert """--lora-modules '{"name": "sql", "path": "/adapters/sql"}'""" in remedy["command"]
        assert """--attention-config '{"backend": "FLASHINFER"}'""" in remedy["command"]
        assert "--served-model-name mine" in remedy["command"]
    assert "--weight-transfer-config" in notes(found)


def test_a_list_of_all_arguments_says_what_the_commands_lack(cli: Run, tmp_path: Path) -> None:
    text = (
        "[2026-01-10 10:00:00] server_args=ServerArgs(model_path='qwen3-32b', tokenizer_path='qwen3-32b', host='0.0.0.0', port=30000,"
        " tp_size=1, tool_call_parser='qwen25', dtype='auto', mem_fraction_static=0.75, quantization=None, odd=<Odd.A: 'x, y'>)\n"
        "[2026-01-10 10:00:09] Load weight begin. avail mem=78.58 GB\n"
        "[2026-01-10 10:00:50] Load weight end. type=Qwen3ForCausalLM, dtype=torch.bfloat16, avail mem=17.31 GB, mem usage=61.26 GB.\n"
        "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.\n"
    )
    found = diagnose(cli, tmp_path, text, "--gpu", "h100")
    assert found["remedies"] and "--mem-fraction-static" in found["remedies"][0]["command"]
    assert "--host 0.0.0.0" in notes(found) and "--tool-call-parser qwen25" in notes(found)


# Several starts

VLLM_SERVED = (
    "INFO 11-20 08:00:03 [startup.py:38] ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.31.0\n"
    "INFO 11-20 08:00:03 [startup.py:96] non-default args: {'model': 'qwen3-8b', 'max_model_len': 16384, 'max_num_seqs': 32}\n"
    + TOOK.format(15.38)
    + "INFO 11-20 08:01:50 [gpu_worker.py:772] Available KV cache memory: 4.41 GiB\n"
    "INFO 11-20 08:01:50 [kv_cache_utils.py:1147] GPU KV cache size: 64,208 tokens\n" + SERVES
)
VLLM_REFUSED = (
    "INFO 11-20 09:00:03 [startup.py:38] \nINFO 11-20 09:00:03 [startup.py:38] █     █     █▄   ▄█\n"
    "INFO 11-20 09:00:03 [startup.py:38] ▄▄ ▄█ █     █     █ ▀▄▀ █  version 0.33.0\n"
    "INFO 11-20 09:00:03 [startup.py:96] non-default args: {'model': 'qwen2.5-72b-instruct', 'tensor_parallel_size': 2, 'quantization':"
    " 'fp8'}\n" + TAIL
)
ARGS = "[2026-01-10 10:00:00] server_args=ServerArgs(model_path='{}', tp_size={}, context_length=None, mem_fraction_static=0.8)\n"
SGLANG_SERVED = ARGS.format("qwen3-32b", 2) + (
    "[2026-01-10 10:00:09 TP0] Load weight begin. avail mem=78.58 GB\n"
    "[2026-01-10 10:00:50 TP0] Load weight end. type=Qwen3ForCausalLM, avail mem=47.71 GB, mem usage=30.78 GB.\n"
    "[2026-01-10 10:00:50 TP0] KV Cache is allocated. #tokens: 313000, K size: 19.10 GB, V size: 19.10 GB\n"
    "[2026-01-10 10:01:31 TP0] max_total_num_tokens=313000, chunked_prefill_size=8192, context_len=40960\n"
    "[2026-01-10 10:01:32] The server is fired up and ready to roll!\n"
)
SGLANG_REFUSED = ARGS.format("qwen3-14b", 1) + (
    "[2026-01-10 11:00:09] Load weight begin. avail mem=23.58 GB\n"
    "[2026-01-10 11:00:50] Load weight end. type=Qwen3ForCausalLM, avail mem=0.31 GB, mem usage=23.26 GB.\n"
    "RuntimeError: Not enough memory. Please try to increase --mem-fraction-static.\n"
)


def of_llama(model: str, card: str, size: int, end: str) -> str:
    return (
        f"ggml_cuda_init: found 1 CUDA devices:\n  Device 0: {card}, compute capability 8.6, VMM: yes, VRAM: {size} MiB\n"
        f"build: 7406 (abcdef123) with GNU 13.3.0 for Linux x86_64\nmain: loading model\n"
        f"llama_model_loader: loaded meta data with 32 key-value pairs from /models/{model}-Q4_K_M.gguf (version GGUF V3 (latest))\n"
        "load_tensors:        CUDA0 model buffer size = 18423.70 MiB\nllama_context: n_ctx         = 8192\n" + end
    )


LLAMA_SERVED = of_llama(
    "Qwen3-32B",
    "NVIDIA GeForce RTX 3090",
    24124,
    "llama_kv_cache:      CUDA0 KV buffer size =  2048.00 MiB\nmain: server is listening on http://127.0.0.1:8080\n",
)
LLAMA_REFUSED = of_llama(
    "Qwen3-14B",
    "NVIDIA GeForce RTX 4090",
    24078,
    "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 8192.00 MiB on device 0: cudaMalloc failed: out of memory\n"
    "llama_init_from_model: failed to initialize the context: failed to allocate buffer for kv cache\n",
)
OLLAMA_HEAD = (
    'time=2026-01-10T10:00:00 level=INFO source=types.go:130 msg="inference compute" id=GPU-1 library=CUDA'
    ' name="NVIDIA GeForce RTX 3090" total="23.6 GiB" available="23.1 GiB"\n'
)


def of_ollama(model: str, end: str) -> str:
    return (
        f'time=2026-01-10T10:00:01 level=INFO source=server.go:400 msg="starting runner" cmd="/bin/ollama runner --model {model}"\n'
        'time=2026-01-10T10:00:02 level=INFO source=ggml.go:104 msg="" general.architecture=qwen3 file_type=Q4_K_M\n'
        'time=2026-01-10T10:00:03 level=INFO source=device.go:240 msg="model weights" device=CUDA0 size="8.3 GiB"\n'
        f"time=2026-01-10T10:00:04 {end}"
    )


OLLAMA_SERVED = of_ollama("/blobs/first", 'level=INFO source=server.go:1289 msg="llama runner started in 3.0 seconds"\n')
OLLAMA_CUT = of_ollama("/blobs/first", "\n")
OLLAMA_REFUSED = of_ollama(
    "/blobs/second",
    'level=ERROR source=server.go:1 msg="x" error="model requires more system memory (9.0 GiB) than is available (4.0 GiB)"\n',
)


def of_older_ollama(model: str, needed: str, end: str) -> str:
    """0.9: what it takes the model to need stands before it starts (llm/server.go `NewLlamaServer`)."""
    return (
        'time=2025-06-20T10:00:09 level=INFO source=server.go:135 msg="system memory" total="62.7 GiB" free="55.0 GiB"\n'
        f'time=2025-06-20T10:00:09 level=INFO source=server.go:168 msg=offload library=cuda memory.required.full="{needed}"\n'
        'time=2025-06-20T10:00:10 level=WARN source=server.go:214 msg="quantized kv cache requested but flash attention disabled"\n'
        f'time=2025-06-20T10:00:10 level=INFO source=server.go:431 msg="starting llama server" cmd="ollama runner --model {model}"\n'
        "load_tensors:        CUDA0 model buffer size =  8423.70 MiB\n"
        f"time=2025-06-20T10:00:12 level=INFO source=server.go:1 {end}\n"
    )


OLDER = of_older_ollama("/blobs/first", "9.0 GiB", 'msg="llama runner started in 5.01 seconds"')
OLDER_REFUSED = of_older_ollama(
    "/blobs/second", "19.0 GiB", 'msg="x" error="model requires more system memory (9.0 GiB) than is available (4.0 GiB)"'
)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (OLDER, OLDER_REFUSED),
        (VLLM_SERVED, VLLM_REFUSED),
        (VLLM_SERVED.replace(SERVES, ""), VLLM_REFUSED),
        (VLLM_SERVED.split("\n", 2)[2], VLLM_REFUSED),
        (VLLM_REFUSED, VLLM_SERVED),
        (SGLANG_SERVED, SGLANG_REFUSED),
        (SGLANG_SERVED.split("\n", 1)[1], SGLANG_REFUSED),
        (SGLANG_REFUSED, SGLANG_SERVED),
        (LLAMA_SERVED, LLAMA_REFUSED),
        (LLAMA_SERVED.split("main: loading model\n")[1], LLAMA_REFUSED),
        (LLAMA_REFUSED, LLAMA_SERVED),
        (OLLAMA_SERVED, OLLAMA_REFUSED),
        (OLLAMA_CUT, OLLAMA_REFUSED),
        (OLLAMA_REFUSED, OLLAMA_SERVED),
    ],
)
def test_all_that_is_told_is_of_the_last_start(first: str, second: str) -> None:
    head = OLLAMA_HEAD if "level=INFO" in first else ""
    both, last = read(head + first + second), read(head + second)
    assert dict(both.figures)["starts"] == 2
    assert both._replace(figures=()) == last._replace(figures=())


@pytest.mark.parametrize(
    ("first", "begun"),
    [
        (VLLM_SERVED, VLLM_REFUSED.partition("(Worker")[0]),
        (SGLANG_SERVED, SGLANG_REFUSED.splitlines(True)[0]),
        (LLAMA_SERVED, LLAMA_REFUSED.partition("load_tensors")[0]),
    ],
)
def test_a_start_that_has_only_begun_does_not_say_how_it_went(first: str, begun: str) -> None:
    both, one = read(first + begun), read(first)
    assert both._replace(figures=()) == one._replace(figures=())


def test_one_start_is_one() -> None:
    """Lines that several processes of one start print are no starts of their own."""
    servers = VLLM_SERVED.splitlines(True)
    again = [servers[0].replace("pid=1", "pid=2"), servers[0], *servers]
    begun = "INFO [core.py:139] Initializing a V1 LLM engine (v0.31.0) with config: model='qwen3-8b'\n"
    replicas = [f"(EngineCore_DP{n} pid={n}) {begun}{TOOK.format(15.3)}" for n in range(2)]
    for text in ("".join(again), VLLM_SERVED.replace(SERVES, "".join(replicas) + SERVES), LLAMA_SERVED, SGLANG_SERVED):
        assert "starts" not in dict(read(text).figures)


# What Ollama 0.11 and 0.12 print before a runner answers (server/routes.go, llm/memory.go), and of a load that fails (server/sched.go).
RECKONED = (
    'time=2025-09-17T09:46:54 level=INFO source=routes.go:1304 msg="server config" env="map[CUDA_VISIBLE_DEVICES: '
    'OLLAMA_CONTEXT_LENGTH:4096 OLLAMA_NUM_PARALLEL:2]"\n'
    'time=2025-09-17T09:46:54 level=INFO source=types.go:130 msg="inference compute" id=GPU-1 library=cuda name="NVIDIA GeForce RTX 3060"'
    ' total="12.0 GiB" available="11.0 GiB"\n'
    "time=2025-09-17T09:47:54 level=INFO source=server.go:544 msg=offload library=cuda layers.model=49 layers.offload=0"
    ' memory.required.full="10.8 GiB" memory.required.kv="768.0 MiB" memory.weights.total="8.0 GiB" memory.graph.full="348.0 MiB"\n'
)
ENDS = (
    'time=2025-09-17T09:48:54 level=ERROR source=sched.go:489 msg="error loading llama server" error="llama runner process has '
    'terminated: exit status 2"\n',
    'time=2025-09-17T09:48:54 level=INFO source=sched.go:470 msg="Load failed" model=/blobs/x error="llama runner process has '
    'terminated: exit status 2"\n',
)


@pytest.mark.parametrize(("end", "failure"), [("", None), (ENDS[0], "other"), (ENDS[1], "other")])
def test_what_a_server_reckons_is_no_start(end: str, failure: str | None) -> None:
    log = read(RECKONED + end)
    assert (log.engine, log.started, log.failure) == ("ollama", False, failure)
    assert dict(log.asked)["--ctx-size"] == 2 * 4096


# common/common.h of builds before `auto` (pull request 15434): `flash_attn = false`, and a flag without a value; src/llama-context.cpp
# prints which it is, and refuses a quantized V cache without it ("V cache quantization requires flash_attn").
OLD_LLAMA = (
    "build: 5172 (cdedb70a) with cc (Ubuntu) for x86_64-linux-gnu\n"
    "llama_model_load_from_file_impl: using device CUDA0 (NVIDIA GeForce RTX 3090) (0000:01:00.0) - 23869 MiB free\n"
    "llama_model_loader: loaded meta data with 32 key-value pairs from /models/Qwen3-14B-Q4_K_M.gguf (version GGUF V3 (latest))\n"
    "llama_context: n_ctx         = 8192\nllama_context: flash_attn    = {}\n"
)


@pytest.mark.parametrize(
    ("build", "flash", "said"), [("5172", 0, None), ("5172", 1, True), ("6400", 0, "off"), ("6400", "auto", "auto")]
)
def test_flash_attention_is_asked_for_as_the_build_takes_it(build: str, flash: object, said: object) -> None:
    assert dict(read(OLD_LLAMA.replace("5172", build).format(flash)).asked).get("--flash-attn") == said


# 512 tokens x 40 heads x 8,192 cells x 4 B of scores without it, more than all else of the buffer with it.
@pytest.mark.parametrize(
    ("build", "words", "taken", "scores"),
    [
        ("b5172", "", True, True), ("b5172", "-fa", True, False), ("b6324", "", True, True), ("b6325", "", True, False),
        ("b6400", "-fa off", True, True), ("b5172", "-ctk q8_0 -ctv q8_0", False, False), ("b5172", "-ctk q8_0", True, True),
        ("b5172", "-fa -ctk q8_0 -ctv q8_0", True, False), ("b6400", "-ctk q8_0 -ctv q8_0", True, False),
    ],
)  # fmt: skip
def test_flash_attention_is_off_by_default_in_old_builds(cli: Run, build: str, words: str, taken: bool, scores: bool) -> None:
    command = ["llama-server", "-m", "Qwen3-14B-Q4_K_M.gguf", "-c", "8192", "-ngl", "99", *words.split()]
    done = cli("fit", "--offline", "--format", "json", "--engine-version", build, "--gpu", "4090", "--", *command)
    assert (done.returncode == 0) == taken, done.stderr
    if taken:
        assert (json.loads(done.stdout)["per_gpu"]["activation_bytes"] >= 512 * 40 * 8192 * 4) == scores


# ggml/src/ggml-cuda/ggml-cuda.cu `ggml_cuda_init`, a line for each card; tools/server/server-context.cpp `load_model`.
CARDS = (
    "ggml_cuda_init: found 2 CUDA devices:\n"
    "  Device 0: NVIDIA GeForce RTX 3090, compute capability 8.6, VMM: yes\n"
    "  Device 1: NVIDIA GeForce RTX {}, compute capability 8.6, VMM: yes\n"
    "build: 6400 (cdedb70a) with cc (Ubuntu) for x86_64-linux-gnu\n"
    "srv    load_model: loading model '/models/Qwen3-14B-Q4_K_M.gguf'\n"
    "load_tensors:        CUDA0 model buffer size =  5148.38 MiB\n"
)


@pytest.mark.parametrize(("second", "gpu"), [("3090", "NVIDIA GeForce RTX 3090"), ("3060", None)])
def test_cards_of_two_kinds_are_not_taken_for_two_of_one(second: str, gpu: str | None) -> None:
    log = read(CARDS.format(second))
    assert (log.gpu, log.model) == (gpu, "/models/Qwen3-14B-Q4_K_M.gguf")
