"""What each flag of an engine does to memory: `used` in the figures, `inert`, or not modelled and named in the verdict.

A flag that stands in neither list is not modelled. What is inert changes where the engine listens, what it logs, how it schedules or
samples or parses, or where weights come from: none of it moves a byte between weights, cache and activations. Patterns are those of
`fnmatch`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from functools import cache
from typing import Literal

from archcalc.commands.words import Engine

Effect = Literal["used", "inert", "unmodelled"]

_USED: Mapping[Engine, str] = {
    "vllm": """
        --model --revision --max-model-len --max-num-seqs --max-num-batched-tokens --gpu-memory-utilization
        --kv-cache-memory-bytes --kv-cache-dtype --tensor-parallel-size --pipeline-parallel-size --data-parallel-size
        --enable-expert-parallel --decode-context-parallel-size --enforce-eager --block-size --enable-prefix-caching
        --mm-encoder-tp-mode --enable-multimodal-encoder-data-parallel
        --limit-mm-per-prompt --language-model-only --skip-mm-profiling --mamba-ssm-cache-dtype --mamba-cache-dtype
        --cpu-offload-gb --kv-offloading-size --kv-offloading-backend
        --speculative-config --spec-method --spec-model --spec-tokens --speculative-model
        --num-speculative-tokens --quantization --dtype --hf-overrides --rope-scaling --rope-theta --cudagraph-capture-sizes
        --max-cudagraph-capture-size --cuda-graph-sizes --compilation-config --optimization-level --enable-lora --max-loras
        --max-lora-rank --lora-target-modules --disable-hybrid-kv-cache-manager --num-gpu-blocks-override --device
        --enable-chunked-prefill --nnodes --disable-sliding-window --runner --task --convert --distributed-executor-backend
        --worker-use-ray --data-parallel-backend --data-parallel-size-local
    """,
    "sglang": """
        --model-path --revision --context-length --mem-fraction-static --chunked-prefill-size --max-running-requests
        --max-total-tokens --max-prefill-tokens --page-size --kv-cache-dtype --disable-radix-cache
        --tp-size --tensor-parallel-size --pp-size --use-ray --mm-enable-dp-encoder
        --pipeline-parallel-size --dp-size --data-parallel-size --ep-size --expert-parallel-size --enable-ep-moe
        --enable-deepep-moe --enable-dp-attention --attn-dp-size --dcp-size --disable-cuda-graph --cuda-graph-max-bs
        --cuda-graph-max-bs-decode --cuda-graph-bs --cuda-graph-bs-decode --disable-decode-cuda-graph --disable-piecewise-cuda-graph
        --disable-prefill-cuda-graph --swa-full-tokens-ratio --disable-hybrid-swa-memory --hybrid-kvcache-ratio
        --max-mamba-cache-size --mamba-full-memory-ratio --mamba-ssm-dtype --mamba-radix-cache-strategy --mamba-scheduler-strategy
        --speculative-algorithm --speculative-num-draft-tokens --speculative-num-steps --speculative-eagle-topk
        --speculative-draft-model-path --quantization --dtype --json-model-override-args --language-only --language-model-only
        --cpu-offload-gb --enable-hierarchical-cache --hicache-ratio --hicache-size
        --kt-num-gpu-experts --kt-weight-path --enable-symm-mem --device --enable-lora --lora-paths
        --max-lora-rank --max-loras-per-batch --lora-target-modules
        --attention-backend --prefill-attention-backend --decode-attention-backend
    """,
    "llama.cpp": """
        --model --hf-repo --hf-file --hf-repo-draft --ctx-size --parallel --kv-unified --gpu-layers --tensor-split --split-mode
        --override-tensor --n-cpu-moe --cpu-moe --cache-type-k --cache-type-v --flash-attn --swa-full --batch-size --ubatch-size
        --mmproj --mmproj-url --mmproj-auto --no-mmproj --mmproj-offload --no-mmproj-offload --mmap --no-mmap --mlock --no-kv-offload
        --kv-offload --fit --fit-target --fit-ctx --model-draft --spec-draft-model --spec-draft-hf --spec-draft-ngl
        --gpu-layers-draft --spec-type --spec-draft-n-max --spec-draft-type-k --spec-draft-type-v --op-offload --no-op-offload
        --embeddings --embedding --rerank --reranking --n-prompt --n-gen --n-depth -pg --cache-ram --main-gpu --device
    """,
    "ollama": "--num_ctx --num_gpu --num_batch --use_mmap --use_mlock",
    "mlx": """
        --model --prefill-step-size --kv-bits --kv-group-size --quantized-kv-start --prompt-cache-size --prompt-cache-bytes
        --decode-concurrency
    """,
}
_INERT: Mapping[Engine, str] = {
    "vllm": """
        --host --port --grpc* --uds --api-key --ssl* --enable-ssl-refresh --root-path --middleware --allow* --uvicorn* --log*
        --enable-log* --disable-log* --disable-uvicorn* --disable-access* --disable-fastapi* --disable-frontend* --h11*
        --chat-template* --trust-request* --default-chat* --default-mm-loras --response-role --return-tokens*
        --return-sampling-mask --tool* --enable-auto-tool* --exclude-tools* --expand-tools* --reasoning* --enable-reasoning
        --anthropic* --cohere* --enable-prompt-tokens* --enable-request-id* --enable-force* --enable-server-load*
        --enable-tokenizer-info* --enable-per-request* --enable-offline-docs --enable-flash-late* --sse* --fingerprint*
        --served-model-name --tokenizer* --skip-tokenizer-init --trust-remote-code --seed --download-dir --load-format
        --safetensors* --use-tqdm* --ignore-patterns --pt-load* --model-loader-extra-config --max-parallel-loading* --hf-token
        --hf-config-path --code-revision --config-format --generation-config --override-generation-config --max-logprobs
        --logprobs-mode --logits-processor* --use-fp64-gumbel --guided* --structured-outputs-config --scheduling-policy
        --scheduler-cls --scheduler-delay* --stream-interval --multi-step-stream* --preemption-mode --prefix-caching-hash-algo
        --collect-detailed* --otlp* --show-hidden* --custom-histogram* --kv-cache-metrics* --enable-mfu* --cudagraph-metrics
        --enable-layerwise* --profiler-config --engine-use-ray --ray-workers*
        --worker-cls --worker-extension-cls --distributed-timeout* --cpu-distributed-timeout* --master-addr --master-port
        --node-rank --headless --data-parallel-address --data-parallel-rpc-port --data-parallel-rank
        --data-parallel-start-rank --data-parallel-*lb --data-parallel-supervisor* --dp-supervisor*
        --dp-sync* --api-server-count --renderer-num-workers --numa* --shutdown-timeout --pooler-config
        --override-pooler-config --model-impl --media-io-kwargs --mm-processor-cache* --mm-cache* --disable-mm-preprocessor*
        --mm-hasher* --mm-shm* --interleave-mm* --io-processor* --swap-space --max-cpu-loras --lora-modules --lora-dtype
        --use-v2-block-manager --disable-async-output* --max-num-partial-prefills --max-long-partial*
        --long-prefill* --disable-chunked-mm* --num-lookahead-slots --async-scheduling --speculative-disable-by*
        --speculative-disable-mqa* --spec-decoding* --typical-acceptance* --disable-logprobs* --ngram-prompt*
        --disable-cascade-attn --calculate-kv-scales --quantization-param-path --enable-trace* --jit*
        --max-seq-len-to-capture --max-context-len-to-capture --max-num-queued* --prefill-schedule-interval --max-log-len
        --aggregate-engine* --kv-events-config --show-hidden* --additional-config --allow-deprecated* --expert-placement*
        --fail-on* --video-pruning* --watermark* --enable-log-deltas --tokens-only --enable-return-routed* --watchdog*
        --scheduler-reserve* --fault* --enable-fault*
    """,
    "sglang": """
        --host --port --grpc* --smg* --sidecar* --api-key --admin-api-key --ssl* --enable-ssl* --http2* --enable-http* --fastapi*
        --uvicorn* --log* --decode-log* --crash* --show-time* --enable-metrics* --tokenizer* --skip-tokenizer-init --trust*
        --random-seed --download-dir --load-format --model-loader* --weight-loader* --weight-version --checkpoint-engine*
        --custom-weight* --served-model-name --chat-template --completion-template --default-chat* --hf-chat* --tool* --reasoning*
        --strip-thinking* --enable-strict-thinking --grammar* --constrained* --sampling* --schedule-* --stream*
        --preferred-sampling* --watchdog* --soft-watchdog* --dist-init-addr --dist-timeout --nccl-port --nnodes --node-rank
        --base-gpu-id --gpu-id-step --numa-node --load-balance* --prefill-round*
        --max-queued-requests --num-continuous-decode-steps --enable-mixed-chunk --disable-overlap-schedule
        --enable-overlap-schedule --disable-jump* --enable-cache-report --collect-tokens* --prompt-tokens* --generation-tokens*
        --bucket* --extra-metric* --export-metrics* --otlp* --oltp* --enable-trace --trace* --kv-events* --warmups
        --skip-server-warmup --delete-ckpt* --disable-disk* --disable-outlines* --file-storage* --allow* --is-embedding --impl
        --model-impl --model-config-parser --enable-multimodal --enable-priority* --priority* --disable-priority*
        --default-priority* --abort-on* --retraction* --radix-eviction* --hicache-storage* --hicache-write* --hicache-io*
        --hicache-mem-layout --enable-custom-logit* --return-* --enable-p2p-check --disable-custom-all-reduce --sleep-on-idle
        --enable-request-time* --gc* --batch-notify* --incremental* --scheduler-recv* --enable-tokenizer-batch*
        --disable-tokenizer-batch* --dynamic-batch* --enable-dynamic-batch* --asr* --mm-io* --mm-max* --mm-per*
        --mm-processor-worker* --speculative-accept* --speculative-token-map --speculative-use* --enable-deterministic*
        --enable-response* --gated* --stat-loggers --watermark* --prefill-max* --prefill-decode-interval* --triton-attention*
        --disable-fast-image* --image-processor* --disable-flashinfer-autotune --enable-flashinfer-autotune --detokenizer*
        --load-watch* --load-snapshot* --load-publish* --mm-preprocess* --media-url* --modelexpress* --enable-nan* --disable-nan*
        --mm-attention-backend --fp8-gemm* --fp4-gemm*
        --bf16-gemm* --moe-runner* --lora-backend --linear-attn* --disable-cuda-graph-padding --max-lora-chunk* --enable-nccl-nvls
        --enable-mscclpp --lora-eviction*
    """,
    "llama.cpp": """
        --host --port --reuse-port --path --api* --ssl* --threads* --cpu-* --prio* --poll* --seed --temp* --top* --min-p --xtc*
        --typical --repeat* --presence* --frequency* --dry* --dynatemp* --adaptive* --mirostat* --logit-bias --grammar*
        --json-schema* --samplers --sampl* --ignore-eos --predict --keep --prompt* --file --in-* --interactive* --conversation
        --no-conversation --single-turn --multiline* --reverse-prompt --color --jinja --no-jinja --chat-template* --reasoning*
        --alias --tags --verbose* --log* --verbosity --version --license --help --completion* --metrics --slots --no-slots
        --slot-* --props --webui* --no-webui --ui* --timeout --warmup --no-warmup --perf --no-perf --show* --special --no-escape
        --escape --cont-batching --no-cont-batching --context-shift --no-context-shift --cache-prompt --no-cache-prompt
        --cache-reuse --numa --check-tensors --offline --hf-token --model-url --list-devices --simple-io --display* --no-display*
        --system-prompt* --skip-chat* --prefill-assistant --no-prefill-assistant --repetitions --output* --delay --progress
        --repack --no-repack --lazy-mode --load-mode --direct-io --sleep-idle* --models-* --tools*
        --mcp* --media-path --image --audio --image-*-tokens --pooling --attention --override-kv --sse* --spec-draft-n-min
        --spec-draft-p* --draft* --rope* --yarn* --ctx-checkpoints --checkpoint* --swa-checkpoints --no-host --color -npp -ntg
        -npl -pps -tgs
    """,
    "ollama": """
        --verbose --insecure --nowordwrap --hidethinking --truncate --format --keepalive --think --num_thread --num_predict
        --num_keep --temperature --top_k --top_p --min_p --stop --repeat_penalty --repeat_last_n --mirostat* --tfs_z --typical_p
        --presence_penalty --frequency_penalty --seed --dimensions --width --height --steps --negative --main_gpu --numa --f16_kv
        --low_vram
    """,
    "mlx": """
        --host --port --allowed-origins --chat-template* --log-level --max-tokens --min-p --temp --top-k --top-p
        --trust-remote-code --use-default* --prompt-concurrency --cache-limit-gb
    """,
}  # fmt: skip


# Flags that a release reads only beside another. Sources: vLLM 0.33, engine/arg_utils.py `create_engine_config` (LoRAConfig),
# config/vllm.py (KV offloading); SGLang 0.5.23, srt/arg_groups/speculative_hook.py, lora_hook.py, hicache fields.
_BESIDE: Mapping[Engine, Mapping[str, tuple[str, ...]]] = {
    "vllm": {
        **dict.fromkeys(("--max-loras", "--max-lora-rank", "--lora-target-modules"), ("--enable-lora",)),
        "--kv-offloading-backend": ("--kv-offloading-size",),
        "--num-speculative-tokens": ("--speculative-model", "--speculative-config"),
        "--spec-tokens": ("--spec-method", "--spec-model", "--speculative-config"),
    },
    "sglang": {
        **dict.fromkeys(
            (
                "--speculative-num-steps", "--speculative-eagle-topk", "--speculative-num-draft-tokens",
                "--speculative-draft-model-path",
            ),
            ("--speculative-algorithm",),
        ),
        **dict.fromkeys(("--max-lora-rank", "--max-loras-per-batch", "--lora-target-modules"), ("--enable-lora", "--lora-paths")),
        **dict.fromkeys(("--hicache-ratio", "--hicache-size"), ("--enable-hierarchical-cache",)),
    },
}  # fmt: skip


def alone(engine: Engine, flag: str, given: Collection[str]) -> bool:
    """Whether a flag stands without the one that it is read beside, and so changes nothing."""
    needed = _BESIDE.get(engine, {}).get(flag)
    return needed is not None and not any(name in given for name in needed)


@cache
def _lists(engine: Engine) -> tuple[frozenset[str], tuple[str, ...]]:
    return frozenset(_USED[engine].split()), tuple(_INERT[engine].split())


def effect(engine: Engine, flag: str) -> Effect:
    """What a flag, by its full name, does to memory."""
    used, inert = _lists(engine)
    if flag in used:
        return "used"
    return "inert" if any(fnmatchcase(flag, pattern) for pattern in inert) else "unmodelled"


def used(engine: Engine) -> frozenset[str]:
    """The flags that the figures take into account."""
    return _lists(engine)[0]
