"""`llama-server`'s flags, and Ollama's settings, as a question.

Sources: llama.cpp 0c1e57098, common/arg.cpp, common/common.h `common_params`, tools/server/server-context.cpp (four slots that share one
buffer where none are asked for, logits of the slots alone), tools/llama-bench/llama-bench.cpp; Ollama 0.33, server/routes.go
`defaultNumCtx`, server/sched.go, llm/llama_server.go (the batch by the context), docs/modelfile.mdx.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from archcalc.commands.flags import FLASH_TAKES, Read
from archcalc.engines._version import at_least
from archcalc.engines._version import released as of_release
from archcalc.engines.asked import Asked
from archcalc.engines.llamacpp.ollama import LLAMA_SERVER, asked_for, raised
from archcalc.engines.llamacpp.projector import LIBRARY
from archcalc.engines.llamacpp.settings import Settings
from archcalc.errors import UsageError

# The first build that is known to reserve logits of a server's slots alone (Ollama 0.30 was made with it).
LOGITS_OF_SLOTS = 9452
FITS_FROM = 7410
"""The first build with `--fit`, and with it the trained length where no `-c` is given: release b7410 of pull request 16653, 2025-12-15."""
BENCH_DECIDES = 9437
"""The first build whose llama-bench lets flash attention and layers be decided: release b9437 of pull request 23714, 2026-05-30."""
OLD_CONTEXT = 4096
FIRST_BUILD, NEWEST_BUILD = 1046, 10969
"""The first build that reads GGUF, and the newest that a log is known of."""
# Room for a quantized cache in fp16 is reserved at the start since pull request 23907, merged in the first days of June 2026: this build is
# of later that month.
UNPACKED_BEFORE = 9600
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
    model, quant = _model(read, notes)
    own: dict[str, Any] = {}
    # 0 where no build is named.
    build = int(read.version.strip()[1:]) if read.version else 0
    cells = _whole(read, "--ctx-size", 0, least=0)
    if bench:
        cells = _tested(read)
    own["cells"] = cells
    own |= _fitting(read, bench, build)
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
    elif bench and build and build < BENCH_DECIDES:
        own["gpu_layers"] = 99
    else:
        # Pull request 15434 brought both defaults; before, `llama_model_default_params` had 999 layers with Metal and none elsewhere.
        own["asks_layers"] = bool(build and build < FLASH_TAKES[1])
    if (shares := read.get("--tensor-split")) is not None:
        own["shares"] = _shares(str(shares))
    mode = read.get("--split-mode")
    if mode == "none":
        own["split"] = False
    elif mode not in (None, "layer"):
        own["unspread"] = str(mode)
        unmodelled.append("--split-mode")
    own["cpu_experts"] = (1 << 20) if read.get("--cpu-moe") else _whole(read, "--n-cpu-moe", 0, least=0)
    if (patterns := read.get("--override-tensor")) is not None:
        own["overrides"] = tuple(
            _override(p) for one in (patterns if isinstance(patterns, list) else [patterns]) for p in str(one).split(",")
        )
    own["type_k"] = str(read.get("--cache-type-k") or "f16")
    own["type_v"] = str(read.get("--cache-type-v") or "f16")
    flash = read.get("--flash-attn")
    if build and build < (BENCH_DECIDES if bench else FLASH_TAKES[1]):
        # Until then it is off where nothing turns it on (common/common.h `common_params`: `flash_attn = false`; llama-bench.cpp
        # `cmd_params_defaults`).
        own["flash"] = flash not in (None, False) and str(flash).lower() not in _OFF
    else:
        own["flash"] = not (flash is False or str(flash).lower() in _OFF)
    own["swa_full"] = bool(read.get("--swa-full"))
    own["batch"] = _whole(read, "--batch-size", 2048, least=1)
    own["ubatch"] = min(_whole(read, "--ubatch-size", 512, least=1), own["batch"])
    own["serves"] = bool(
        server and build >= LOGITS_OF_SLOTS and not read.get("--embedding", "--embeddings", "--rerank", "--reranking")
    )
    own["wide_masks"] = build < LOGITS_OF_SLOTS
    own["unpacks"] = build >= UNPACKED_BEFORE
    own["mapped"] = not (read.get("--no-mmap") or read.get("--mmap") is False)
    own["cache_on_cpu"] = bool(read.get("--no-kv-offload")) or read.get("--kv-offload") is False
    own["streams"] = not (read.get("--no-op-offload") or read.get("--op-offload") is False)
    own |= _projector(read, notes)
    if own.get("gpu_layers") is None and own["fits"]:
        own["margin_bytes"] = own["targets"][0]
    # Layers that are spread have no main GPU (src/llama.cpp `llama_prepare_model_devices`).
    unmodelled += [
        flag for flag in _NOT_YET if read.get(flag) is not None and (flag != "--main-gpu" or mode not in (None, "layer"))
    ]
    own |= _positions(read)
    values = _values(own, quant)
    draft = _draft(read, own, unmodelled, notes)
    return Asked(
        "llama.cpp", model, read.version, values, Settings(**own), draft=draft, unmodelled=tuple(unmodelled), notes=tuple(notes)
    )


def _projector(read: Read, notes: list[str]) -> dict[str, Any]:
    """The projector that is named, or that `-hf` fetches beside the model: whichever stands beside it in the repository (common/arg.cpp
    `common_params_handle_models`, common/download.cpp `find_best_mmproj`)."""
    from archcalc.engines.llamacpp.projector import kind_of

    off = read.get("--no-mmproj-offload") or read.get("--mmproj-offload") is False
    named = read.get("--mmproj") or read.get("--mmproj-url")
    if named is not None:
        file = os.path.expanduser(str(named))
        size = os.path.getsize(file) if os.path.isfile(file) else 0
        return {
            "projector": kind_of(os.path.basename(file)),
            "projector_bytes": size,
            "projector_named": f"--mmproj {named}",
            "towers": not off,
        }
    fetches = read.get("--hf-repo") is not None and read.command.program != "llama-bench"
    if not fetches or read.get("--no-mmproj") or read.get("--mmproj-auto") is False:
        return {}
    return {"projector": "F16", "towers": not off}


def _tested(read: Read) -> int:
    """The cells of the longest test: each of prompts, of answers and of pairs has a context of its own (tools/llama-bench/llama-bench.cpp
    `get_cmd_params_instances`, `to_llama_cparams`)."""
    prompt, answer, depth = (read.get(flag) for flag in ("--n-prompt", "--n-gen", "--n-depth"))
    pairs = [sum(map(int, str(pair).split(","))) for pair in read.get("-pg") or ()]
    longest = max(512 if prompt is None else prompt, 128 if answer is None else answer, *pairs, 0)
    if not longest:
        raise UsageError("llama-bench is given no test: -p 0 and -n 0, and no -pg", "such as -p 512")
    return longest + (depth or 0)


def released(version: str | None) -> tuple[str, ...]:
    """What to say of a build that no rule was read for. Raises `UsageError` for what is no build."""
    if version is None:
        return ()
    build = re.fullmatch(r"b(\d{1,6})", version.strip())
    if build is None or int(build[1]) < FIRST_BUILD:
        known = f"known are builds from b{FIRST_BUILD} on, as llama-server --version and tags of images name them"
        what = "is older than the rules known here" if build else "is no build of llama.cpp"
        raise UsageError(f"{version[:40]} {what}", known)
    if int(build[1]) <= NEWEST_BUILD:
        return ()
    return (f"llama.cpp {version} is newer than b{NEWEST_BUILD}, the newest build that is known here: the newest rules hold",)


def _draft(read: Read, own: dict[str, Any], unmodelled: list[str], notes: list[str]) -> str | None:
    """The draft model, and what is set of it."""
    given = {flag: str(value) for flag in _DRAFTS if (value := read.get(flag)) is not None}
    if len(set(given.values())) > 1:
        raise UsageError(f"the command names two draft models: {' and '.join(given.values())[:120]}", "leave one of them out")
    for name in ("--spec-draft-ngl", "--gpu-layers-draft"):
        if (layers := read.get(name)) is None:
            continue
        if not re.fullmatch(r"auto|all|-?\d{1,9}", str(layers)):
            raise UsageError(f"{name} {str(layers)[:40]}: a number of layers was expected", "a number, auto or all")
        if str(layers).isdecimal():
            own["draft_layers"] = int(str(layers))
    kinds = {kind.strip() for kind in str(read.get("--spec-type") or "").split(",")}
    own["mtp"] = "draft-mtp" in kinds and not given
    own["rolls_back"] = bool(kinds & _ROLLING)
    if not given and kinds & _ROLLING - {"draft-mtp"}:
        unmodelled.append("--spec-type")
    if not given and not own["mtp"]:
        return None
    own["draft_tokens"] = _whole(read, "--spec-draft-n-max", _DRAFTED, least=0)
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


def _model(read: Read, notes: list[str]) -> tuple[str, str | None]:
    """The file, or the repository and the file type: that of its file where one is named, else behind its colon.

    Source: common/arg.cpp (`--hf-repo`, `--hf-file`), common/download.cpp `common_download_get_hf_plan`, `common_download_split_repo_tag`.
    """
    file, repo, url = read.get("--model"), read.get("--hf-repo"), read.get("--model-url")
    of_repo = read.get("--hf-file")
    if file is not None and repo is not None:
        raise UsageError(f"the command names two models: {file} and {repo}", "leave -m or -hf out")
    if of_repo is not None and repo is None:
        raise UsageError(f"--hf-file {of_repo} is a file of a repository, and none is named", "-hf user/model in front of it")
    if url is not None and file is None:
        # It is fetched by the name that the address ends with.
        file = re.split(r"[?#]", str(url))[0].rpartition("/")[2]
    named = [str(n) for n in (file, repo) if n is not None] or list(read.positional)
    if not named:
        raise UsageError(f"{read.command.program} names no model", "-m file.gguf, or -hf repository:type")
    if len(named) > 1:
        raise UsageError(f"the command names {len(named)} models: {' and '.join(named)[:120]}", "one of them is one too many")
    if repo is None or file is not None:
        return named[0], None
    name, _, tag = named[0].partition(":")
    return name, _of_repository(name, tag, None if of_repo is None else str(of_repo), notes)


def _of_repository(name: str, tag: str, file: str | None, notes: list[str]) -> str | None:
    """The file type that is taken of a repository. Raises `UsageError` for one that holds no such file."""
    from archcalc import zoo
    from archcalc.quant import check_file_type
    from archcalc.quant.gguf import nearest_file_type
    from archcalc.zoo.repacked import type_of

    if name.count("/") != 1 or name.startswith(("/", ".", "~")):
        raise UsageError(f"-hf {name[:80]}: a repository was expected", "user/model:type, or -m for a file")
    if "gguf" not in name.lower():
        behind = f":{tag}" if tag else ""
        if zoo.find(name) is not None:
            raise UsageError(
                f"-hf {name}: the model's own repository holds no GGUF file, and llama-server stops there",
                f"name a repository of its GGUF files, whose names mostly end so, such as {name}-GGUF{behind}",
            )
        notes.append(f"-hf {name}: that the repository holds GGUF files is taken for granted, and its name does not say it")
    if file is None:
        # A mixture of its publisher's own has a cache like any other; what its weights take is refused where it is asked.
        if tag and not nearest_file_type(tag):
            check_file_type(tag)
        return tag.lower() or None
    if (kind := type_of(file)) is None:
        notes.append(
            f"--hf-file {file}: its name says no type, and the usual one is taken; --quant in front of the command says another"
        )
        return None
    return kind


def _whole(read: Read, flag: str, usual: int, least: int) -> int:
    value = read.get(flag)
    if value is None:
        return usual
    if not isinstance(value, int) or value < least:
        raise UsageError(f"{flag} {value}: a number from {least} on was expected", f"such as {max(usual, 1)}")
    return value


def _positions(read: Read) -> dict[str, Any]:
    """Scaled positions; `--rope-scale` and `--rope-freq-scale` set the same, and the last of them holds (common/arg.cpp)."""
    own: dict[str, Any] = {"rope_kind": str(read.get("--rope-scaling") or "")}
    for each in read.given:
        if each.name not in ("--rope-scale", "--rope-freq-scale") or read.get(each.name) is None:
            continue
        try:
            value = float(each.value)
        except ValueError:
            value = float("nan")
        if not 0 < value < float("inf"):
            raise UsageError(f"{each.name} {str(each.value)[:40]}: a number above 0 was expected", "such as --rope-scale 4")
        own["rope_scale"] = 1 / value if each.name == "--rope-scale" else value
    own["yarn_original"] = _whole(read, "--yarn-orig-ctx", 0, least=0)
    given = read.get("--override-kv")
    for one in given if isinstance(given, list) else [given or ""]:
        for length in re.finditer(r"(?:^|,)\s*[\w.-]+\.context_length=int:(\d{1,9})(?=,|$)", str(one)):
            own["trained"] = int(length[1])
    return own


def _fitting(read: Read, bench: bool, build: int) -> dict[str, Any]:
    """What `--fit` adjusts, and what a build without it does.

    Sources: common/common.h; ggml-org/llama.cpp#16653 of 2025-12 brought it, #19070 leaves `-c 0` alone."""
    given = read.get("--ctx-size")
    fits = str(read.get("--fit") or "on").lower() not in _OFF
    if bench:
        # tools/llama-bench/llama-bench.cpp: `do_fit`.
        fits = bool(read.get("--fit-target") or read.get("--fit-ctx"))
    own: dict[str, Any] = {
        "fits": fits,
        "targets": _targets(read, "0" if bench else "1024"),
        "least": _whole(read, "--fit-ctx", 4096, least=0),
    }
    own["keeps_context"] = given == 0
    if not build or bench or build >= FITS_FROM:
        return own
    return {**own, "fits": False, "unset": None if given == 0 else OLD_CONTEXT}


def _targets(read: Read, usual: str) -> tuple[int, ...]:
    """What `--fit` leaves free of each GPU: 1,024 MiB (common/common.h) or, of llama-bench, nothing; one number for all or one for each."""
    found = []
    for text in re.split(r"[,/]", str(usual if (given := read.get("--fit-target")) is None else given)):
        if not text.strip().isdecimal():
            raise UsageError(f"--fit-target {text[:40]}: MiB were expected", "such as 1024")
        found.append(int(text) << 20)
    if len(found) > 1:
        # GPUs that are not named keep the default.
        found.append(1 << 30)
    return tuple(found)


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


_OLLAMA = "0.1.0", "0.33.0"
"""The first and the newest release that anything is known of."""


_TIERS: tuple[tuple[tuple[int, ...], tuple[tuple[int, int], ...]], ...] = (
    ((0, 15, 5), ((23 << 30, 4096), (47 << 30, 32768), (1 << 62, 262144))),
    ((0, 6, 7), ((1 << 62, 4096),)),
    ((0,), ((1 << 62, 2048),)),
)
"""The context that Ollama takes by the memory of all GPUs, since a release (server/routes.go, envconfig/config.go)."""


_TRIES: tuple[tuple[tuple[int, ...], int], ...] = (((0, 10), 1), ((0, 7), 2), ((0, 2), 4), ((0,), 1))
"""How many requests at once Ollama makes room for where nothing is said, and they fit on the GPU (server/sched.go `defaultParallel`)."""


def ollama_batch(context: int) -> int:
    """The batch that Ollama starts llama-server with (llm/llama_server.go)."""
    return 2048 if context > 32768 else 1024 if context > 4096 else 512


def of_ollama(version: str | None) -> tuple[str, ...]:
    """The same of a release of Ollama."""
    return of_release("Ollama", version, *_OLLAMA)


def _ollama(read: Read) -> Asked:
    environment = dict(read.command.environment)
    notes: list[str] = [*of_ollama(read.version)]
    if not read.positional:
        raise UsageError(f"{read.command.program} names no model: it loads what is asked of it", "ollama run MODEL, or a Modelfile")
    model = read.positional[0]
    tag = "" if model.startswith(("/", ".")) else model.rpartition("/")[2].partition(":")[2]
    if tag.endswith("cloud"):
        raise UsageError(f"{model} runs on Ollama's own machines, and not here", "name a tag without cloud")
    path = model.startswith(("/", ".", "~")) or model.endswith(".gguf")
    context = read.get("--num_ctx") or _number(environment, "OLLAMA_CONTEXT_LENGTH")
    stated = _number(environment, "OLLAMA_NUM_PARALLEL")
    slots = stated or 1
    tried = next(slots for since, slots in _TRIES if at_least(read.version, *since))
    if not stated and tried > 1:
        notes.append(
            f"Ollama {read.version} makes room for {tried} requests at once where that fits on the GPU, each with the whole context;"
            f" one is counted: OLLAMA_NUM_PARALLEL={tried} counts them"
        )
    own: dict[str, Any] = {"slots": slots, "unified": False, "serves": True, "wide_masks": False, "unpacks": True}
    own["clamps"], own["slots_flag"] = True, "OLLAMA_NUM_PARALLEL"
    # Since 0.30 it starts llama-server, which chooses the layers (docs: llm/llama_server.go).
    own["fits"] = at_least(read.version, *LLAMA_SERVER)
    if context is None:
        own["tiers"] = next(tiers for since, tiers in _TIERS if at_least(read.version, *since))
        context = -1
    own["raised"] = raised(read.version)
    kind = environment.get("OLLAMA_KV_CACHE_TYPE", "")
    own["type_k"] = own["type_v"] = _TYPES.get(kind.lower(), kind.lower())
    own["cells"] = context * slots if context > 0 else 0
    if not path:
        # A model of the library has its towers with it (server/images.go: the projector's layer; model/models/*/model_vision.go before).
        own["projector"], own["projector_named"] = "F16", LIBRARY
    flash = asked_for(environment.get("OLLAMA_FLASH_ATTENTION", ""))
    own["flash"], own["flash_asked"] = flash is not False, flash
    own["runner"] = "" if at_least(read.version, *LLAMA_SERVER) else str(read.version)
    # The batch grows with the context (llm/llama_server.go).
    own["batch"] = own["ubatch"] = read.get("--num_batch") or ollama_batch(context)
    own["batch_by_context"] = read.get("--num_batch") is None
    if (layers := read.get("--num_gpu")) is not None and layers >= 0:
        own["gpu_layers"] = layers
    if overhead := _number(environment, "OLLAMA_GPU_OVERHEAD"):
        own["margin_bytes"] = overhead
    quant = next((part for part in re.findall(r"(?:i?q\d\w*|mxfp4|fp16|bf16|f16)", tag.lower())), None)
    # A tag of the library that names no type is mostly Q4_K_M, of one trained for it (`qat`) Q4_0; what is published in FP4 stays so.
    usual = "~q4_0" if "qat" in re.split(r"\W", tag.lower()) else "~q4_k_m"
    values = _values(own, quant or (None if path else usual))
    name = model.partition(":")[0] if "/" in model and not path else model
    return Asked("llama.cpp", name, None, values, Settings(**own), notes=tuple(notes), library=True, by_memory="tiers" in own)


def _number(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name, "").strip()
    if not text:
        return None
    if not text.isdecimal():
        raise UsageError(f"{name}={text[:40]}: a whole number was expected", "such as 8192")
    return int(text)
