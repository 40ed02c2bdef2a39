"""`sglang.launch_server`'s flags as a question.

Sources: SGLang 0.5.23, srt/arg_groups/fields/, srt/arg_groups/parallel_hook.py (attention in data parallelism divides the ranks of
`--tp`), srt/arg_groups/speculative_hook.py; earlier releases, srt/server_args.py.
"""

from __future__ import annotations

from typing import Any

from archcalc.commands.environment import true
from archcalc.commands.flags import Read
from archcalc.engines.asked import Asked
from archcalc.engines.sglang import attention
from archcalc.engines.sglang.lengths import LIFTS
from archcalc.engines.sglang.quantization import ONLINE
from archcalc.engines.sglang.rules import check_known, since, spreads_by_switch
from archcalc.engines.sglang.settings import Settings
from archcalc.engines.vllm.flags import flattened, json_of
from archcalc.errors import UsageError

_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "half": "fp16", "float32": "fp32", "float": "fp32"}
_CACHES: dict[str, str] = {"fp8_e4m3": "fp8_e4m3", "fp8_e5m2": "fp8_e5m2", "bf16": "bf16", "bfloat16": "bf16"}
_OWN_DRAFTS = frozenset({"EAGLE", "NEXTN", "FROZEN_KV_MTP"})
# Algorithms whose drafts are made a step after the other; DFlash and DSpark take one step whatever is asked for.
_STEPPED = frozenset({"EAGLE", "EAGLE3", "NEXTN", "FROZEN_KV_MTP", "STANDALONE"})
_NUMBERS = {
    "--max-running-requests": "running", "--max-total-tokens": "tokens", "--max-prefill-tokens": "prefill_tokens",
    "--page-size": "page", "--max-mamba-cache-size": "state_slots",
}  # fmt: skip
_GIB = 1 << 30
_CAPTURED = ("--cuda-graph-max-bs", "--cuda-graph-max-bs-decode", "--cuda-graph-bs", "--cuda-graph-bs-decode")
_TRUE = ("1", "true", "yes", "y")


def asked(read: Read) -> Asked:
    """What the command asks for. Raises `UsageError` where it names no model, or two."""
    check_known(read.version)
    if read.command.program == "sglang serve" and not since(read.version, 0, 5, 5):
        raise UsageError(f"SGLang {read.version} has no sglang serve", "start it with python -m sglang.launch_server")
    unmodelled: list[str] = []
    notes: list[str] = []
    named = list(dict.fromkeys([*read.positional, *([str(read.get("--model-path"))] if read.get("--model-path") else [])]))
    if len(named) != 1:
        what = f"names {len(named)} models: {' and '.join(named)[:120]}" if named else "names no model"
        raise UsageError(f"the command {what}", "--model-path MODEL, once")
    revision = read.get("--revision")
    model = f"{named[0]}@{revision}" if revision and "/" in named[0] else named[0]
    ranks = _ranks("--tp-size", read.get("--tp-size", "--tensor-parallel-size"))
    pp = _ranks("--pp-size", read.get("--pp-size", "--pipeline-parallel-size"))
    dp = _ranks("--dp-size", read.get("--dp-size", "--data-parallel-size"))
    divides = _ranks("--attn-dp-size", read.get("--attn-dp-size", "--attention-data-parallel-size"))
    shared = bool(read.get("--enable-dp-attention")) or divides > 1
    tp = ranks
    if shared:
        # The older spelling names the same groups by the flag of replicas (`handle_deprecated_dp_attention`).
        named_by = "--attn-dp-size" if divides > 1 else "--dp-size"
        if divides > 1 and dp > 1:
            raise UsageError(
                f"--dp-size {dp} replicas of --attn-dp-size {divides}: archcalc plans one of them",
                f"leave --dp-size out, and name the GPUs of one replica, of which there are {dp}",
            )
        dp = max(dp, divides)
        if ranks % dp:
            raise UsageError(
                f"--tp {ranks} is no multiple of {named_by} {dp}: attention in data parallelism divides its ranks",
                f"such as --tp 8 {named_by} 8",
            )
        tp = ranks // dp
    for flag in ("--nnodes", "--attn-cp-size", "--moe-dense-tp-size", "--moe-dp-size"):
        # Ranks are divided by them (srt/arg_groups/validation_hook.py `check_server_args`, parallel_hook.py).
        _ranks(flag, read.get(flag))
    _machines(read, ranks * pp, dp, shared=shared)
    ep = _ranks("--ep-size", read.get("--ep-size", "--expert-parallel-size"))
    if read.get("--enable-ep-moe") or read.get("--enable-deepep-moe"):
        ep = ranks
    elif spreads_by_switch(read.version):
        ep = 1
    values: dict[str, Any] = {"tp": tp, "pp": pp, "dp": dp, "ep": ep, "dcp": _ranks("--dcp-size", read.get("--dcp-size"))}
    if (context := read.get("--context-length")) is not None:
        if context <= 0:
            raise UsageError(f"--context-length {context}: a number above 0 was expected", "such as 32768")
        values["context_tokens"] = context
    if (share := read.get("--mem-fraction-static")) is not None:
        if not 0 < share <= 1:
            raise UsageError(f"--mem-fraction-static {share:g}: a share of the memory was expected", "above 0, up to 1")
        values["utilization"] = share
    if (cache := read.get("--kv-cache-dtype")) not in (None, "auto"):
        values["kv_dtype"] = _CACHES.get(str(cache), str(cache))
    method, dtype = read.get("--quantization"), read.get("--dtype")
    if method in ONLINE:
        values["quant"] = f"?{ONLINE[method]}"
    elif method is None and dtype not in (None, "auto"):
        if dtype not in _DTYPES:
            raise UsageError(f"--dtype {str(dtype)[:40]}: SGLang has no such dtype", f"one of auto, {', '.join(_DTYPES)}")
        # What is quantized stays so.
        values["quant"] = f"?{_DTYPES[str(dtype)]}"
    overrides: tuple[str, ...] = ()
    if (given := read.get("--json-model-override-args")) is not None:
        text = given[-1] if isinstance(given, list) else given
        overrides = tuple(flattened("--json-model-override-args", json_of("--json-model-override-args", text)))
    own, draft = _settings(read, shared, unmodelled)
    own, nodes = _environment(read, own), read.get("--nnodes")
    # Of a number that only a shell knows nothing is held against a host.
    unknown = nodes is None and any(each.name == "--nnodes" for each in read.given)
    own = own._replace(nodes=nodes or 1, launched=bool(read.get("--use-ray")) or unknown)
    if (page := attention.page(own.backends, own.page)) != own.page:
        if own.page is not None:
            by = next(name for name in own.backends if name and attention.page((name, "", ""), own.page) == page)
            notes.append(f"--page-size {own.page}: SGLang takes {page} for the attention backend {by}")
        own = own._replace(page=page)
    if draft is not None:
        unmodelled.append("--speculative-draft-model-path")
        notes.append(f"the draft model {draft} is not counted: its weights and its layers' cache come on top")
    gpus = ranks * pp * (1 if shared else dp)
    return Asked("sglang", model, read.version, values, own, overrides, draft, gpus, tuple(unmodelled), tuple(notes))


def _machines(read: Read, ranks: int, dp: int, *, shared: bool) -> None:
    """What SGLang asserts of several machines: 0.4.0 to 0.5.4, srt/server_args.py `check_server_args`; 0.5.23, srt/arg_groups/
    validation_hook.py and srt/server_args.py `PortArgs.init_new`, which splits the address."""
    nodes = read.get("--nnodes") or 1
    if nodes == 1:
        return
    if ranks % nodes:
        raise UsageError(
            f"--nnodes {nodes}: {ranks} ranks of --tp-size and --pp-size do not lie evenly on {nodes} machines",
            "name as many machines as share them",
        )
    if dp > 1 and not shared:
        raise UsageError(
            f"--nnodes {nodes} --dp-size {dp}: SGLang runs replicas on several machines with data-parallel attention alone",
            "start a server on each machine, or add --enable-dp-attention",
        )
    if shared and not any(each.name == "--dist-init-addr" for each in read.given):
        raise UsageError(
            f"--nnodes {nodes} with data-parallel attention: SGLang needs the address of the first machine",
            "--dist-init-addr ADDRESS:PORT, the same on each",
        )


def _environment(read: Read, own: Settings) -> Settings:
    """What variables say: a switch is true as `get_bool_env_var` and, since 0.5.4, srt/environ.py `EnvBool` read it; 0.3 took any text."""
    given = dict(read.command.environment)
    if (value := given.get(LIFTS.partition("=")[0])) is not None:
        own = own._replace(allows_longer=bool(value) if not since(read.version, 0, 4) else true(value, words=_TRUE))
    ssm = given.get("SGLANG_MAMBA_SSM_DTYPE", "").strip()
    return own._replace(ssm_dtype=_DTYPES.get(ssm, ssm)) if ssm and own.ssm_dtype is None else own


def _ranks(flag: str, value: Any) -> int:
    return 1 if value is None else _positive(flag, value)


def _positive(flag: str, value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= 4096:
        raise UsageError(f"{flag} {value}: a number of ranks was expected", "1 or more")
    return value


def _settings(read: Read, shared: bool, unmodelled: list[str]) -> tuple[Settings, str | None]:
    method = read.get("--quantization")
    own: dict[str, Any] = {"method": None if method in (None, "unquant") else str(method).lower()}
    own["whole_towers"] = bool(read.get("--mm-enable-dp-encoder"))
    own |= {"attention_dp": shared, "radix_cache": not read.get("--disable-radix-cache")}
    for flag, name in _NUMBERS.items():
        if (value := read.get(flag)) is not None:
            if value < 1:
                raise UsageError(f"{flag} {value}: a number above 0 was expected", "such as 1024")
            own[name] = value
    if (chunk := read.get("--chunked-prefill-size")) is not None:
        own["chunk"] = max(0, chunk)
    if (ratio := read.get("--swa-full-tokens-ratio")) is not None:
        if not 0 < ratio <= 1:
            raise UsageError(f"--swa-full-tokens-ratio {ratio:g}: a share was expected", "above 0, up to 1")
        own["swa_ratio"] = ratio
    if (ratio := read.get("--mamba-full-memory-ratio")) is not None:
        if ratio <= 0:
            raise UsageError(f"--mamba-full-memory-ratio {ratio:g}: a ratio above 0 was expected", "such as 0.9")
        own["state_share"] = ratio
    own["one_pool"] = bool(read.get("--disable-hybrid-swa-memory"))
    strategy = read.get("--mamba-radix-cache-strategy", "--mamba-scheduler-strategy")
    if strategy in ("extra_buffer", "no_buffer"):
        own["tracked"] = strategy == "extra_buffer"
    if (dtype := read.get("--mamba-ssm-dtype")) is not None:
        own["ssm_dtype"] = _DTYPES.get(str(dtype), str(dtype))
    own["wide_cache"] = _DTYPES.get(str(read.get("--dtype"))) == "fp32" and read.get("--kv-cache-dtype") in (None, "auto")
    own["cache"] = str(read.get("--kv-cache-dtype") or "auto")
    first, decode, prefill = (str(read.get(flag) or "") for flag in attention.FLAGS)
    own["backends"] = (first or (prefill if prefill == decode else ""), decode, prefill)
    own["graphs"] = not (read.get("--disable-cuda-graph") or read.get("--disable-decode-cuda-graph"))
    stopped = ("--disable-cuda-graph", "--disable-piecewise-cuda-graph", "--disable-prefill-cuda-graph")
    own["prefill_graphs"] = not any(read.get(flag) for flag in stopped)
    batch = read.get("--cuda-graph-max-bs", "--cuda-graph-max-bs-decode")
    listed = read.get("--cuda-graph-bs", "--cuda-graph-bs-decode")
    if batch is not None:
        own["graph_batch"] = int(batch)
    elif listed:
        own["graph_batch"] = max(int(n) for n in listed)
    if own["graphs"] and (smallest := min([own.get("graph_batch", 1), *(int(n) for n in listed or ())])) < 0:
        # srt/model_executor/runner/base_cuda_graph_runner.py `get_batch_sizes_to_capture`; 0.4, cuda_graph_runner.py.
        flag = next(f for f in _CAPTURED if read.get(f) is not None)
        raise UsageError(f"{flag} {smallest}: a batch above 0 was expected", "or --disable-cuda-graph, for no graphs")
    own["text_alone"] = bool(read.get("--language-only") or read.get("--language-model-only"))
    draft = None
    algorithm = str(read.get("--speculative-algorithm") or "").upper()
    if algorithm:
        own["speculation"] = algorithm
        for flag in ("--speculative-num-draft-tokens", "--speculative-num-steps", "--speculative-eagle-topk"):
            if (drafted := read.get(flag)) is not None and drafted < 0:
                raise UsageError(f"{flag} {drafted}: a number above 0 was expected", "such as 4")
        own["draft_tokens"] = int(read.get("--speculative-num-draft-tokens") or 0)
        steps, branches = read.get("--speculative-num-steps"), read.get("--speculative-eagle-topk")
        if steps == 0 and algorithm == "UNO" and (branches or 1) > 1:
            # srt/arg_groups/speculative_hook.py: "UNO tree mode requires --speculative-num-steps to be positive".
            raise UsageError("--speculative-num-steps 0: SGLang takes 1 or more for UNO's trees", "such as 4")
        if steps == 0 and algorithm in _STEPPED:
            # Nothing refuses it, and what the workers do then was not read.
            unmodelled.append("--speculative-num-steps")
        draft = read.get("--speculative-draft-model-path")
        own["drafted_elsewhere"] = draft is not None
        own["mtp"] = algorithm in _OWN_DRAFTS and draft is None
        # srt/arg_groups/serving_hook.py `_handle_missing_default_values`: where nothing is said, as the model (0.5.7; before, always so).
        drafted_in = str(read.get("--speculative-draft-model-quantization") or own["method"] or "unquant").lower()
        own["draft_method"] = None if drafted_in == "unquant" else drafted_in
    _adapters(read)
    page, chunk = own.get("page"), own.get("chunk")
    if page and chunk and not shared and chunk % page and since(read.version, 0, 4, 9, 4):
        # `check_server_args`; attention in data parallelism divides the chunk.
        raise UsageError(
            f"--chunked-prefill-size {chunk} is no multiple of --page-size {page}", f"such as {max(1, chunk // page) * page}"
        )
    if (size := read.get("--cpu-offload-gb")) is not None:
        # srt/utils/offloader.py `create_offloader_from_server_args`: below 0 is none.
        own["offload_bytes"] = max(0, int(size)) * _GIB
    if read.get("--enable-hierarchical-cache"):
        _hierarchy(read, own, unmodelled)
    own["symmetric"] = bool(read.get("--enable-symm-mem"))
    kinds = (
        "--kt-num-gpu-experts",
        "--kt-weight-path",
        "--hybrid-kvcache-ratio",
        "--enable-lora",
        "--lora-paths",
        "--enable-symm-mem",
    )
    unmodelled += [flag for flag in kinds if read.get(flag) not in (None, False)]
    own["trusts"] = bool(read.get("--trust-remote-code"))
    own["reads_tokens"] = not (read.get("--skip-tokenizer-init") or read.get("--tokenizer-path"))
    return Settings(**own), draft


def _adapters(read: Read) -> None:
    """What `check_lora_server_args` refuses (srt/arg_groups/lora_hook.py; before 0.5.19 in srt/server_args.py)."""
    if not read.get("--enable-lora"):
        return
    shapes = read.get("--max-lora-rank") and read.get("--lora-target-modules")
    if not read.get("--lora-paths") and not shapes and since(read.version, 0, 4, 9, 4):
        raise UsageError(
            "--enable-lora: without --lora-paths SGLang has to know the adapters' shapes",
            "add --max-lora-rank and --lora-target-modules",
        )
    loaded, at_once = read.get("--max-loaded-loras"), read.get("--max-loras-per-batch")
    at_once = 8 if at_once is None else at_once
    if loaded is not None and loaded < at_once and since(read.version, 0, 5, 1):
        raise UsageError(f"--max-loaded-loras {loaded}: --max-loras-per-batch is {at_once}", "as many at least")


def _hierarchy(read: Read, own: dict[str, Any], unmodelled: list[str]) -> None:
    """A second cache in the CPU's memory, for each rank: GB, or a multiple of the GPU's pool (srt/mem_cache/pool_host/base.py).

    Without either it is a share of the memory that is free, since 0.5.21 (`--hicache-host-memory-fraction`).
    """
    ratio, size = read.get("--hicache-ratio"), read.get("--hicache-size")
    for flag, value in (("--hicache-ratio", ratio), ("--hicache-size", size)):
        if value is not None and not 0 <= value < 1 << 20:
            raise UsageError(f"{flag} {value:g}: a number above 0 was expected", "such as --hicache-ratio 2")
    if size:
        own["host_cache_bytes"] = int(size) * 10**9
    elif ratio or not since(read.version, 0, 5, 21):
        own["host_ratio"] = float(ratio or 2.0)
    else:
        unmodelled.append("--enable-hierarchical-cache")
