"""What llama.cpp and Ollama print at their start, read.

Sources of the lines: llama.cpp 0c1e57098, src/llama-model.cpp `load_tensors`, src/llama-kv-cache.cpp, src/llama-context.cpp
`graph_reserve`, ggml/src/ggml-cuda/ggml-cuda.cu; Ollama 0.9 to 0.33, llm/memory.go `LogValue`, ml/device.go `Log`, server/routes.go.
"""

from __future__ import annotations

import re
from typing import Any

from archcalc.commands.flags import FLASH_TAKES
from archcalc.commands.logs._apart import cause
from archcalc.commands.logs._lines import (
    APART,
    MIB,
    Kind,
    Logged,
    Terms,
    command_in,
    device_named,
    saying,
    serves,
    size_of,
    telling,
)
from archcalc.commands.words import Engine

# Of mapped files the CPU's alone: a Mac's GPU maps them too (ggml/src/ggml-metal/ggml-metal.cpp, `MTL0_Mapped`; `Metal_Mapped` before).
_HOST = re.compile(r"^(?:CPU|.*_Host$|(?!MTL|Metal).*Mapped$|BLAS|AMX)", re.IGNORECASE)
# What a server prints of its requests alone: tools/server/server-context.cpp.
_SERVES = ("slot launch_slot_: ", "slot print_timing: ")


# Where a server that served says that it ended: ggml/src/ggml-cuda/ggml-cuda.cu `ggml_cuda_error`, ggml.c `ggml_abort`.
_ENDED = ("CUDA error: ", "ROCm error: ", "HIP error: ", "GGML_ASSERT(", "terminate called after", "Segmentation fault")

_BUFFERS = frozenset({"model", "KV", "RS", "compute", "output"})


def _buffer(line: str) -> tuple[str, str, int] | None:
    """`CUDA0 model buffer size = 5060.88 MiB`: the device, what for, and the bytes."""
    before, found, after = line.partition(" buffer size")
    words = before.split()
    m = re.match(r"\s*=\s*([\d.]+) MiB", after) if found else None
    if m is None or len(words) < 2:
        return None
    if words[-2] == "llm_load_tensors:":
        # Before b4500 or so it does not say what for.
        words.append("model")
    if words[-1] not in _BUFFERS:
        return None
    return words[-2], words[-1], round(float(m[1]) * MIB)


def _stored(name: str) -> str | None:
    """A file type as `llama_model_ftype_name` spells it (src/llama-model-loader.cpp) or Ollama, as a file's name does."""
    text = re.sub(r" - \d[\d.]* bpw(?: ternary)?| \(guessed\)|^all |,.*", "", name.strip())
    mixed = re.fullmatch(r"(IQ3_S) mix", text)
    sized = re.fullmatch(r"(\w+) - (Small|Medium|Large)", text)
    if mixed:
        return "iq3_m"
    if sized:
        kind = sized[1].lower()
        return kind if kind == "q2_k" and sized[2] == "Medium" else f"{kind}_{sized[2][0].lower()}"
    text = text.lower().replace(" ", "_")
    return text if re.fullmatch(r"(?:(?:i|t)?q\d|mxfp4|nvfp4|bf16|f16|f32)\w*", text) else None


# ggml/src/ggml-vulkan/ggml-vulkan.cpp and ggml/src/ggml-metal: in bytes, and in MiB.
_ALLOCATED = re.compile(
    r"Device memory allocation of size (\d+) failed|ggml_metal_\w+: error: failed to allocate buffer, size =\s*([\d.]+) MiB"
)
# What the CPU's memory could not hold: ggml/src/ggml-backend.cpp, src/llama-mmap.cpp.
_NO_RAM = re.compile(
    r"unable to allocate (?:CPU\w*|\S+_Host|(?!MTL|Metal)\S*Mapped|BLAS|AMX) buffer"
    r"|cpu_buffer_type_alloc_buffer: failed to allocate|mmap failed: Cannot allocate memory|std::bad_alloc"
)


# What Ollama starts its runner with: llm/server.go up to 0.29 and runner/ollamarunner/runner.go `LoadRequest`, llm/llama_server.go since.
_RUNNER = re.compile(r'msg="starting (?:runner|llama server|llama-server)"|msg=load request=')
_SET: tuple[tuple[str, str], ...] = (
    ("--ctx-size", r"(?: -c | --ctx-size |\bKvSize:)(\d+)"),
    ("--parallel", r"(?: -np | --parallel |\bParallel:)(\d+)"),
    ("--cache-type-k", r"(?: -ctk | --cache-type-k | --kv-cache-type |\bKvCacheType:)(\w+)"),
    ("--cache-type-v", r"(?: -ctv | --cache-type-v | --kv-cache-type |\bKvCacheType:)(\w+)"),
    ("--flash-attn", r"(?: -fa | --flash-attn (?=on|off|auto)|\bFlashAttention:)(\w+)"),
)


def _started(line: str) -> dict[str, Any]:
    if not _RUNNER.search(line):
        return {}
    made: dict[str, Any] = {}
    for flag, pattern in _SET:
        if (m := re.search(pattern, line)) and m[1] not in ("0", "f16"):
            words = {"true": "on", "enabled": "on", "false": "off", "disabled": "off"}
            made[flag] = int(m[1]) if m[1].isdecimal() else words.get(m[1].lower(), m[1].lower())
    return made


def read_log(found: list[str], engine: Engine) -> Logged:
    version = model = gpu = command = None
    memory: int | None = None
    buffers: dict[tuple[str, str], int] = {}
    cells: list[tuple[int, int, str, str]] = []
    asked: dict[str, Any] = {}
    started, failure, said = False, None, ""
    phase = "start"
    terms = Terms()
    figures: dict[str, float] = {}
    gpus: set[str] = set()
    reckoned: set[str] = set()
    kinds: set[str] = set()
    told: dict[str, int] = {}
    context: int | None = None
    of_one, sequences, streams = 0, 0, 1
    file_type: str | None = None

    def fail(kind: Kind, line: str) -> None:
        nonlocal failure, said
        if failure is None or failure == "memory":
            failure, said = kind, saying(line)

    served = 0
    for i, line in enumerate(found):
        if not started and serves(line, _SERVES):
            served = served or i
            started, phase = True, "serving"
        if not telling(line):
            continue
        if m := re.search(r"\bbuild(?:_info)?: (?:b?)(\d{3,6})[ -](?:\()?[0-9a-f]{6,}", line):
            version = version or (f"b{m[1]}" if engine == "llama.cpp" else None)
        if engine == "ollama" and (m := re.search(r"\(version ([\w.-]+)\)", line)):
            version = m[1]
        if m := re.search(r"loaded meta data with .* from (\S+)(?: \(|$)", line):
            model = model or m[1]
        if m := re.search(r"\bload_model: loading model '([^']+)'", line):
            # What newer servers print without -v (tools/server/server-context.cpp).
            model = model or m[1]
        if (
            m := re.search(r"(?:file type|model ftype)\s+= (.+)$|\bfile_type=\"?([^\"=]+?)\"?(?: \w+=|$)", line)
        ) and file_type is None:
            file_type = _stored(m[1] or m[2])
        # Ollama's own engine prints a file's keys on one line (ml/backend/ggml/ggml.go `New`).
        if m := re.search(r'general\.name\s*(?:str)?\s*=\s*(.+)$|\barchitecture=\S+ file_type=\S+ name="([^"]+)"', line):
            figures.setdefault("named", 1)
            model = model if model and "blobs/sha256" not in model else (m[1] or m[2]).strip()
        if m := re.search(r"using device (\S+) \(([^)]+)\).*?- (\d+) MiB free", line):
            gpu = gpu or device_named(line) or m[2]
            gpus.add(m[1])
            kinds |= {m[2]} if m[1].startswith(("CUDA", "ROCm")) else set()
            terms.put("free", int(m[3]) * MIB)
        if m := re.search(r"\bDevice \d+: (.+?), compute capability", line):
            gpu = gpu or device_named(line) or m[1]
            kinds.add(m[1])
            if v := re.search(r"VRAM: (\d+) MiB", line):
                memory = int(v[1]) * MIB
        gpu = gpu or device_named(line)
        if m := re.search(r"recommendedMaxWorkingSetSize\s*=\s*([\d.]+) MB", line):
            # What a Mac gives to its GPU (ggml/src/ggml-metal/ggml-metal-device.m, in 10^6 bytes).
            memory = size_of(m[1], "MB")
        if 'msg="inference compute"' in line and (m := re.search(r'total="([\d.]+) ([KMGT]iB)"', line)):
            memory = (memory or 0) + size_of(m[1], m[2])
        if command is None and (made := command_in(line)) and "llama" in made:
            command = made
        if "offloaded " in line and (m := re.search(r"offloaded (\d+)/(\d+) layers to GPU", line)):
            figures["layers on GPU"], figures["layers"] = int(m[1]), int(m[2])
            asked["--gpu-layers"] = int(m[1]) if int(m[1]) < int(m[2]) else 999
        if sized := _buffer(line):
            device, what, size = sized
            key = (device, what)
            buffers[key] = buffers.get(key, 0) + size if what in ("KV", "RS") else max(buffers.get(key, 0), size)
            phase = {"model": "loading", "KV": "cache", "RS": "cache", "compute": "compute"}.get(what, phase)
            if not _HOST.match(device):
                gpus.add(device.partition("_")[0])
        if " cells" not in line:
            pass
        elif m := re.search(r"size =\s*([\d.]+) MiB \(\s*(\d+) cells,\s*(\d+) layers.*?K \((\w+)\).*?V \((\w+)\)", line):
            cells.append((round(float(m[1]) * MIB), int(m[2]), m[4], m[5]))
        elif m := re.search(r"size =\s*([\d.]+) MiB \(\s*(\d+) cells", line):
            cells.append((round(float(m[1]) * MIB), int(m[2]), "", ""))
        for key_, pattern, flag in (
            ("n_ctx", r"\bn_ctx\s*=\s*(\d+)", "--ctx-size"),
            ("n_seq_max", r"\bn_seq_max\s*=\s*(\d+)", "--parallel"),
            ("n_batch", r"\bn_batch\s*=\s*(\d+)", "--batch-size"),
            ("n_ubatch", r"\bn_ubatch\s*=\s*(\d+)", "--ubatch-size"),
        ):
            if (m := re.search(pattern, line)) and int(m[1]) > 0:
                asked[flag] = int(m[1])
                if key_ == "n_ctx":
                    context = int(m[1])
        if m := re.search(r"\bn_ctx_seq\s*=\s*(\d+)|n_ctx_per_seq\s*=\s*(\d+)", line):
            context = of_one = int(m[1] or m[2])
        if m := re.search(r" cells,.*?\b(\d+)/\s*(\d+) seqs\)", line):
            # Sequences and the streams that the cells are of (src/llama-kv-cache.cpp): one stream holds all of them.
            sequences, streams = int(m[1]), int(m[2])
        if m := re.search(r"\bflash_attn\s*=\s*(\w+)", line):
            asked["--flash-attn"] = (
                "off" if m[1] in ("0", "disabled", "false") else "on" if m[1] in ("1", "enabled", "true") else "auto"
            )
        if re.search(r"\bkv_unified\s*=\s*(?:true|1)", line):
            asked["--kv-unified"] = True
        if engine == "ollama":
            if m := re.search(
                r'msg="(model weights|kv cache|compute graph)" device="?([\w]+)"? size="([\d.]+) ([KMGT]?i?B)"', line
            ):
                name = {"model weights": "weights", "kv cache": "cache", "compute graph": "compute"}[m[1]]
                terms.put(name if not _HOST.match(m[2]) else f"{name} in RAM", size_of(m[3], m[4]))
            for pattern, name in (
                (r'memory\.weights\.total="([\d.]+) ([KMGT]?i?B)"', "weights"),
                (r'memory\.required\.kv="([\d.]+) ([KMGT]?i?B)"', "cache"),
                (r'memory\.graph\.full="([\d.]+) ([KMGT]?i?B)"', "compute"),
                (r'memory\.required\.full="([\d.]+) ([KMGT]?i?B)"', "needed"),
            ):
                if m := re.search(pattern, line):
                    # What the server reckons before it starts a runner (llm/memory.go).
                    reckoned.add(name)
                    terms.put(name, size_of(m[1], m[2]))
            if (m := re.search(r"--model (\S+)", line)) and model is None:
                model = m[1].strip("\"'")
            asked |= _started(line)
            if "OLLAMA_CONTEXT_LENGTH:" in line:
                # What the server was started with (envconfig/config.go `AsMap`, "server config").
                told = {name: int(n) for name, n in re.findall(r"\bOLLAMA_(CONTEXT_LENGTH|NUM_PARALLEL):(\d+)", line)}
        if re.search(
            r"(?<!HTTP )server is listening|starting the main loop|all slots are idle|llama runner started in|llama-server started in"
            r"|(?:main|llama_server): model loaded|\[GIN\].*\| 200 \|.*\bPOST\s+\"/(?:api/(?:chat|generate|embed)|v1/)",
            line,
        ):
            # Its HTTP listener is there before the model is (tools/server/server.cpp).
            started = True
            served = served or i
            phase = "serving"
        if m := re.search(
            r"allocating ([\d.]+) MiB on device (\d+): (?:cuda|hip|aclrt)\w*alloc failed|allocating ([\d.]+) MiB.*out of memory",
            line,
            re.IGNORECASE,
        ):
            figures["tried"] = round(float(m[1] or m[3]) * MIB)
            where: dict[str, Kind] = {"loading": "loading", "cache": "compute", "compute": "compute", "serving": "serving"}
            fail("memory", line)
            said = saying(line)
            figures.setdefault("phase", 0)
            last: Kind = where.get(phase, "loading")
            failure = last if phase != "start" else "loading"
        elif (buffer := _ALLOCATED.search(line)) is not None:
            figures["tried"] = int(buffer[1]) if buffer[1] else round(float(buffer[2]) * MIB)
            places: dict[str, Kind] = {"start": "loading", "loading": "loading", "cache": "compute", "compute": "compute"}
            fail(places.get(phase, "serving"), line)
        elif not served and _NO_RAM.search(line):
            fail("ram", line)
        elif re.search(r"unable to allocate \S+ buffer", line) or re.search(r"error loading model: .*(?:alloc|memory)", line):
            failure = "loading" if failure in (None, "memory", "compute") else failure
            said = said or saying(line)
        elif re.search(
            r"failed to allocate buffer for (?:kv cache|rs cache|DSV4 compressor state)"
            r"|llama_kv_cache.*(?:failed to allocate)|failed to initialize (?:the )?memory",
            line,
        ):
            failure = "cache"
            said = said or saying(line)
        elif re.search(
            r"failed to allocate compute (?:pp |tg )?buffers|graph_reserve: failed to allocate compute buffers"
            r"|ggml_gallocr_reserve_n\w*: failed to allocate|output_reserve: failed to allocate|failed to reserve initial output buffer",
            line,
        ):
            failure = "compute"
            said = said or saying(line)
        elif re.search(
            r"(?:CUDA|ROCm) error: out of memory|kIOGPUCommandBufferCallbackErrorOutOfMemory|ErrorOutOfDeviceMemory|insufficient memory",
            line,
        ):
            fail("serving" if phase == "serving" else "memory", line)
        elif m := re.search(
            r"model requires more system memory(?: \(([\d.]+) ([KMGT]iB)\) than is available \(([\d.]+) ([KMGT]iB)\))?", line
        ):
            if m[1]:
                figures["ram needed"], figures["ram"] = size_of(m[1], m[2]), size_of(m[3], m[4])
            fail("ram", line)
            failure, said = "ram", saying(line)
        elif re.search(r"error: (?:invalid argument|unknown argument)", line):
            fail("flag", line)
        elif re.search(
            r"failed to open GGUF file|failed to get file from hugging ?face|HTTPLIB failed: Could not establish connection"
            r"|No such file or directory.*gguf|failed to load model '.*No such",
            line,
            re.IGNORECASE,
        ):
            fail("model", line)
    for (device, what), size in buffers.items():
        name = {"model": "weights", "KV": "cache", "RS": "states", "compute": "compute", "output": "output"}[what]
        reckoned.discard(name)
        terms.put(f"{name} in RAM" if _HOST.match(device) else name, size)
    whole = sum(c[0] for c in cells)
    if sequences > 1:
        asked.setdefault("--parallel", sequences)
        if streams == 1:
            asked.setdefault("--kv-unified", True)
    if of_one and "--ctx-size" not in asked:
        # What one sequence has, of a log that has lost what all of them have (src/llama-context.cpp `n_ctx_seq`).
        asked["--ctx-size"] = of_one * (1 if "--kv-unified" in asked else asked.get("--parallel", 1))
    if cells:
        terms.sizes["cache"] = max(terms.sizes.get("cache", 0), whole if len(gpus) < 2 else terms.sizes.get("cache", 0))
        if cells[0][2] and cells[0][2] != "f16":
            asked["--cache-type-k"] = cells[0][2]
        if cells[0][3] and cells[0][3] != "f16":
            asked["--cache-type-v"] = cells[0][3]
        context = context or cells[0][1]
        asked.setdefault("--ctx-size", max(c[1] for c in cells) * streams)
    if version and engine == "llama.cpp" and int(version[1:]) <= FLASH_TAKES[0] and asked.pop("--flash-attn", "") == "on":
        # These builds print whether it is on, and the flag that turns it on takes no value.
        asked["--flash-attn"] = True
    if len(kinds) > 1:
        figures["kinds"] = len(kinds)
    if told.get("CONTEXT_LENGTH") and "--ctx-size" not in asked:
        asked["--ctx-size"] = told["CONTEXT_LENGTH"] * max(1, int(asked.get("--parallel") or told.get("NUM_PARALLEL", 1)))
    ended = started
    if failure is None and (apart := cause(found[served:], fatal=_ENDED if started else (), without=("device",))):
        failure, said = apart.kind, saying(apart.line)
    if not started and failure is None and (("compute" in terms.sizes and "compute" not in reckoned) or cells):
        started = True
        figures["unsaid"] = 1
    if failure not in (None, "serving", *(APART if ended else ())):
        started = False
    return Logged(
        engine,
        version,
        model,
        gpu if len(kinds) < 2 else None,
        max(1, len(gpus)) if gpus else None,
        memory,
        tuple(asked.items()),
        command,
        terms.items(),
        None,
        None,
        context,
        started,
        failure,
        said,
        tuple(figures.items()),
        file_type,
    )
