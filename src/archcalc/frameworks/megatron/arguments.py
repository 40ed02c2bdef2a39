"""Megatron-LM's arguments: those read here, those that change no memory, and those that are not modelled."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from archcalc.errors import ConfigError, UnsupportedError, UsageError
from archcalc.frameworks.files import File, unresolved
from archcalc.frameworks.launch import flags_of
from archcalc.records import NamedTuple

# Groups of megatron/training/arguments.py and megatron/training/config/*.py (main of 2026-08) that change no memory of the GPU.
# (Hierarchical context parallelism exchanges heads for tokens, as many bytes on each rank; muP's scaled embeddings and logits take
# the place of those they are made of, core/models/common/language_module/language_module.py `_scale_logits`.)
INERT = frozenset(
    """
    calculate-per-token-loss hierarchical-context-parallel-sizes use-mup mup-attn-scale-power mup-base-head-dim mup-base-hidden-size
    mup-embedding-mult mup-output-mult save-retain-interval rerun-mode error-injection-rate error-injection-type rotary-interleaved
    overlap-p2p-communication-warmup-flush overlap-param-gather-with-optimizer-step moe-flex-dispatcher-num-sms packing-buffer-size
    tokenizer-type tokenizer-model use-distributed-optimizer eval-global-batch-size eval-micro-batch-size
    accumulate-allreduce-grads-in-fp32 megatron-fsdp-grad-comm-dtype init-model-with-meta-device
    adam-beta1 adam-beta2 adam-eps adlr-autoresume adlr-autoresume-interval app-tag-run-name
    app-tag-run-version apply-query-key-layer-scaling apply-wd-to-qk-layernorm async-ckpt-cpu-priority async-ckpt-io-priority
    async-ckpt-use-cpu-shm async-save async-strategy attention-softmax-in-fp32 auto-detect-ckpt-format binary-mask
    check-for-large-grads check-for-nan-in-loss-and-grad check-weight-hash-across-dp-replicas-interval ckpt-assume-constant-structure
    ckpt-convert-format ckpt-convert-save ckpt-drop-redundant-extra-state ckpt-format ckpt-fully-parallel-load
    ckpt-fully-parallel-load-per-rank-objects ckpt-fully-parallel-save ckpt-load-validate-sharding-integrity ckpt-step clip-grad
    config-logger-dir cp-comm-type cross-entropy-fusion-impl data-args-path data-cache-path data-path dataloader-type
    ddp-average-in-collective ddp-bucket-size ddp-num-buckets ddp-pad-buckets-for-high-nccl-busbw decoupled-lr decoupled-min-lr
    deterministic-mode disable-bf16-reduced-precision-matmul disable-gloo-process-groups disable-msc dist-ckpt-format
    dist-ckpt-optim-fully-reshardable dist-ckpt-strictness dist-ckpt-workers distributed-backend distributed-timeout-minutes
    enable-experimental enable-ft-package enable-msc end-weight-decay eod-mask-loss eval-interval eval-iters exit-duration-in-mins
    exit-interval exit-signal exit-signal-handler fim-data fim-rate fim-spm-rate fim-split-sample fim-fragment-rate finetune
    high-priority-stream-groups hysteresis inference-max-seq-length init-method-std init-method-xavier-uniform
    initial-loss-scale iterations-to-skip lazy-mpu-init lion-beta1 lion-beta2 load load-rng local-rank log-energy log-interval
    log-loss-scale-to-tensorboard log-memory-interval log-memory-to-tensorboard log-num-zeros-in-grad log-params-norm log-progress
    log-throughput log-timers-to-tensorboard log-validation-ppl-to-tensorboard log-world-size-to-tensorboard logging-level loss-scale
    loss-scale-window lr lr-decay-iters lr-decay-samples lr-decay-style lr-mult-router lr-warmup-fraction lr-warmup-init lr-warmup-iters
    lr-warmup-samples lr-wsd-decay-iters lr-wsd-decay-samples lr-wsd-decay-style manual-gc manual-gc-interval mask-prob
    merge-file
    max-position-embeddings-inference mid-level-dataset-surplus min-loss-scale min-lr mock-data moe-aux-loss-coeff
    moe-input-jitter-eps moe-token-drop-policy
    moe-per-layer-logging moe-router-bias-update-rate moe-router-force-load-balancing moe-router-group-topk
    moe-router-load-balancing-type moe-router-num-groups moe-router-pre-softmax moe-router-score-function moe-router-topk-scaling-factor
    moe-router-fusion moe-z-loss-coeff mscale mscale-all-dim mtp-loss-scaling-factor muon-coefficient-type muon-extra-scale-factor
    muon-fp32-matmul-prec muon-momentum muon-nesterov muon-no-split-qkv muon-num-ns-steps muon-scale-mode muon-tp-mode muon-use-syrk
    nccl-communicator-config-path no-barrier-with-level-1-timing no-check-for-nan-in-loss-and-grad no-ckpt-fully-parallel-save
    no-ckpt-load-validate-sharding-integrity no-gradient-accumulation-fusion no-load-optim no-load-rng no-masked-softmax-fusion
    no-mmap-bin-files no-one-logger no-persist-layer-norm no-save-optim no-save-rng no-use-layer-wise-param-layout norm-epsilon
    num-dataset-builder-threads num-workers object-storage-cache-path one-logger-async one-logger-project one-logger-run-name
    override-opt-param-scheduler override-opt_param-scheduler overlap-grad-reduce overlap-param-gather override-ckpt-iteration
    per-dataset-sequences-path profile profile-ranks profile-step-end profile-step-start rampup-batch-size
    reset-attention-mask reset-position-ids rotary-base rotary-percent rotary-scaling-factor rotary-seq-len-interpolation-factor
    sample-rate
    save save-interval seed short-seq-prob split start-weight-decay straggler-ctrlr-port
    te-rng-tracker tensorboard-dir tensorboard-log-interval tensorboard-queue-size test-data-path test-mode tiktoken-num-special-tokens
    tiktoken-pattern timing-log-level timing-log-option tokenizer-metadata train-data-path train-iters train-samples
    train-sync-interval trust-remote-code use-checkpoint-args use-checkpoint-opt_param-scheduler use-checkpoint-opt-param-scheduler
    use-dist-ckpt use-mcore-models use-mp-args-from-checkpoint-args use-persistent-ckpt-worker use-rope-scaling rope-scaling-factor
    use-tokenizer-model-from-checkpoint-args use-tp-pp-dp-mapping valid-data-path verify-integrity wandb-entity wandb-exp-name
    wandb-project wandb-save-dir weight-decay weight-decay-incr-style moe-router-padding-for-quantization no-align-param-gather
    fp8-margin fp8-interval fp8-amax-history-len fp8-amax-compute-algo reuse-grad-buf-for-mxfp8-param-ag moe-router-padding-for-fp8
    delay-wgrad-compute tp-comm-overlap-cfg moe-hybridep-num-sms moe-deepep-num-sms use-pytorch-profiler
    record-memory-history memory-snapshot-path moe-permute-fusion-into-hybridep apply-layernorm-1p attention-softmax-in-fp32
    moe-router-force-biased null-tokenizer-eod-id pretrained-checkpoint dataloader-seq-length bert-load load-main-params-from-ckpt
    inprocess-restart calc-ft-timeouts no-weight-decay-cond-type empty-unused-memory-level defer-embedding-wgrad-compute
    overlap-cpu-optimizer-d2h-h2d use-torch-optimizer-for-cpu-offload no-pin-cpu-grads no-pin-cpu-params softmax-type
    """.split()
)

REFUSED = frozenset(
    """
    deepspeed deepspeed_config deepspeed-config zero-stage
    cpu-offloading cpu-offloading-num-layers ckpt-load-teacher cuda-graph-impl cuda-graph-modules cuda-graph-scope
    cuda-graph-warmup-steps
    dataset-provider enable-cuda-graph enable-mhc-connections
    enable-hyper-connections experimental-attention-variant export-kd-cfg export-kd-teacher-load export-te-mcore-model
    external-cuda-graph
    fine-grained-activation-offloading flextron fp32-residual-connection fp4-format fp4-param-gather fp8-dot-product-attention
    fp8-multi-head-attention fp8-output-proj fp8-quantizer-factory no-fp8-wgrad activation-func-fp8-input-store
    freeze-all-layers fsdp-double-buffer fp16-lm-cross-entropy gtp-remat-size heterogeneous-layers-config-path
    heterogeneous-layers-config-encoded-json hybrid-context-parallel img-h img-w
    keep-fp8-transpose-cache
    language-model-checkpoint linear-attention-freq logits-load-dir mamba-training-ssm-states-dtype mlp-chunks-for-training
    model-provider
    moe-expert-rank-capacity-factor moe-paged-stash moe-use-upcycling
    optimizer-cuda-graph perform-rl-step moe-use-legacy-grouped-gemm
    torch-fsdp2-no-reshard-after-forward use-kitchen use-nccl-ub use-torch-fsdp2 megatron-fsdp-enable-fine-grained-param-gather
    megatron-fsdp-max-pool-double-buffer nccl-ub keep-fp8-transpose-cache-when-using-custom-fsdp use-custom-fsdp
    vision-pretraining
    yaml-cfg mamba-mixer-variant sft moe-apply-probs-on-input
    expert-tensor-parallel-num-weight-shards te-precision-config-file quant-recipe
    tensor-parallel-num-weight-shards num-classes perform-initialization-on-meta
    nvidia-megatron-fsdp overlap-moe-expert-parallel-comm-with-recompute bert-embedder-type
    """.split()
)

TOKENIZERS = {
    "gpt2": (50257, "GPT-2's vocabulary (openai-community/gpt2, config.json: vocab_size)"),
    "bert-uncased": (30522, "BERT's uncased vocabulary (google-bert/bert-base-uncased, config.json: vocab_size)"),
    "bert-cased": (28996, "BERT's cased vocabulary (google-bert/bert-large-cased, config.json: vocab_size)"),
    "llama2": (32000, "Llama 2's vocabulary (meta-llama/Llama-2-7b-hf, config.json: vocab_size)"),
    "nemotron-256k": (256000, "Nemotron's SentencePiece vocabulary (nvidia/Nemotron-4-340B-Base, model card)"),
}


class Arguments:
    """Arguments of one run, by their names without dashes; each that is asked for counts as used."""

    def __init__(self, path: str, values: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self.path, self.values, self.env = path, values, env
        self.used: dict[str, str] = {}

    def given(self, name: str) -> Any:
        """The value as the file holds it, or None."""
        value = self.values.get(name)
        if value is None or value is False or value == "":
            return None
        self.used[f"--{name}"] = "" if value is True else _shown(value)
        return value

    def flag(self, name: str) -> bool:
        value = self.given(name)
        if value in (None, "false", "False"):
            return False
        if value in (True, "true", "True"):
            return True
        raise ConfigError(f"{self.path}: --{name} takes no value, and {value!r} was given", key=name)

    def int(self, name: str, default: int | None = None, least: int = 1, most: int = 1 << 40) -> int:
        value = self.given(name)
        if value is None:
            if default is None:
                raise ConfigError(f"{self.path}: --{name} is missing", "Megatron-LM needs it", key=name)
            return default
        self._known(name, value)
        try:
            number = int(str(value))
        except ValueError:
            raise ConfigError(f"{self.path}: --{name} is {value!r}, and a whole number was expected", key=name) from None
        if not least <= number <= most:
            raise ConfigError(f"{self.path}: --{name} is {number}: {least} to {most:,} was expected", key=name)
        return number

    def rate(self, name: str, default: float) -> float:
        value = self.given(name)
        if value is None:
            return default
        self._known(name, value)
        try:
            number = float(str(value))
        except ValueError:
            raise ConfigError(f"{self.path}: --{name} is {value!r}, and a number was expected", key=name) from None
        if not 0 <= number <= 1e9:
            raise ConfigError(f"{self.path}: --{name} is {value}: a number of at least 0 was expected", key=name)
        return number

    def text(self, name: str, default: str = "") -> str:
        value = self.given(name)
        return default if value is None else _shown(value)

    def _known(self, name: str, value: Any) -> None:
        if isinstance(value, str) and (variable := unresolved(value)):
            raise ConfigError(
                f"{self.path}: --{name} is ${{{variable}}}, which the file does not set",
                f"put the value in, or --set {name}=…",
                key=name,
            )

    def environment(self) -> Mapping[str, str]:
        """The variables of the run: those given, and what `--deterministic-mode` sets where they are not (training/determinism.py
        `apply_determinism_env`)."""
        return {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", **self.env} if self.flag("deterministic-mode") else self.env

    def refuse(self) -> None:
        """Raises `UnsupportedError` for the arguments that change memory and are not modelled."""
        off = self.values.get("cuda-graph-impl") == "none"  # And so nothing that is said of graphs counts.
        graphs = {name for name in self.values if off and name.startswith("cuda-graph-") and self.given(name)}
        found = [f"--{name}" for name in sorted(REFUSED - graphs) if self.values.get(name) not in (None, False)]
        if found:
            raise UnsupportedError(
                f"{self.path}: {', '.join(found)}: not modelled, and memory depends on it",
                "leave it out to see the rest of the run",
            )

    def sorted(self) -> tuple[dict[str, str], list[str], list[str]]:
        """Used with their values, inert, and not modelled."""
        rest = [name for name, value in self.values.items() if f"--{name}" not in self.used and value not in (None, False)]
        unset = [name for name, value in self.values.items() if value in (None, False)]
        inert = [f"--{n}" for n in rest if n in INERT] + [f"--{n}" for n in unset]
        return self.used, sorted(inert), sorted(f"--{n}" for n in rest if n not in INERT)


def _shown(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def from_file(file: File) -> Arguments:
    """The arguments in a file: YAML with `MODEL_ARGS` (and `ENV_VARS`), or the words of a script. Raises `FormatError`."""
    if file.kind == "shell":
        # What the launcher takes stands before the script.
        script = next((i for i, word in enumerate(file.words) if word.endswith(".py")), -1)
        return Arguments(file.path, dict(from_words(file.words[script + 1 :])), file.env)
    found = file.data.get("MODEL_ARGS")
    if not isinstance(found, dict):
        raise ConfigError(f"{file.path}: MODEL_ARGS is no table of arguments", "such as --num-layers: 12", key="MODEL_ARGS")
    env = file.data.get("ENV_VARS") or {}
    if not isinstance(env, dict):
        raise ConfigError(f"{file.path}: ENV_VARS is no table of variables", key="ENV_VARS")
    values: dict[str, Any] = {}
    for key, value in found.items():
        if not str(key).startswith("--"):
            raise ConfigError(f"{file.path}: MODEL_ARGS has {key!r}, which is no argument", "arguments begin with --", key=str(key))
        if isinstance(value, dict):
            raise ConfigError(f"{file.path}: {key} holds a table", "a value or a list was expected", key=str(key))
        values[str(key)[2:]] = value
    return Arguments(file.path, values, {str(k): str(v) for k, v in env.items()})


def from_words(words: Sequence[str]) -> Mapping[str, Any]:
    """The arguments of a command line; several values of one name are one text."""
    return {name: " ".join(value) if isinstance(value, list) else value for name, value in flags_of(words).items()}


class Vocabulary(NamedTuple):
    size: int
    note: str


def vocabulary(a: Arguments, family: str) -> Vocabulary:
    """The vocabulary before padding: as given, or that of a tokenizer that is known by its files. Raises `ConfigError` for any
    other."""
    if a.given("vocab-size") is not None:
        return Vocabulary(a.int("vocab-size"), "")
    kind, vocab, merges, model = (a.text(n) for n in ("tokenizer-type", "vocab-file", "merge-file", "tokenizer-model"))
    known = ""
    name = vocab.rpartition("/")[2]
    if kind == "GPT2BPETokenizer" or (not kind and merges and name == "vocab.json") or (not kind and name in ("gpt2-vocab.json",)):
        known = "gpt2"
    elif kind == "BertWordPieceCase" or "large-cased" in name or "base-cased" in name:
        known = "bert-cased"
    elif kind == "BertWordPieceLowerCase" or (name == "vocab.txt" and family == "bert"):
        known = "bert-uncased"
    elif kind == "Llama2Tokenizer" or (kind in ("", "GPTSentencePieceTokenizer") and model.endswith("/tokenizer.model")):
        known = "llama2"
    elif "nemotron" in model and "256k" in model:
        known = "nemotron-256k"
    if not known:
        raise ConfigError(
            f"{a.path}: --vocab-size is missing, and its tokenizer is not known here", "--set vocab-size=50257", key="vocab-size"
        )
    size, source = TOKENIZERS[known]
    return Vocabulary(size, f"vocabulary of {size:,}: {source}; --set vocab-size=N for another")


def global_batch(a: Arguments, least: int) -> int:
    """Sequences of a step, `least` where none are given, and the most of a schedule such as `0:384 200B:768` (training/config/
    training_config.py `step_batch_size_schedule`; training/arguments.py)."""
    schedule = a.text("step-batch-size-schedule")
    if not schedule:
        return a.int("global-batch-size", least)
    steps = [re.fullmatch(r"\d{1,15}(?:\.\d{1,15})?[KMBT]?:(\d{1,9})", step) for step in schedule.replace(",", " ").split()]
    sizes = [int(m[1]) for m in steps if m]
    if not sizes or len(sizes) < len(steps) or not min(sizes):
        raise ConfigError(
            f"{a.path}: --step-batch-size-schedule {schedule} cannot be read",
            "such as 0:384 200B:768",
            key="step-batch-size-schedule",
        )
    if a.given("global-batch-size") is not None:
        raise UsageError(f"{a.path}: --step-batch-size-schedule does not go with --global-batch-size", "leave one of them out")
    return max(sizes)


def frequencies(a: Arguments, layers: int) -> list[bool]:
    """Which layers are routed: `--moe-layer-freq` is every N-th layer, or a list such as `([0]*1+[1]*15)`."""
    text = a.text("moe-layer-freq", "1").replace(" ", "")
    if text.isdecimal() and int(text) >= 1:
        return [i % int(text) == 0 for i in range(layers)]
    inner = text[1:-1] if text.startswith("(") and text.endswith(")") else text
    out: list[bool] = []
    for part in inner.split("+"):
        m = re.fullmatch(r"\[([01](?:,[01])*)\](?:\*(\d{1,5}))?", part)
        if m is None:
            raise ConfigError(
                f"{a.path}: --moe-layer-freq {text}: a number, or a list such as [0]*1+[1]*15, was expected", key="moe-layer-freq"
            )
        out += [x == "1" for x in m[1].split(",")] * int(m[2] or 1)
        if len(out) > layers:
            break
    if len(out) != layers:
        raise UsageError(f"{a.path}: --moe-layer-freq names {len(out)} layers, and there are {layers}")
    return out


def pattern_of(a: Arguments) -> str:
    """The layers of a hybrid, those of multi-token prediction behind slashes; empty for other models (training/arguments.py
    `validate_args`)."""
    pattern = a.text("hybrid-layer-pattern") or a.text("hybrid-override-pattern")
    ahead, depths = a.text("mtp-hybrid-override-pattern"), a.int("mtp-num-layers", 0, 0, 64)
    if pattern and ahead and "/" not in pattern:
        pattern += f"/{ahead}" * depths
    return pattern


def layout(a: Arguments, pp: int) -> list[str] | None:
    """The chunks of `--pipeline-model-parallel-layout` as strings of E, t, m and L
    (core/transformer/pipeline_parallel_layer_layout.py), or those that bars divide a hybrid's pattern into
    (core/models/hybrid/hybrid_layer_allocation.py `select_pipeline_segment`)."""
    text = a.text("pipeline-model-parallel-layout").replace(" ", "").replace(",", "")
    segments = pattern_of(a).partition("/")[0].split("|")
    if len(segments) > 1:
        for name in (
            "pipeline-model-parallel-layout", "num-layers-per-virtual-pipeline-stage", "num-virtual-stages-per-pipeline-rank",
            "decoder-first-pipeline-num-layers", "decoder-last-pipeline-num-layers", "account-for-embedding-in-pipeline-split",
            "account-for-loss-in-pipeline-split",
        ):  # fmt: skip
            if a.given(name) is not None:
                raise UsageError(f"{a.path}: --{name} does not go with bars in --hybrid-layer-pattern", "leave one of them out")
        if len(segments) % pp:
            raise UsageError(f"{a.path}: --hybrid-layer-pattern has {len(segments)} stages, which {pp} ranks do not share evenly")
        return ["t" * len(segment) for segment in segments]
    if not text:
        return None
    for _ in range(3):
        text = re.sub(r"\(([EtmL|]+)\)\*(\d{1,3})", lambda m: m[1] * int(m[2]), text)[: 1 << 16]
    text = re.sub(r"([EtmL|])\*(\d{1,3})", lambda m: m[1] * int(m[2]), text)
    if not re.fullmatch(r"[EtmL|]+", text):
        raise ConfigError(
            f"{a.path}: --pipeline-model-parallel-layout cannot be read",
            "such as Et*3|(tt|)*6tmL",
            key="pipeline-model-parallel-layout",
        )
    chunks = text.split("|")
    if len(chunks) % pp:
        raise UsageError(
            f"{a.path}: --pipeline-model-parallel-layout has {len(chunks)} stages, which {pp} ranks do not share evenly"
        )
    return chunks
