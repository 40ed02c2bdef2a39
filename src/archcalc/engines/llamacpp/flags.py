"""`llama-server`'s flags, and Ollama's settings, as a question.

Sources: llama.cpp 0c1e57098, common/arg.cpp, common/common.h `common_params`, tools/server/server-context.cpp (four slots that share one
buffer where none are asked for, logits of the slots alone), tools/llama-bench/llama-bench.cpp; Ollama 0.33, server/routes.go
`defaultNumCtx`, server/sched.go, llm/llama_server.go (the batch by the context), docs/modelfile.mdx.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc.commands.flags import Read
from archcalc.engines.asked import Asked
from archcalc.engines.llamacpp.settings import Settings
from archcalc.errors import UsageError

# The first build that is known to reserve logits of a server's slots alone (Ollama 0.30 was made with it).
LOGITS_OF_SLOTS = 9452
_AUTO_SLOTS = 4
_NOT_YET = ("--main-gpu", "--device")
_DRAFTS = ("--model-draft", "--spec-draft-model", "--spec-draft-hf", "--hf-repo-draft")
# Tokens that a draft model drafts at once (common/common.h `common_params_speculative_draft`; 16 before 2026).
_DRAFTED = 3
# Ways of drafting for which recurrent states are kept to go back to (common/common.h `need_n_rs_seq`).
_ROLLING = frozenset({"draft-mtp", "draft-eagle3", "draft-dflash", "draft-dspark"})
_OFF = frozenset({"off", "disabled", "false", "0"})


def asked(read: Read) -> Asked:
    """What the command asks for. Raises `UsageError` where it names no model, or two."""
    if read.command.engine == "ollama":
        return _ollama(read)
    unmodelled: list[str] = []
    notes: list[str] = []
    bench = read.command.program == "llama-bench"
    server = read.command.program == "llama-server"
    model, quant = _model(read)
    own: dict[str, Any] = {}
    cells = _whole(read, "--ctx-size", 0, least=0)
    if bench:
        cells = sum(int(read.get(flag) or usual) for flag, usual in (("--n-prompt", 512), ("--n-gen", 128), ("--n-depth", 0)))
    own["cells"] = cells
    asked_slots = read.get("--parallel")
    slots = _whole(read, "--parallel", 1, least=-1)
    unified = bool(read.get("--kv-unified"))
    if server and (asked_slots is None or slots < 1):
        # Without a number a server has four slots, which share the cells.
        slots, unified = _AUTO_SLOTS, read.get("--kv-unified") is not False
    own["slots"], own["unified"] = max(1, slots), unified
    layers = read.get("--gpu-layers")
    if layers is not None and str(layers).lower() not in ("auto", "-1"):
        if str(layers).lower() == "all":
            own["gpu_layers"] = 1 << 20
        elif re.fullmatch(r"-?\d{1,9}", str(layers)):
            own["gpu_layers"] = int(layers) if int(layers) >= 0 else 1 << 20
        else:
            raise UsageError(f"--gpu-layers {layers}: a number of layers was expected", "a number, auto or all")
    if (shares := read.get("--tensor-split")) is not None:
        own["shares"] = _shares(str(shares))
    mode = read.get("--split-mode")
    if mode == "none":
        own["split"] = False
    elif mode not in (None, "layer"):
        unmodelled.append("--split-mode")
    own["cpu_experts"] = (1 << 20) if read.get("--cpu-moe") else _whole(read, "--n-cpu-moe", 0, least=0)
    if (patterns := read.get("--override-tensor")) is not None:
        own["overrides"] = tuple(
            _override(p) for one in (patterns if isinstance(patterns, list) else [patterns]) for p in str(one).split(",")
        )
    own["type_k"] = str(read.get("--cache-type-k") or "f16")
    own["type_v"] = str(read.get("--cache-type-v") or "f16")
    flash = read.get("--flash-attn")
    own["flash"] = not (flash is False or str(flash).lower() in _OFF)
    own["swa_full"] = bool(read.get("--swa-full"))
    own["batch"] = _whole(read, "--batch-size", 2048, least=1)
    own["ubatch"] = min(_whole(read, "--ubatch-size", 512, least=1), own["batch"])
    build = re.fullmatch(r"b(\d+)", read.version or "")
    own["serves"] = bool(
        server and build and int(build[1]) >= LOGITS_OF_SLOTS and not read.get("--embedding", "--embeddings", "--reranking")
    )
    own["mapped"] = not (read.get("--no-mmap") or read.get("--mmap") is False)
    own["cache_on_cpu"] = bool(read.get("--no-kv-offload")) or read.get("--kv-offload") is False
    own["streams"] = not (read.get("--no-op-offload") or read.get("--op-offload") is False)
    own["towers"] = bool(read.get("--mmproj") or read.get("--mmproj-url")) and not read.get("--no-mmproj-offload")
    if own.get("gpu_layers") is None and str(read.get("--fit") or "on").lower() not in _OFF and not bench:
        own["margin_bytes"] = _margin(read)
    unmodelled += [flag for flag in _NOT_YET if read.get(flag) is not None]
    values = _values(own, quant)
    draft = _draft(read, own, unmodelled, notes)
    return Asked(
        "llama.cpp", model, read.version, values, Settings(**own), draft=draft, unmodelled=tuple(unmodelled), notes=tuple(notes)
    )


def _draft(read: Read, own: dict[str, Any], unmodelled: list[str], notes: list[str]) -> str | None:
    """The draft model, and what is set of it."""
    given = {flag: str(value) for flag in _DRAFTS if (value := read.get(flag)) is not None}
    if len(set(given.values())) > 1:
        raise UsageError(f"the command names two draft models: {' and '.join(given.values())[:120]}", "leave one of them out")
    kinds = {kind.strip() for kind in str(read.get("--spec-type") or "").split(",")}
    own["mtp"] = "draft-mtp" in kinds and not given
    own["rolls_back"] = bool(kinds & _ROLLING)
    if not given and kinds & _ROLLING - {"draft-mtp"}:
        unmodelled.append("--spec-type")
    if not given and not own["mtp"]:
        return None
    own["draft_tokens"] = _whole(read, "--spec-draft-n-max", _DRAFTED, least=0)
    for name in ("--spec-draft-ngl", "--gpu-layers-draft"):
        if str(read.get(name) or "").isdecimal():
            own["draft_layers"] = int(str(read.get(name)))
    own["draft_type_k"] = str(read.get("--spec-draft-type-k", "--cache-type-k-draft") or "f16")
    own["draft_type_v"] = str(read.get("--spec-draft-type-v", "--cache-type-v-draft") or "f16")
    if not given:
        return None
    unmodelled += given
    flag, draft = next(iter(given.items()))
    if "hf" in flag:
        draft, _, kind = draft.partition(":")
        own["draft_quant"] = kind.lower() or None
    notes.append(f"the draft model {draft} is not counted: its weights and its layers' cache come on top")
    return draft


def _values(own: Mapping[str, Any], quant: str | None) -> dict[str, Any]:
    """The context of a sequence and how many there are: all cells are one's where they are shared."""
    values: dict[str, Any] = {}
    slots = own["slots"]
    if own["cells"]:
        values["context_tokens"] = own["cells"] if own["unified"] else max(1, own["cells"] // slots)
    values["concurrency"] = 1 if own["unified"] else slots
    if own["type_k"] != "f16" or own["type_v"] != "f16":
        values["kv_dtype"] = own["type_k"]
    if quant:
        values["quant"] = quant
    return values


def _model(read: Read) -> tuple[str, str | None]:
    """The file, or the repository and the file type behind its colon."""
    file, repo = read.get("--model"), read.get("--hf-repo")
    if file is not None and repo is not None:
        raise UsageError(f"the command names two models: {file} and {repo}", "leave -m or -hf out")
    named = [str(n) for n in (file, repo) if n is not None] or list(read.positional)
    if not named:
        raise UsageError(f"{read.command.program} names no model", "-m file.gguf, or -hf repository:type")
    if len(named) > 1:
        raise UsageError(f"the command names {len(named)} models: {' and '.join(named)[:120]}", "one of them is one too many")
    name, _, quant = named[0].partition(":") if repo is not None and file is None else (named[0], "", "")
    return name, quant.lower() or None


def _whole(read: Read, flag: str, usual: int, least: int) -> int:
    value = read.get(flag)
    if value is None:
        return usual
    if not isinstance(value, int) or value < least:
        raise UsageError(f"{flag} {value}: a number from {least} on was expected", f"such as {max(usual, 1)}")
    return value


def _margin(read: Read) -> int:
    """What `--fit` leaves free of each GPU while it chooses how many layers to put there: 1,024 MiB (common/common.h)."""
    text = str(read.get("--fit-target") or "1024").partition(",")[0]
    if not text.isdecimal():
        raise UsageError(f"--fit-target {text[:40]}: MiB were expected", "such as 1024")
    return int(text) << 20


def _shares(text: str) -> tuple[float, ...]:
    try:
        shares = tuple(float(part) for part in re.split(r"[,/;]", text) if part.strip())
    except ValueError as error:
        raise UsageError(f"--tensor-split {text[:40]}: shares were expected", "such as 3,1") from error
    if not shares or min(shares) < 0 or not sum(shares):
        raise UsageError(f"--tensor-split {text[:40]}: shares were expected", "such as 3,1")
    return shares


def _override(text: str) -> tuple[str, str]:
    pattern, equals, device = text.rpartition("=")
    if not equals:
        raise UsageError(f"--override-tensor {text[:60]}: a pattern and a device were expected", "such as exps=CPU")
    try:
        re.compile(pattern)
    except re.error as error:
        raise UsageError(
            f"--override-tensor {pattern[:60]}: {error}", "a regular expression over tensors' names, such as exps=CPU"
        ) from error
    return pattern, device


# Ollama

_TYPES = {"f16": "f16", "q8_0": "q8_0", "q4_0": "q4_0", "": "f16"}


def _ollama(read: Read) -> Asked:
    environment = dict(read.command.environment)
    notes: list[str] = []
    if not read.positional:
        raise UsageError(f"{read.command.program} names no model: it loads what is asked of it", "ollama run MODEL, or a Modelfile")
    model = read.positional[0]
    name, _, tag = model.partition(":") if not model.startswith(("/", ".")) else (model, "", "")
    # A tag begins with the size, and may go on with how the model is tuned and stored: llama3.1:8b-instruct-q4_K_M.
    size = re.match(r"(?:\d+x)?e?\d+(?:\.\d+)?[bm](?:-a\d+(?:\.\d+)?b)?(?=-|$)", tag.lower())
    name += f":{size[0]}" if size else ""
    context = read.get("--num_ctx") or _number(environment, "OLLAMA_CONTEXT_LENGTH")
    slots = _number(environment, "OLLAMA_NUM_PARALLEL") or 1
    own: dict[str, Any] = {"slots": slots, "unified": False, "serves": True}
    if context is None:
        notes.append(
            "Ollama takes 4,096 tokens below 23 GiB of GPU memory, 32,768 below 47 GiB and 262,144 from there on (since 0.15.5)"
        )
        context = -1
    kind = environment.get("OLLAMA_KV_CACHE_TYPE", "")
    own["type_k"] = own["type_v"] = _TYPES.get(kind.lower(), kind.lower())
    own["cells"] = context * slots if context > 0 else 0
    own["flash"] = environment.get("OLLAMA_FLASH_ATTENTION", "1") not in ("0", "false")
    # The batch grows with the context (llm/llama_server.go).
    batch = read.get("--num_batch") or (2048 if context > 32768 else 1024 if context > 4096 else 512)
    own["batch"] = own["ubatch"] = batch
    if (layers := read.get("--num_gpu")) is not None and layers >= 0:
        own["gpu_layers"] = layers
    if overhead := _number(environment, "OLLAMA_GPU_OVERHEAD"):
        own["margin_bytes"] = overhead
    quant = next((part for part in re.findall(r"(?:i?q\d\w*|mxfp4|fp16|bf16|f16)", tag.lower())), None)
    values = _values(own, quant or ("q4_k_m" if tag else None))
    return Asked("llama.cpp", name, None, values, Settings(**own), notes=tuple(notes))


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(f"{name}={text[:40]}: a whole number was expected", "such as 8192")
    return int(text)
