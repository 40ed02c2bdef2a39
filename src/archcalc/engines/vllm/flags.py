"""`vllm serve`'s flags as a question.

Sources: vLLM 0.33, engine/arg_utils.py `EngineArgs`, config/model.py, config/cache.py, config/compilation.py `CUDAGraphMode`,
config/speculative.py `SpeculativeConfig`, config/lora.py `LoRAConfig`, config/multimodal.py `MultiModalConfig`; 0.8.5, config.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from archcalc.commands.environment import true
from archcalc.commands.flags import Read
from archcalc.engines._version import released
from archcalc.engines.asked import Asked
from archcalc.engines.served import listed, served
from archcalc.engines.vllm.first_engine import of_command
from archcalc.engines.vllm.lengths import LIFTS
from archcalc.engines.vllm.quantization import online
from archcalc.engines.vllm.rules import ENGINE, NEWEST, RELEASES, at_least, rules
from archcalc.engines.vllm.settings import Settings
from archcalc.errors import UsageError

_GIB = 1 << 30
FIRST_FLAGS = "0.4.0"
"""No log of an older release is known; flags are those of 0.5.3, rules those of 0.6."""
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"}
_MTP = frozenset(
    "mtp deepseek_mtp mimo_mtp glm4_moe_mtp ernie_mtp qwen3_next_mtp qwen3_5_mtp longcat_flash_mtp step3p5_mtp nemotron_h_mtp"
    " exaone_moe_mtp pangu_ultra_moe_mtp".split()
)
# The release from which `vllm serve --model` is a warning, and no error (utils/argparse_utils.py `parse_args`; 0.11.0, utils/__init__.py).
_MODEL_FLAG = (0, 11, 1)
# config/lora.py `MaxLoRARanks` (and 1, since 0.12); 0.8.5, config.py `possible_max_ranks`.
_LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
# v1/executor/abstract.py `Executor.get_class`, which takes anything else for the path of a class.
_EXECUTORS = ("mp", "ray", "uni", "external_launcher")
# What a draft takes otherwise than its config says: config/speculative.py `SpeculativeConfig`.
_OF_DRAFTS = "quantization", "draft_lm_head_quantization", "kv_cache_dtype", "max_model_len"
_DRAFTLESS = frozenset({"ngram", "[ngram]", "ngram_gpu", "suffix"})
# config/speculative.py: without a draft model too, and with what is theirs alone.
_OTHERWISE = frozenset({"extract_hidden_states", "custom_class"})


def asked(read: Read) -> Asked:
    """What the command asks for. Raises `UsageError` where it names no model, or two."""
    program = read.command.program
    model = _model(read)
    tp = _ranks(read, "--tensor-parallel-size")
    pp = _ranks(read, "--pipeline-parallel-size")
    dp = _ranks(read, "--data-parallel-size")
    dcp = _ranks(read, "--decode-context-parallel-size")
    here = read.get("--data-parallel-size-local")
    if here is not None and here > dp and at_least(read.version, 0, 9, 1):
        raise UsageError(f"--data-parallel-size-local {here}: --data-parallel-size is {dp}", "as many at most")
    nodes = _ranks(read, "--nnodes")
    _ranked(read, dp, nodes)
    _check_launch(read, dp, nodes)
    if not 1 <= nodes <= tp * pp * dp or tp * pp * dp % nodes:
        raise UsageError(
            f"--nnodes {nodes}: {tp * pp * dp} GPUs do not lie evenly on {nodes} machines", "name as many as share them"
        )
    unmodelled: list[str] = []
    notes: list[str] = []
    overrides = list(_overrides(read, unmodelled))
    values: dict[str, Any] = {
        "tp": tp,
        "pp": pp,
        "dp": dp,
        "ep": tp * dp if read.get("--enable-expert-parallel") and tp * dp > 1 else 1,
        "dcp": dcp,
    }
    length = read.get("--max-model-len")
    if isinstance(length, int) and length >= 0:
        values["context_tokens"] = _positive("--max-model-len", length)
    if (share := read.get("--gpu-memory-utilization")) is not None:
        if not 0 < share <= 1:
            raise UsageError(f"--gpu-memory-utilization {share:g}: a share of the memory was expected", "above 0, up to 1")
        values["utilization"] = share
    for flag, name in (("--max-num-batched-tokens", "batched_tokens"),):
        if (given := read.get(flag)) is not None:
            values[name] = _positive(flag, given)
    cache = read.get("--kv-cache-dtype")
    if cache is not None and cache != "auto":
        values["kv_dtype"] = str(cache)
    if quant := _quantization(read):
        values["quant"] = quant
    own, draft = _settings(read, program, unmodelled, notes)
    own, passed_over = _environment(read, own._replace(nodes=nodes, replicas_here=here, launched=_launched(read)))
    if draft is not None:
        unmodelled.append("--speculative-model" if read.get("--speculative-model") else "--speculative-config")
        notes.append(f"the draft model {draft} is not counted: its weights and its layers' cache come on top")
    version = read.version
    if version is not None and not at_least(version, 0, 6):
        notes.append(f"vLLM {version} is older than {RELEASES[0]}, whose rules hold here: no older release was read")
        version = RELEASES[0]
    given = dict(read.command.environment)
    by_image = (("VLLM_USE_FLASHINFER_SAMPLER", "1"),) if own.fused_sampler and "VLLM_USE_FLASHINFER_SAMPLER" not in given else ()
    return Asked(
        "vllm", model, version, values, own, tuple(overrides), draft, tp * pp * dp, tuple(unmodelled), tuple(notes), passed_over,
        environment=by_image,
    )  # fmt: skip


def _pools(read: Read) -> bool | None:
    """Whether the command says that the model pools, or that it generates; None where the class decides (config/model.py
    `_get_runner_type`)."""
    runner, task, convert = (str(read.get(flag) or "auto") for flag in ("--runner", "--task", "--convert"))
    if runner == "generate" or task == "generate":
        return False
    return (
        True if runner == "pooling" or task not in ("auto", "draft", "transcription") or convert not in ("auto", "none") else None
    )


def check_known(version: str | None) -> None:
    """Raises `UsageError` for a version whose commands are not known: older than any that a log is known of, or none."""
    released("vLLM", version, FIRST_FLAGS, RELEASES[-1])


def _environment(read: Read, own: Settings) -> tuple[Settings, frozenset[str]]:
    """What variables say (envs.py), and those that this release looks at no more.

    Images hold FlashInfer, which samples by itself where it is found (0.8.4 to 0.11.0, docker/Dockerfile and
    v1/sample/ops/topk_topp_sampler.py)."""
    given = dict(read.command.environment)
    backend = given.get("VLLM_ATTENTION_BACKEND", "").strip("\"' ")
    own = own._replace(
        allows_longer=true(given.get(LIFTS.partition("=")[0])),
        caps_to_window=bool(read.get("--disable-sliding-window")),
        capped_by_backend=backend if backend in rules(read.version).interleaved_window else "",
    )
    own = own._replace(
        second_runner=_switch(given.get("VLLM_USE_V2_MODEL_RUNNER")),
        counts_graphs=_switch(given.get("VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS")),
        fused_sampler=_switch(given.get("VLLM_USE_FLASHINFER_SAMPLER")),
        expanded=bool(_switch(given.get("VLLM_MLA_DISABLE"))),
    )
    own = own._replace(pools=_pools(read), backend=backend, cache_dtype=str(read.get("--kv-cache-dtype") or "").replace("auto", ""))
    lacks = of_command(read.version, read.get, _ranks(read, "--pipeline-parallel-size"), given)
    own = own._replace(lacking=None if lacks is None else (lacks.feature, lacks.raises))
    if own.fused_sampler is None and read.command.imaged and at_least(read.version, 0, 8) and not at_least(read.version, 0, 11, 1):
        own = own._replace(fused_sampler=True)
    engine = given.get("VLLM_USE_V1")
    if engine is None:
        return own, frozenset()
    if not at_least(read.version, 0, 8) or at_least(read.version, 0, 11):
        # 0.7 had the second engine for a trial, the first is gone since 0.11.
        return own, frozenset({"VLLM_USE_V1"})
    return own._replace(first_engine=engine.strip() == "0"), frozenset()


def _switch(value: str | None) -> bool | None:
    """A number as a switch, None where it is not set (envs.py `bool(int(...))`)."""
    text = (value or "").strip("\"' ")
    return text != "0" if text.isdecimal() else None


def _model(read: Read) -> str:
    named = [*read.positional, *([str(read.get("--model"))] if read.get("--model") is not None else [])]
    named = list(dict.fromkeys(named))
    if not named and (file := read.get("--config")) is not None:
        raise UsageError(f"{read.command.program} names no model, and {file} is not here", "give it where the command looks for it")
    if not named:
        raise UsageError(f"{read.command.program} names no model", "vllm serve MODEL --its-flags")
    if read.positional == () and read.command.program == "vllm serve" and not at_least(read.version, *_MODEL_FLAG):
        raise UsageError(
            f"vllm serve of {read.version} takes no --model: the model stands alone behind it",
            f"vllm serve {named[0][:80]} --its-flags",
        )
    if len(named) > 1:
        raise UsageError(
            f"the command names {len(named)} models: {' and '.join(named)[:120]}",
            "one of them is the value of a flag, or one too many",
        )
    revision = read.get("--revision")
    return f"{named[0]}@{revision}" if revision and "/" in named[0] and "@" not in named[0] else named[0]


def _ranks(read: Read, flag: str) -> int:
    ways: int | None = read.get(flag)
    if ways is not None and not 1 <= ways <= 4096:
        raise UsageError(f"{flag} {ways}: a number of ranks was expected", "1 or more")
    return ways or 1


def _ranked(read: Read, dp: int, nodes: int) -> None:
    """Numbers of a replica and of a machine, and balancing of experts (config/parallel.py `_validate_parallel_config`, `__post_init__`;
    engine/arg_utils.py `create_engine_config`): a replica that is told its number is one of several since 0.9.2."""
    # Ranks are counted by it.
    _ranks(read, "--prefill-context-parallel-size")
    rank, node = read.get("--data-parallel-rank"), read.get("--node-rank")
    if rank is not None and at_least(read.version, 0, 9, 2):
        if dp == 1:
            raise UsageError(
                f"--data-parallel-rank {rank}: vLLM takes it beside --data-parallel-size above 1 alone",
                "name how many replicas there are, or leave the rank out",
            )
        if not 0 <= rank < dp:
            raise UsageError(f"--data-parallel-rank {rank}: of {dp} replicas", f"one of 0 to {dp - 1}")
    if node is not None and nodes > 1 and not 0 <= node < nodes and at_least(read.version, 0, 27):
        raise UsageError(f"--node-rank {node}: of {nodes} machines", f"one of 0 to {nodes - 1}")
    executor = str(read.get("--distributed-executor-backend") or "mp")
    if executor not in _EXECUTORS and "." not in executor:
        raise UsageError(
            f"--distributed-executor-backend {executor[:40]}: vLLM takes {', '.join(_EXECUTORS)}",
            "or the path of a class: package.Class",
        )
    if read.get("--enable-eplb") and not read.get("--enable-expert-parallel") and at_least(read.version, 0, 10):
        raise UsageError("--enable-eplb: vLLM balances experts with expert parallelism alone", "add --enable-expert-parallel")


def _check_launch(read: Read, dp: int, nodes: int) -> None:
    """What vLLM refuses of several processes and machines: 0.33, config/parallel.py `__post_init__` (so since 0.11.1), engine/arg_utils.py
    `create_engine_config` (0.12.0 by an assertion), entrypoints/cli/serve.py `cmd` and `run_headless` (0.9.2 and newer)."""
    executor, servers = str(read.get("--distributed-executor-backend") or "mp"), read.get("--api-server-count")
    if nodes > 1 and executor not in ("mp", "uni", "external_launcher"):
        raise UsageError(
            f"--nnodes {nodes} --distributed-executor-backend {executor[:40]}: vLLM takes --nnodes with mp, uni or external_launcher alone",
            "leave --nnodes and --node-rank out where Ray joins the machines, or name mp",
        )
    if nodes > 1 and read.get("--data-parallel-backend") == "ray" and at_least(read.version, 0, 28):
        raise UsageError(
            f"--nnodes {nodes} --data-parallel-backend ray: vLLM takes --nnodes with mp alone", "leave one of the two flags out"
        )
    outside, between = read.get("--data-parallel-external-lb"), read.get("--data-parallel-hybrid-lb")
    if outside and between:
        raise UsageError(
            "--data-parallel-external-lb and --data-parallel-hybrid-lb: vLLM takes one way to balance requests",
            "leave one of them out",
        )
    if outside and dp > 1 and read.get("--data-parallel-rank") is None and (nodes == 1 or nodes % dp):
        raise UsageError(
            f"--data-parallel-external-lb: which of the {dp} replicas the command starts is not said",
            "name it with --data-parallel-rank, one server for each",
        )
    if read.get("--headless") and between:
        raise UsageError("--headless and --data-parallel-hybrid-lb: vLLM refuses both together", "leave one of them out")
    if read.get("--headless") and servers is not None and servers > (0 if at_least(read.version, 0, 16) else 1):
        raise UsageError(f"--headless --api-server-count {servers}: no server answers of a headless one", "leave the count out")


def _launched(read: Read) -> bool:
    """Whether something else than the processes of one host says where ranks run: Ray, a launcher, or a class of the user's own."""
    executor = str(read.get("--distributed-executor-backend") or "mp")
    return executor not in ("mp", "uni") or read.get("--data-parallel-backend") == "ray" or bool(read.get("--worker-use-ray"))


def _positive(flag: str, value: Any) -> int:
    if not isinstance(value, int) or value < 1:
        raise UsageError(f"{flag} {value}: a number above 0 was expected", "such as 16")
    return value


def json_of(flag: str, value: Any) -> dict[str, Any]:
    """A flag's JSON object, from text where the table reads it as one."""
    if isinstance(value, dict):
        return value
    try:
        made = json.loads(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{flag} {str(value)[:60]}: a JSON object was expected", "quote it for the shell: '{\"key\": 1}'"
        ) from error
    if not isinstance(made, dict):
        raise UsageError(f"{flag} {str(value)[:60]}: a JSON object was expected", "such as '{\"key\": 1}'")
    return made


def flattened(flag: str, value: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """`KEY=VALUE` texts of an object that is laid over the config; a rope's parameters stay one value."""
    for key, inner in value.items():
        if isinstance(inner, dict) and key.endswith(("_config", "config")):
            yield from flattened(flag, inner, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}={json.dumps(inner)}"


def _overrides(read: Read, unmodelled: list[str]) -> Iterator[str]:
    given = read.get("--hf-overrides")
    if given is not None:
        yield from flattened("--hf-overrides", json_of("--hf-overrides", given))
    if (rope := read.get("--rope-scaling")) is not None:
        yield f"rope_scaling={json.dumps(json_of('--rope-scaling', rope))}"
    if (theta := read.get("--rope-theta")) is not None:
        yield f"rope_theta={theta}"


def _method(read: Read) -> str | None:
    """`--quantization`."""
    method = read.get("--quantization")
    return None if method in (None, "None") else str(method)


def _quantization(read: Read) -> str | None:
    """The storage that weights are quantized to as they load, or the dtype that they are converted to."""
    if (method := _method(read)) is not None:
        made = online(read.version, method)
        return f"?{made}" if made else None
    dtype = _dtype(read)
    return f"?{dtype}" if dtype else None


def _known_method(version: str | None, method: str) -> str:
    """A draft's quantization: config/speculative.py `quantization`, judged as a model's own (config/model.py `_verify_quantization`)."""
    lists = served("vllm").methods
    if not listed(lists.get(method), ENGINE, RELEASES, version):
        known = [name for name, text in lists.items() if listed(text, ENGINE, RELEASES, version)]
        raise UsageError(
            f"--speculative-config: quantization {method[:40]}: vLLM {version or NEWEST} takes {', '.join(known[:12])}"
            f"{f' and {len(known) - 12} more' if len(known) > 12 else ''}",
            "name one of them, or leave the key out",
        )
    return method


def _dtype(read: Read) -> str | None:
    """`--dtype`: what is not quantized is converted to it."""
    dtype = read.get("--dtype")
    if dtype not in (None, "auto", *_DTYPES):
        raise UsageError(f"--dtype {str(dtype)[:40]}: vLLM has no such dtype", f"one of auto, {', '.join(_DTYPES)}")
    return _DTYPES.get(str(dtype))


def _settings(read: Read, program: str, unmodelled: list[str], notes: list[str]) -> tuple[Settings, str | None]:
    own: dict[str, Any] = {"offline": program.startswith(("LLM", "vllm bench")), "method": _method(read), "dtype": _dtype(read)}
    own["trusts"] = bool(read.get("--trust-remote-code"))
    mode = str(read.get("--tokenizer-mode") or "auto")
    own["reads_tokens"] = not (read.get("--skip-tokenizer-init") or read.get("--tokenizer")) and mode in ("auto", "hf", "slow")
    own["deprecated"] = bool(read.get("--allow-deprecated-quantization"))
    if (sequences := read.get("--max-num-seqs")) is not None:
        own["sequences"] = _positive("--max-num-seqs", sequences)
    if str(read.get("--max-model-len")) in ("-1", "auto"):
        # vLLM 0.14, v1/core/kv_cache_utils.py `_auto_fit_max_model_len`; before, these are no lengths.
        if not at_least(read.version, 0, 14):
            raise UsageError(f"--max-model-len {read.get('--max-model-len')}: vLLM {read.version} takes numbers", "name the tokens")
        own["lowers_context"] = True
    own |= _graphs(read, notes)
    if read.get("--language-model-only"):
        own["text_alone"] = True
    if read.get("--mm-encoder-tp-mode") == "data" or read.get("--enable-multimodal-encoder-data-parallel"):
        own["whole_towers"] = True
    if read.get("--skip-mm-profiling"):
        own["profiles_images"] = False
    if (limits := read.get("--limit-mm-per-prompt")) is not None:
        own["limits"] = _limits(limits)
    caching = read.get("--enable-prefix-caching")
    if caching is not None:
        own["prefix_caching"] = bool(caching) and str(caching).lower() not in ("false", "0")
    if (chunked := read.get("--enable-chunked-prefill")) is not None:
        own["chunked"] = bool(chunked) and str(chunked).lower() not in ("false", "0")
    # v1/core/sched/scheduler.py `schedule`: the most tokens of one prompt in a step, and of all.
    steps = [int(n) for flag in ("--long-prefill-token-threshold", "--max-num-scheduled-tokens") if (n := read.get(flag))]
    if steps:
        own["prompt_step"] = max(1, min(steps))
    if (block := read.get("--block-size")) is not None:
        own["block_size"] = _positive("--block-size", int(block))
    if read.get("--disable-hybrid-kv-cache-manager"):
        own["hybrid_manager"] = False
    if (size := read.get("--kv-cache-memory-bytes")) is not None:
        own["cache_bytes"] = _positive("--kv-cache-memory-bytes", size)
    if (blocks := read.get("--num-gpu-blocks-override")) is not None:
        own["blocks"] = _positive("--num-gpu-blocks-override", blocks)
    for flag in ("--mamba-ssm-cache-dtype", "--mamba-cache-dtype"):
        dtype = read.get(flag)
        if dtype not in (None, "auto"):
            if dtype not in _DTYPES:
                raise UsageError(f"{flag} {dtype}: no dtype of a state", f"auto, {', '.join(_DTYPES)}")
            if flag == "--mamba-cache-dtype" and _DTYPES[dtype] == "fp32":
                # The convolution's state too, which is counted in the model's dtype.
                unmodelled.append(flag)
            own.setdefault("ssm_dtype", _DTYPES[dtype])
    if (offload := read.get("--cpu-offload-gb")) is not None:
        if offload < 0:
            raise UsageError(f"--cpu-offload-gb {offload:g}: a size of 0 or more was expected", "such as 10")
        own["offload_bytes"] = int(float(offload) * _GIB)
    if (size := read.get("--kv-offloading-size")) is not None:
        if float(size) < 0:
            raise UsageError(f"--kv-offloading-size {size}: GiB were expected", "such as 32")
        # LMCache is a process of its own since 0.14, and takes what it is told itself (config/vllm.py `_post_init_kv_transfer_config`).
        if str(read.get("--kv-offloading-backend") or "native") == "native":
            own["offloaded_cache_bytes"] = int(float(size) * _GIB)
        else:
            unmodelled.append("--kv-offloading-size")
    draft = None
    if speculation := _speculation(read):
        drafted, draft = speculation, None
        own["draft_tokens"] = drafted.get("num_speculative_tokens", 0)
        method = str(drafted.get("method") or ("ngram" if drafted.get("model") in ("ngram", "[ngram]") else ""))
        # config/speculative.py `_verify_and_get_draft_tp`: one rank, or those of the target.
        if "tensor_parallel_size" in drafted:
            raise UsageError(
                "--speculative-config: vLLM takes no tensor_parallel_size there", "draft_tensor_parallel_size is the draft's"
            )
        ranks, tp = drafted.get("draft_tensor_parallel_size"), _ranks(read, "--tensor-parallel-size")
        if ranks is not None and ranks not in (1, tp):
            raise UsageError(f"draft_tensor_parallel_size {ranks}: vLLM takes 1, or the {tp} of the target", "leave the key out")
        own["vocabularies_differ"] = bool(drafted.get("use_heterogeneous_vocab"))
        if (made := drafted.get("quantization") or read.get("--speculative-model-quantization")) is not None:
            own["draft_method"] = _known_method(read.version, str(made))
        # It is taken as its config has it.
        unmodelled += [f"--speculative-config.{key}" for key in _OF_DRAFTS if drafted.get(key) not in (None, "auto")]
        if method in _MTP or (not method and not drafted.get("model")):
            own["mtp"] = True
        elif method in _OTHERWISE:
            unmodelled.append("--speculative-config")
        elif method not in _DRAFTLESS:
            draft = str(drafted["model"]) if drafted.get("model") else None
            if draft is None:
                raise UsageError(f"--speculative-config: {method} needs a draft model", "name it with the key model")
    if read.get("--enable-lora"):
        own["loras"] = _positive("--max-loras", 1 if (most := read.get("--max-loras")) is None else most)
        own["lora_rank"] = rank = 16 if (asked_rank := read.get("--max-lora-rank")) is None else int(asked_rank)
        if rank not in _LORA_RANKS and not (rank == 1 and at_least(read.version, 0, 12)):
            raise UsageError(f"--max-lora-rank {rank}: vLLM takes {', '.join(map(str, _LORA_RANKS))}", "name the next larger one")
        # config/lora.py `_validate_lora_config`; 0.5.3, config.py `LoRAConfig.__post_init__`.
        if (held := read.get("--max-cpu-loras")) is not None and held < own["loras"]:
            raise UsageError(f"--max-cpu-loras {held}: --max-loras is {own['loras']}", "as many at least, or leave it out")
    own["spreads_experts"] = bool(read.get("--enable-expert-parallel"))
    own["ranked"] = read.get("--data-parallel-rank") is not None or bool(read.get("--data-parallel-external-lb"))
    own["processes"] = read.get("--distributed-executor-backend") in ("mp", "uni")
    if (backend := read.get("--attention-backend")) is not None:
        own["attention"] = str(backend).upper()
    if str(read.get("--device") or "auto") not in ("auto", "cuda"):
        unmodelled.append("--device")
    return Settings(**own), draft


def _limits(value: Any) -> tuple[tuple[str, int], ...]:
    """`{"image": 4}` or `image=4`; since 0.12 an object of options with a count."""
    if isinstance(value, str) and "=" in value and "{" not in value:
        value = dict(part.split("=", 1) for part in value.split(","))
    value = json_of("--limit-mm-per-prompt", value)
    found = []
    for modality, limit in value.items():
        count = limit.get("count", 999) if isinstance(limit, dict) else limit
        try:
            found.append((str(modality), int(count)))
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"--limit-mm-per-prompt {modality}: a number of items was expected", "such as '{\"image\": 4}'"
            ) from error
        if found[-1][1] < 0:
            # config/multimodal.py `BaseDummyOptions`.
            raise UsageError(f"--limit-mm-per-prompt {modality}: {count} items", "0 or more: '{\"image\": 4}'")
    return tuple(found)


def _graphs(read: Read, notes: list[str]) -> dict[str, Any]:
    own: dict[str, Any] = {}
    if read.get("--enforce-eager"):
        return {"graphs": False, "compiled": False}
    level = read.get("--optimization-level")
    compilation = read.get("--compilation-config")
    found: dict[str, Any] = {}
    if compilation is not None:
        text = str(compilation)
        found = {"level": int(text)} if text.isdecimal() else json_of("--compilation-config", compilation)
    off = found.get("mode", found.get("level")) in (0, "NONE")
    if str(level) in ("0", "O0") or off:
        own["compiled"] = False
    if str(level) in ("0", "O0") or (found.get("mode") in (0, "NONE") and "cudagraph_mode" not in found):
        own["graphs"] = False
    mode = str(found.get("cudagraph_mode", "")).upper()
    if str(level) in ("1", "O1") and not mode and at_least(read.version, 0, 12):
        # config/vllm.py `OPTIMIZATION_LEVEL_01`; before, levels were of compilation.
        own["whole_graphs"] = False
    if mode == "NONE" or found.get("use_cudagraph") is False:
        own["graphs"] = False
    elif mode == "PIECEWISE":
        own["whole_graphs"] = False
    elif mode in ("FULL", "FULL_DECODE_ONLY"):
        own["piece_graphs"] = False
    sizes = read.get("--cudagraph-capture-sizes") or read.get("--cuda-graph-sizes") or found.get("cudagraph_capture_sizes")
    if sizes is not None:
        numbers = tuple(sorted({int(n) for n in sizes}))
        if numbers and numbers[0] < 1:
            raise UsageError(f"--cudagraph-capture-sizes {numbers[0]}: a number above 0 was expected", "such as 1 2 4 8")
        if len(numbers) == 1 and read.get("--cuda-graph-sizes") and not read.get("--cudagraph-capture-sizes"):
            # One number is the largest of the usual ones (0.10, config.py `cuda_graph_sizes`).
            own["largest_capture"] = numbers[0]
        else:
            own["capture_sizes"] = numbers
    if (most := _first(read.get("--max-cudagraph-capture-size"), found.get("max_cudagraph_capture_size"))) is not None:
        # config/vllm.py `_set_cudagraph_sizes` asserts it where graphs are captured.
        if int(most) < 1 and own.get("graphs", True) and not read.get("--enforce-eager"):
            raise UsageError(
                f"--max-cudagraph-capture-size {most}: a number above 0 was expected", "or --enforce-eager, for no graphs"
            )
        own["largest_capture"] = int(most)
    return own


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _speculation(read: Read) -> dict[str, Any] | None:
    given = read.get("--speculative-config")
    if given is not None:
        found = json_of("--speculative-config", given)
    elif any(read.get(flag) is not None for flag in ("--spec-method", "--spec-model", "--spec-tokens")):
        found = {"method": read.get("--spec-method"), "model": read.get("--spec-model")}
        found = {k: v for k, v in found.items() if v}
    elif read.get("--speculative-model"):
        found = {"model": read.get("--speculative-model")}
    else:
        return None
    tokens = read.get("--spec-tokens") or read.get("--num-speculative-tokens") or found.get("num_speculative_tokens")
    if tokens is None and not found.get("model") and found.get("method") != "suffix":
        # `SpeculativeConfig._verify_args`: a draft model's own config may state it, and nothing else does.
        raise UsageError(
            "--speculative-config: num_speculative_tokens is missing, and there is no draft model that states it",
            'such as {"method": "mtp", "num_speculative_tokens": 1}',
        )
    if not found.get("model") and not found.get("method") and at_least(read.version, 0, 12):
        # `__post_init__`: "num_speculative_tokens was provided but without speculative model"; before, MTP's models stood for themselves.
        flag = "--speculative-config" if given is not None else "--spec-tokens"
        raise UsageError(
            f"{flag}: neither a method nor a draft model is named", 'such as {"method": "mtp", ...}, or --spec-method mtp'
        )
    try:
        found["num_speculative_tokens"] = int(tokens) if tokens is not None else 1
    except (TypeError, ValueError) as error:
        raise UsageError(f"num_speculative_tokens {tokens}: a whole number was expected", "such as 1") from error
    if found["num_speculative_tokens"] < 1:
        raise UsageError(f"num_speculative_tokens {tokens}: a number above 0 was expected", "such as 1")
    return found
