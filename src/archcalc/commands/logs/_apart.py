"""Why an engine stopped, where that has nothing to do with the memory of a GPU: the lines of libraries that all engines stand on.

Sources of the lines: PyTorch 2.9, c10/cuda/CUDAException.h, c10/cuda/CUDAFunctions.cpp and torch/csrc/distributed/c10d; NCCL 2.27,
src/init.cc; Triton 3.5, runtime/errors.py; transformers 5.24, models/auto/configuration_auto.py and dynamic_module_utils.py;
huggingface_hub 1.0, file_download.py; safetensors 0.6; CPython's `OSError`; vLLM 0.8 to 0.33, config/parallel.py, config/scheduler.py,
config/model.py, platforms/cuda.py, model_executor/models/registry.py; SGLang 0.5.23, srt/entrypoints/engine.py and
srt/models/registry.py; llama.cpp 0c1e57098, src/llama-model-loader.cpp, src/llama-arch.cpp and tools/server/server-http.cpp.
"""

from __future__ import annotations

import re

from archcalc.commands.logs._lines import _SENT, Kind
from archcalc.records import NamedTuple

_CAUSES: tuple[tuple[Kind, str], ...] = (
    # What is more particular stands before what is more general.
    (
        "batch",
        r"max_tokens_per_mm_item \(\d+\) is larger than max_num_batched_tokens"
        r"|max_num_batched_tokens \(\d+\) (?:is smaller than max_model_len|must\s+be greater than or equal to max_num_seqs)",
    ),
    (
        "gpus",
        r"World size \(\d+\) is larger than the number of\s+available GPUs"
        r"|(?:parallel size|world size|replica size).{0,60}(?:cannot be larger than"
        r"|exceeds) the (?:total )?number of (?:available GPUs|visible)|required \w+ exceeds the total number|invalid device ordinal"
        r"|Cannot provide a placement group requiring",
    ),
    (
        "device",
        r"Failed to infer device type|No CUDA GPUs are available|driver on your system is too old|Found no NVIDIA driver"
        r"|libcuda\.so\.1: cannot open|CUDA driver version is insufficient|no CUDA-capable device is detected",
    ),
    (
        "kernel",
        r"no kernel image is available|device kernel image is invalid|Triton PTX codegen error|is not defined for option 'gpu-name'"
        r"|Bfloat16 is only supported on GPUs with|not supported for the current GPU"
        r"|[Oo]ut ?[Oo]f ?[Rr]esources?: .*shared memory|out of resource: shared memory|PTX was compiled with an unsupported toolchain"
        r"|FlashAttention only supports Ampere|is not supported on (?:this|your) GPU|no kernel for this GPU",
    ),
    (
        "architecture",
        r"does not recognize this architecture|Model architectures .* (?:are not supported|failed)|unknown model architecture"
        r"|has no vLLM implementation|No SGLang implementation",
    ),
    ("code", r"trust_remote_code=True|requires you to execute the configuration file|contains custom code which must be executed"),
    (
        "file",
        r"model is corrupted or incomplete|Error while deserializing header|MetadataIncompleteBuffer|invalid magic|gguf_init_from_file\S*: "
        r"invalid|unexpected end of (?:file|data)",
    ),
    (
        "quant",
        r"Quantization method specified in the model config|Unknown quantization method|[Qq]uantized V cache (?:was requested|requires)"
        r"|V cache quantization requires flash_attn|[KV] cache type \S+ with block size \d+ does not divide|weight quantization block",
    ),
    # c10/core/impl/alloc_cpu.cpp `alloc_cpu`.
    ("ram", r"DefaultCPUAllocator: (?:can't allocate|not enough) memory"),
    (
        "neighbour",
        r"Error in memory profiling\. Initial free memory|Error in profiling\. Initial free memory"
        r"|(?:Error|Exception): The memory capacity is unbalanced",
    ),
    (
        "port",
        r"[Aa]ddress already in use|Port (?:\d+ )?is already in use|port \d+ is (?:already in use|not available)|couldn't bind HTTP server"
        r"|EADDRINUSE",
    ),
    (
        "shared-memory",
        r"Bus error|insufficient shared memory|unable to (?:allocate|open) shared memory|creating shared memory segment"
        r"|/dev/shm\b.*No space left on device|No space left on device.*/dev/shm\b",
    ),
    ("disk", r"No space left on device|Disk quota exceeded|Not enough free disk space"),
    (
        "network",
        r"NCCL error|ncclSystemError|ncclUnhandledCudaError|ncclInternalError|ncclRemoteError|ncclInvalidUsage|DistBackendError"
        r"|DistNetworkError|Watchdog caught collective operation timeout",
    ),
)
_OF = tuple((kind, re.compile(pattern)) for kind, pattern in _CAUSES)
_ANY = re.compile("|".join(pattern for _, pattern in _CAUSES))
# A shell tells it of a job by its number and command: bash `NAME: line 4:   200 Killed   CMD` and `[1]+  Killed   CMD` (jobs.c
# `pretty_print_job`), zsh `zsh: killed     CMD`; the kernel, systemd and cgroups by the process (mm/oom_kill.c `__oom_kill_process`).
_KILLED = re.compile(
    r"(?:^|[|:\s])Killed(?: \(core dumped\))?$|(?:line \d+:\s+\d+|\[\d+\]\s*[-+]?(?:\s+\d+)?)\s+[Kk]illed\b|\bzsh: killed\b"
    r"|: Killed process \d+|code=killed, status=9|killed by the OOM killer|[Ee]xit(?:ed with)? ?[Cc]ode\"?[ :=]+(?:-9|137)\b"
    r"|Failed core proc\(s\): \{.*-9|Exited \(137\)|\*\*\* \[.*\] Error 137\b|task \d+: Out Of Memory"
    r"|signal 9\b|signal: killed|SIGKILL\b(?!\))|oom-kill|oom_kill|OOMKilled(?!\"?[ :=]+false)"
)
# What ends a process by a crash of its own: exit codes of 128 and the signal's number (POSIX.1-2024, 2.8.2), the kernel's line of a GPU
# that is lost (NVIDIA, "XID Errors"), Python's own handler (Lib/faulthandler.py).
_CODES = r"(?:[Ee]xit(?:ed with)? ?[Cc]ode\"?[ :=]+|Exited \(|\] Error |status=)"
_ENDED_BY = rf"{_CODES}(?:13[24569]|-(?:4|6|7|8|11))\b"
# What was asked to end: SIGTERM and SIGINT, of which a server tells what it does then; Slurm of a limit (slurmstepd).
_ASKED = re.compile(
    r"(?:^|line \d+:\s+\d+\s+|\[\d+\]\s*[-+]?(?:\s+\d+)?\s+|zsh: )[Tt]erminated\b|SIGTERM|SIGINT\b|[Ss]ignal[: ]+(?:15|2|terminated"
    r"|interrupt)\b|code=killed, status=15"
    rf"|{_CODES}(?:143|130|-15|-2)\b|exited with code 0\b|Exited \(0\)|CANCELLED AT"
    r"|^(?:\^C)?INFO:\s+(?:Shutting down|Application shutdown complete)|Shutting down FastAPI"
    r"|cleaning up before exit|[Ss]hutdown complete|Gracefully exiting|Reason:\s+Completed"
)
# Other ends that are told with a code alone.
_FAILED = re.compile(rf"{_CODES}[1-9]\d*\b")
# Errors that no server outlives: of the GPU's context, of its own engine.
_DEAD = re.compile(
    r"\b(?:CUDA|HIP|ROCm) error: (?!out of memory)|NCCL (?:[Ee]rror|WARN Cuda failure)|output_handler failed|NVRM: Xid"
)
# Other signals that a shell tells of: a crash, which no line of the engine itself explains.
_CRASHED = re.compile(
    rf"{_ENDED_BY}|Fatal Python error: |SIG(?:SEGV|ABRT|BUS|ILL)\b|code=dumped|NVRM: Xid|signal: (?:segmentation fault|aborted)"
    r"|(?:^|line \d+:\s+\d+\s+|\[\d+\]\s*[-+]?(?:\s+\d+)?\s+|zsh: )"
    r"(?:[Ss]egmentation fault|Aborted|abort|Illegal instruction|Floating point exception|[Bb]us error|illegal hardware instruction)\b"
)
_ENDED = (
    "illed", "zsh: ", "ault", "core dumped", "xit", "us error", "core proc(s)", "code 137", "ignal", "SIG", "oom-kill", "OOM", "erminated",
    "hutting down", "hutdown complete", "CANCELLED", "] Error ", "Out Of Memory", "status=", "Xid", "rror: ", "NCCL", "code=dumped",
    "output_handler", "Completed",
)  # fmt: skip
_RAISED = re.compile(
    r"(?:^|[\s|\]>}])(?:(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|OutOfResources|Timeout)|AssertionError|Exception"
    r"|Value error)(?:[:,] \S|$)"
    r"|error loading model: |failed to initialize the context: |(?:CUDA|ROCm|HIP) error: |GGML_ASSERT\(|terminate called after"
    r"|couldn't bind|[Ff]ailed to load (?:draft |CLIP )?model|failed to create context with model"
    # Ollama, server/sched.go `load`: the runner ended, or never answered.
    r"|msg=\"(?:error loading llama server|Load failed)\""
    # SGLang ends itself where a step hangs, unless it is told only to report it (srt/utils/watchdog.py `_watchdog_once`).
    r"|watchdog timeout \(self\.watchdog_timeout=(?!.*self\.soft=True)"
)
# What says only that something else, told before, went wrong; and what only warns.
_WRAPPER = re.compile(
    r"Engine core initialization failed|EngineDeadError|Engine process failed to start|EngineCore encountered an issue|See root cause above"
    r"|Worker failed with error|validation errors? for|UserWarning|FutureWarning|DeprecationWarning"
    r"|scheduler died during initialization|KeyboardInterrupt|CancelledError|exiting due to|failed to load model, |SystemExit"
)
_QUIET = re.compile(
    r"\b(?:INFO|DEBUG|WARNING)\b (?:\d\d-\d\d|\[)|^(?:INFO|WARNING):|level=(?:INFO|DEBUG|WARN)\b.* msg=\"(?!NewLlamaServer|Load failed)"
)


# Words of which every line that is read here holds one; a log of a day has millions that hold none.
_TOLD = (
    "rror", "ailed", "illed", "xcept", "esource", "upported", "recogniz", "No space", "quota", "free disk", "in use", "exit",
    "trust_remote",
    "custom code", "corrupt", "died", "ASSERT", "oom", "OOM", "shared memory", "larger than", "exceed", "CUDA", "driver", "nccl", "signal",
    "bind", "terminate", "magic",
    "fault", "dumped", "Aborted", "abort", "llegal", "Floating", "xited", "Code", "oom_",
    "erminat", "hutting down", "hutdown", "CANCELLED", "SIG", "Xid", "Out Of Memory", "status=", "Fatal", "NCCL", "output_handler",
    "Completed",
    "max_num_batched", "kernel image", "uantiz", "imeout", "invalid", "SIGKILL", "does not divide",
)  # fmt: skip


class Apart(NamedTuple):
    """A cause, the line that says so, and the two numbers that it names, if it names them."""

    kind: Kind
    line: str
    figures: tuple[int, ...] = ()


def cause(found: list[str], *, fatal: tuple[str, ...] = (), without: tuple[Kind, ...] = ()) -> Apart | None:
    """Why it stopped by lines that do not speak of memory; None where no line says that it did. `without` are kinds that do not stop this
    engine.

    With `fatal` (words of a server that served) a line must say that it ended: refused requests are no end of it.
    """
    if fatal:
        whole = "\n".join(found)
        if not any(sign in whole for sign in (*fatal, *_ENDED)):
            return None
    found = [line for line in found if any(word in line for word in _TOLD) and not _SENT.search(line)]
    ends = (_KILLED, _CRASHED, _ASKED, _FAILED, _DEAD)
    if fatal and not any(any(sign in line for sign in fatal) or any(of.search(line) for of in ends) for line in found):
        return None
    raised = killed = crashed = asked = failed = None
    for line in found:
        if without and any(pattern.search(line) for kind, pattern in _OF if kind in without):
            continue
        if _ANY.search(line) and not _QUIET.search(line):
            kind = next(kind for kind, pattern in _OF if pattern.search(line))
            return Apart(kind, line, tuple(int(n) for n in re.findall(r"\((\d+)\)", line)[:2]))
        if raised is None and _RAISED.search(line) and not _WRAPPER.search(line) and not _QUIET.search(line):
            raised = line
        if killed is None and _KILLED.search(line):
            killed = line
        if crashed is None and _CRASHED.search(line):
            crashed = line
        if asked is None and _ASKED.search(line):
            asked = line
        failed = line if failed is None and _FAILED.search(line) and not _ASKED.search(line) else failed
    if raised is not None:
        return Apart("other", raised)
    if killed is not None:
        return Apart("killed", killed)
    if crashed is not None:
        return Apart("other", crashed)
    if asked is not None:
        return Apart("ended", asked)
    failed = failed or next((line for line in found if _DEAD.search(line)), None)
    if failed is not None:
        return Apart("other", failed)
    ended = next((line for line in found if any(sign in line for sign in (*fatal, "exiting due to model loading error"))), None)
    return Apart("other", ended) if ended else None
