"""What each flag of an engine does to speed: nothing, what a forecast reads itself, or what no measurement behind a forecast was run with.

A flag's value counts where it is another than the engine's own. A flag that stands in no list, and of which the figures of the memory know
nothing, is of the third kind. What published runs were started with is read from the scripts of InferenceX (843c625,
benchmarks/single_node/: `--attention-backend trtllm_mha`, `--moe-runner-backend flashinfer_trtllm`, `--stream-interval` and the like).
Patterns are those of `fnmatch`; values are compared in lower case.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

from archcalc.commands import effects
from archcalc.commands.words import Engine
from archcalc.records import NamedTuple

Speed = Literal["nothing", "known", "unmeasured"]
Where = Literal["", "ranks", "several", "experts", "windows"]


class Unmeasured(NamedTuple):
    """Flags that no measurement was run with, and what they do, as it follows their names.

    `at` are the values that do it, all but the engine's own and those of `runs` where it is empty; `runs` are values that measurements were
    run with. `where` limits it to plans of several GPUs, to several requests at once, to models with experts or with windows. `drafts` is
    true of those that have tokens drafted.
    """

    flags: str
    what: str
    at: str = ""
    runs: str = ""
    where: Where = ""
    drafts: bool = False


_ANY = "what it does to speed is not known here"
_NCCL = "sums between GPUs go through NCCL alone"
_ADAPTERS = "adapters' products come beside those of each layer"
_COPIES = "parts of the cache go to the CPU's memory and back"
_WHOLE = "a prompt is read in one step, and the others wait for it"
_ELSEWHERE = "the modelling code is that of Transformers"
_KERNEL = "another kernel than the engine's own choice may run"
_DRAFTED = "tokens are drafted"
_NOT_HIDDEN = "the scheduler's work is not hidden behind a step"
_CONTEXT = "ranks share out the cache of a sequence"

_UNMEASURED: Mapping[Engine, tuple[Unmeasured, ...]] = {
    "vllm": (
        Unmeasured("--speculative-config --speculative-model --spec-model --spec-method", _DRAFTED, drafts=True),
        Unmeasured("--enable-chunked-prefill", _WHOLE, at="false 0", where="several"),
        Unmeasured("--disable-custom-all-reduce", _NCCL, where="ranks"),
        Unmeasured("--attention-backend --attention-config --mm-encoder-attn-backend", _KERNEL),
        Unmeasured("--moe-backend", _KERNEL, runs="triton marlin", where="experts"),
        Unmeasured("--linear-backend --kernel-config --ir-op-priority --monokernel --gdn-prefill-backend --kda-*-backend", _KERNEL),
        Unmeasured("--mamba-backend --mamba-ssu-algorithm --sparse-indexer-topk-backend", _KERNEL),
        Unmeasured("--enable-lora --enable-prompt-adapter", _ADAPTERS),
        Unmeasured("--kv-offloading-size", _COPIES),
        Unmeasured("--decode-context-parallel-size --prefill-context-parallel-size", _CONTEXT, where="ranks"),
        Unmeasured("--model-impl", _ELSEWHERE, at="transformers"),
        Unmeasured("--enable-eplb --num-redundant-experts --all2all-backend", "experts are exchanged otherwise", where="experts"),
        Unmeasured("--num-scheduler-steps", "several steps are scheduled at once"),
        Unmeasured("--async-scheduling", _NOT_HIDDEN, at="false 0"),
        Unmeasured("--prefill-schedule-interval", "prompts wait for several steps", where="several"),
        Unmeasured("--max-num-partial-prefills", "long prompts are read in small steps"),
        Unmeasured("--long-prefill-token-threshold-adaptive", "the steps that prompts are read in change with their number"),
        Unmeasured("--calculate-kv-scales", _ANY),
    ),
    "sglang": (
        Unmeasured("--speculative-algorithm --speculative-draft-model-path", _DRAFTED, drafts=True),
        Unmeasured("--disable-custom-all-reduce --enable-mscclpp", "sums between GPUs take another way", where="ranks"),
        Unmeasured("--chunked-prefill-size", _WHOLE, at="-1 0", where="several"),
        Unmeasured(
            "--attention-backend --prefill-attention-backend --decode-attention-backend",
            _KERNEL,
            runs="trtllm_mha trtllm_mla flashinfer nsa fa3",
        ),
        Unmeasured("--moe-runner-backend", _KERNEL, runs="flashinfer_trtllm flashinfer_mxfp4 marlin", where="experts"),
        Unmeasured("--fp8-gemm-backend --fp4-gemm-backend --bf16-gemm-backend --linear-attn-*backend", _KERNEL),
        Unmeasured("--enable-deepep-moe --enable-eplb", "experts are exchanged otherwise", where="experts"),
        Unmeasured("--moe-a2a-backend", "experts are exchanged otherwise", runs="megamoe", where="experts"),
        Unmeasured("--enable-lora --lora-paths", _ADAPTERS),
        Unmeasured("--enable-hierarchical-cache --enable-lmcache --enable-flexkv --enable-hisparse", _COPIES),
        Unmeasured("--dcp-size --attn-cp-size --attention-context-parallel-size", _CONTEXT, where="ranks"),
        Unmeasured("--disable-overlap-schedule", _NOT_HIDDEN),
        Unmeasured("--prefill-decode-interval --prefill-decode-interval-min-bs", "prompts wait for several steps", where="several"),
        Unmeasured("--enable-mixed-chunk", "prompts and tokens share their steps", where="several"),
        Unmeasured("--num-continuous-decode-steps", "prompts wait for several steps", where="several"),
        Unmeasured("--disable-cuda-graph-padding", "a batch between the captured sizes runs without a graph"),
        Unmeasured("--enable-deterministic-inference", "kernels are taken that give the same at every batch"),
        Unmeasured("--impl --model-impl", _ELSEWHERE, at="transformers"),
        Unmeasured("--kt-num-gpu-experts --kt-weight-path --kt-amx-weight-path", "the CPU computes experts", where="experts"),
    ),
    "llama.cpp": (
        Unmeasured("--model-draft --spec-draft-model --spec-draft-hf --hf-repo-draft --spec-type", _DRAFTED, drafts=True),
        Unmeasured("--mtp --dflash --eagle3 --spec-default --fim-qwen-*-spec", _DRAFTED, drafts=True),
        Unmeasured("--lookup-cache-static --lookup-cache-dynamic", _DRAFTED, drafts=True),
        Unmeasured("--kv-offload", "the cache lies in the CPU's memory", at="false"),
        Unmeasured("--no-kv-offload", "the cache lies in the CPU's memory"),
        Unmeasured("--lora --lora-scaled --control-vector*", _ADAPTERS),
        Unmeasured("--rpc", "layers lie on other machines"),
        Unmeasured("--cont-batching", "requests wait until a batch has ended", at="false", where="several"),
        Unmeasured("--no-cont-batching", "requests wait until a batch has ended", where="several"),
        Unmeasured("--swa-full", "layers with a window read whole caches", where="windows"),
        Unmeasured("--grp-attn-n", _ANY),
        Unmeasured("--n-cpu-ffn", "a part of the layers runs on the CPU"),
    ),
    "ollama": (),
    "mlx": (
        Unmeasured("--draft-model", _DRAFTED, drafts=True),
        Unmeasured("--adapter-path", _ADAPTERS),
        Unmeasured("--prefill-step-size", "prompts were measured 2,048 tokens at a time"),
    ),
}
_NOTHING: Mapping[Engine, str] = {
    "vllm": """
        --config --device-ids --enable-flashinfer-autotune --mm-* --enable-mm-embeds --enable-multimodal-encoder* --ec-*
        --eplb-* --cpu-offload-params --dbo-* --use-gpu-for-pooling-score --per-request-spec* --sleep-* --weight-transfer-config
        --enable-shm-tensor-arena --aux-output-config --max-lora* --lora-* --long-lora* --fully-sharded-loras --specialize-active-lora
        --enable-*-lora* --enable-moe-shared-loras --enable-lora-bias --qlora* --max-prompt-adapter* --prompt-adapters --speculative-*
        --num-speculative-tokens --spec-tokens --override-neuron-config --prefix-* --enable-mamba-*prefix* --mamba-block-size
        --mamba-cache-mode --elastic-ep-max-dp-size --disable-nccl-for-dp* --enable-sleep-mode
        --enable-cumem-allocator --enable-nccl-comm-suspend --diffusion-config --enable-ep-weight-filter --enable-prompt-embeds
    """,
    "sglang": """
        --config --decrypted-* --custom-sigquit-handler --enable-cudagraph-gc --expert-*recorder* --expert-balancedness*
        --enable-expert-distribution* --enable-mfu-metrics --*forward-pass-metrics* --model-checksum --mm-* --encoder-* --pre-warm-nccl
        --weight-cache-* --startup-weight* --remote-instance* --max-loaded-loras --limit-mm-data* --disaggregation-* --speculative-*
        --eplb-* --deepep-* --hicache-* --mooncake-ib-device --modelopt-* --cuda-graph-*prefill* --cuda-graph-prefill*
        --piecewise-cuda-graph* --*-piecewise-cuda-graph --enable-profile-cuda-graph --dllm-* --tbo-* --kt-* --lora-* --ds-*
        --num-reserved-decode* --torch-compile-max-bs --elastic-ep-* --engine-info* --enable-broadcast-mm* --enable-prefix-mm*
        --enable-mm-global* --keep-mm-feature* --lmcache-config-file --flexkv-config-file --hisparse-config --pdmux-config-path
        --pdlb-url --mamba-track-interval --enable-memory-saver --enable-weights-cpu-backup --enable-draft-weights* --enable-nccl-nvls
        --max-ep-size --quantize-and-serve --init-expert-location --ep-dispatch-algorithm --spec-trace-dir --decoupled-spec-*
        --multi-item-scoring* --enable-lora-overlap* --uno-lora-path --optimistic-prefill* --mlx-enable-sampling --record-nolora*
        --experts-shared-outer-loras --prefill-delayer-* --enable-return-* --max-lora* --msprobe* --quantization-param-path
        --enable-streaming-session --enable-session-radix-cache --radix-cache-backend --enable-mis --prefill-only-*
    """,
    "llama.cpp": """
        --agent --backend-sampling --binary-file --cache-* --check --chunk* --cls-separator --context-file --cors-* --ctx-size-draft
        --defrag-thold --device-draft --diffusion-* --docker-repo --dump-kv-cache --embd-* --epochs --*-default --fit-print
        --hellaswag* --hf-*-v --ids --junk --kl-divergence --kv-unified-per-slot --learning-rate* --lora-init* --method
        --mmproj-auto --model-vocoder --mtmd-batch* --multiple-choice* --n-cpu-moe-draft --negative-file --no-bos --no-parse-special
        --no-ppl --optimizer --override-tensor-draft --p-split --parse-special --pca-* --penalize-nl --perplexity --pos* --ppl*
        --print-token-count --process-output --save-* --sequences --server-base --spec-* --spm-infill --stdin
        --tensor-filter --tts-* --val-split --video-* --weight-decay --winogrande* --grp-attn-w
    """,
    "ollama": "",
    "mlx": "--num-draft-tokens",
}
_KNOWN: Mapping[Engine, str] = {
    "vllm": "--kv-transfer-config --ec-transfer-config --long-prefill-token-threshold --max-num-scheduled-tokens",
    "sglang": """
        --disaggregation-mode --cuda-graph-backend-decode --cuda-graph-config --enable-flashinfer-allreduce-fusion
        --flashinfer-allreduce-fusion-backend --enable-prefill-delayer --enable-dp-lm-head --enable-dp-attention-local-control-broadcast
        --nsa-prefill-backend --nsa-decode-backend --nsa-prefill --nsa-decode --dsa-prefill-backend --dsa-decode-backend
        --enable-flashinfer-moe --enable-flashinfer-trtllm-moe --enable-flashinfer-mxfp4-moe --enable-flashinfer-mla --enable-flashmla
        --pp-max-micro-batch-size --max-micro-batch-size
    """,
    "llama.cpp": "",
    "ollama": "",
    "mlx": "",
}
"""What the memory is not counted by: a forecast reads it, or published runs were started with it."""
VARIABLES: Mapping[str, tuple[str, Where]] = {
    "CUDA_LAUNCH_BLOCKING": ("each kernel waits for the one before it", ""),
    "VLLM_ATTENTION_BACKEND": (_KERNEL, ""),
    "VLLM_BATCH_INVARIANT": ("kernels are taken that give the same at every batch", ""),
    "TORCH_COMPILE_DISABLE": ("the model is not compiled", ""),
    "TORCHDYNAMO_DISABLE": ("the model is not compiled", ""),
    "NCCL_P2P_DISABLE": ("GPUs reach each other over the CPU's memory alone", "ranks"),
    "NCCL_SHM_DISABLE": (_NCCL, "ranks"),
    "GGML_CUDA_DISABLE_GRAPHS": ("every kernel is started by itself", ""),
    "GGML_CUDA_FORCE_CUBLAS": (_KERNEL, ""),
    "GGML_CUDA_FORCE_MMQ": (_KERNEL, ""),
    "OLLAMA_SCHED_SPREAD": ("layers are spread over all GPUs, and measurements ran on as few as hold them", "ranks"),
}
"""Variables of the environment that do the same, of whatever program: what they do, and where."""
_OFF = frozenset({"", "false", "0", "off", "no", "none", "null", "auto", "default"})


@cache
def _lists(engine: Engine) -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(_KNOWN[engine].split()), tuple(_NOTHING[engine].split())


@cache
def unmeasured(engine: Engine, flag: str) -> Unmeasured | None:
    """What a flag, by its full name, does that nothing was measured with; None where it does nothing of that kind at any value."""
    known, nothing = _lists(engine)
    for row in _UNMEASURED[engine]:
        if any(fnmatchcase(flag, pattern) for pattern in row.flags.split()):
            return row
    if flag in known or effects.effect(engine, flag) != "unmodelled" or any(fnmatchcase(flag, pattern) for pattern in nothing):
        return None
    return Unmeasured(flag, _ANY)


def speed(engine: Engine, flag: str) -> Speed:
    """What a flag, by its full name, does to speed."""
    if unmeasured(engine, flag) is not None:
        return "unmeasured"
    return "known" if flag in _lists(engine)[0] or effects.effect(engine, flag) == "used" else "nothing"


def departs(engine: Engine, flag: str, value: str) -> Unmeasured | None:
    """What a flag of that value does that nothing was measured with; None where it does not, as where the value is the engine's own."""
    row = unmeasured(engine, flag)
    if row is None:
        return None
    said = value.strip().lower()
    if row.at:
        return row if said in row.at.split() else None
    return None if said in _OFF or said in row.runs.split() or said in _defaults(engine, flag) else row


@cache
def _defaults(engine: Engine, flag: str) -> frozenset[str]:
    from archcalc.commands.flags import TABLED, table

    if engine not in TABLED:
        return frozenset()
    return frozenset(row.default.strip().strip("\"'").lower() for row in table(engine).rows.get(flag, ()) if row.default)


def switched_on(value: str) -> bool:
    """Whether a variable of the environment is set to anything that does not turn it off."""
    return value.strip().strip("\"'").lower() not in _OFF
