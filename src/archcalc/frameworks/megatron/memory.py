"""The memory of each pipeline rank of a Megatron-LM run.

Static bytes are what is allocated between two iterations: weights, gradients, states, and work spaces. The peak is that of the last
micro-batch in flight with the loss, or of a layer made again. Read in Megatron-LM, main of 2026-08; files stand at the terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archcalc.analysis.training.allocator import Allocator
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.megatron import layers as ml
from archcalc.frameworks.megatron.arguments import Arguments, frequencies, global_batch, layout, pattern_of, vocabulary
from archcalc.frameworks.megatron.fp8 import compute_of, in_fp8, layers_in_fp8, recipe_of, weight_bytes
from archcalc.frameworks.megatron.fsdp import gathered_bytes, sharded
from archcalc.frameworks.megatron.layers import FP32, HALF, Block, Kept, Rank, Weight
from archcalc.hardware import Device
from archcalc.records import NamedTuple

MIB = 1 << 20
MOST_LAYERS, MOST_EXPERTS = 10_000, 1 << 14
"""No model is near these."""


class Settings(NamedTuple):
    """How the run is split and what it keeps, as its arguments say."""

    family: str
    rank: Rank
    seq: int
    micro_batch: int
    gpus: int
    tp: int
    pp: int
    cp: int
    ep: int
    etp: int
    virtual: int
    micro_batches: int
    distributed: bool
    instances: int
    precision: str
    gradient: int
    optimizer: str
    recompute: str
    recompute_method: str
    recompute_layers: int
    modules: tuple[str, ...]
    vocab: int
    tied: bool
    learned: int
    mask: bool
    fused_loss: bool
    local: bool
    grouped: bool
    mtp: int
    grad_fusion: bool
    dispatcher: str
    layer_wise: bool
    group: int
    deferred: int
    overlapped: bool
    userbuffers: bool = False
    states: int = 0
    copied: bool = True
    fp8: str = ""
    fp8_gathered: bool = False
    fsdp: str = ""
    prefetched: int = 0
    offloaded: float = 0.0
    spread_inputs: bool = False

    @property
    def dp(self) -> int:
        """Ranks that hold the same dense weights, context parallelism with them."""
        return self.gpus // (self.tp * self.pp)

    @property
    def expert_dp(self) -> int:
        return self.gpus // (self.ep * self.etp * self.pp)


class Stage(NamedTuple):
    """One pipeline rank: bytes by term, and the peak."""

    weights: int
    gradients: int
    optimizer: int
    work: int
    buffers: int
    between: int
    activations: dict[str, int]
    again: int
    logits: int
    params: int
    expert_params: int
    fp8_params: int = 0
    gathered: int = 0
    on_cpu: int = 0

    @property
    def static(self) -> int:
        return self.weights + self.gradients + self.optimizer + self.work + self.buffers + self.between

    @property
    def passing(self) -> int:
        """The most during the passes."""
        return self.static - self.between + sum(self.activations.values()) + self.again + self.logits + self.gathered

    @property
    def total(self) -> int:
        return max(self.static, self.passing)

    @property
    def fullest(self) -> Stage:
        """What is alive when most is: during the passes, or in the optimizer's step, whose copies of gradients live as long as it and none
        of the passes' storages (core/optimizer/optimizer.py `MixedPrecisionOptimizer.step`, `zero_grad`)."""
        if self.static > self.passing:
            return self._replace(activations={}, again=0, logits=0, gathered=0)
        return self._replace(between=0)

    @property
    def moment(self) -> str:
        if self.static > self.passing:
            return "optimizer's step"
        return "loss of the last micro-batch" if self.logits else "last micro-batch in flight"


class Model(NamedTuple):
    """The blocks of every layer, of what stands before and behind them, and how many layers there are of each kind."""

    layers: tuple[Block, ...]
    first: Block
    last: Block
    mtp: Block
    note: str
    hidden: int
    experts: tuple[int, int]
    attention: int
    """Heads times the widths of their keys and values, of all layers."""


def _unfused(r: Rank) -> bool:
    return r.attention in ("unfused", "local") or not r.transformer_engine


def read(a: Arguments, gpus: int) -> tuple[Settings, Model]:
    """The run that the arguments ask for on so many GPUs. Raises errors that name the argument."""
    a.refuse()
    family = "t5" if a.given("encoder-num-layers") and a.given("decoder-num-layers") else "gpt"
    vocab_file = a.text("vocab-file").rpartition("/")[2]
    if family == "gpt" and vocab_file.endswith(".txt"):
        family = "bert"
    tp, pp, cp = a.int("tensor-model-parallel-size", 1), a.int("pipeline-model-parallel-size", 1), a.int("context-parallel-size", 1)
    ep = a.int("expert-model-parallel-size", 1)
    etp = a.int("expert-tensor-parallel-size", tp)
    if gpus % (tp * pp * cp) or gpus % (ep * etp * pp):
        raise UsageError(
            f"{a.path}: tp {tp} x pp {pp} x cp {cp} (experts: ep {ep} x etp {etp}) does not divide {gpus} GPUs",
            "--gpu gives their number",
        )
    hidden, heads = a.int("hidden-size"), a.int("num-attention-heads")
    head_dim = a.int("kv-channels", hidden // heads)
    if not head_dim:
        raise UsageError(f"{a.path}: --hidden-size {hidden} is less than --num-attention-heads {heads}", "or give --kv-channels")
    groups = a.int("num-query-groups", heads) if a.flag("group-query-attention") else heads
    if heads % tp:
        raise UsageError(f"{a.path}: --tensor-model-parallel-size {tp} does not divide {heads} heads")
    gated = a.flag("swiglu") or a.flag("quick-geglu")
    squared = a.flag("squared-relu")
    inner = a.int("ffn-hidden-size", hidden * 4 * 2 // 3 // 64 * 64 if gated else 4 * hidden)
    seq = a.int("encoder-seq-length", a.int("seq-length") if family != "t5" else None)
    batch = a.int("micro-batch-size")
    engine = a.text("transformer-impl", "transformer_engine") == "transformer_engine" and a.text("spec") != "local"
    backend = a.text("attention-backend", "auto")
    if a.flag("use-flash-attn") and backend == "auto":
        backend = "flash"
    sp = a.flag("sequence-parallel") and tp > 1
    rms = a.text("normalization", "LayerNorm") == "RMSNorm"
    rank = Rank(
        batch, seq, cp, tp, sp, ep, etp, hidden, 1 if rms else 2, not a.flag("disable-bias-linear"),
        a.rate("hidden-dropout", 0.1), a.rate("attention-dropout", 0.1), backend, engine, family != "bert",
        not a.flag("no-masked-softmax-fusion") or engine,
    )  # fmt: skip
    position = a.text("position-embedding-type", "learned_absolute")
    if a.flag("use-rotary-position-embeddings"):
        position = "rope"
    longest = a.int("max-position-embeddings", seq)
    vocab = vocabulary(a, family)
    extra = a.int("vocab-extra-ids", 0, 0)
    multiple = a.int("make-vocab-size-divisible-by", 128) * tp
    padded = -(-(vocab.size + extra) // multiple) * multiple
    bf16, fp16 = a.flag("bf16"), a.flag("fp16")
    optimizer = a.text("optimizer", "adam")
    precise = _precise(a, optimizer, bf16=bf16)
    if optimizer not in ("adam", "muon", "dist_muon", "sgd", "lion"):
        raise UnsupportedError(f"{a.path}: --optimizer {optimizer} is not modelled", "adam, muon, lion and sgd are")
    layer_wise = optimizer == "dist_muon" or (optimizer == "muon" and a.flag("use-distributed-optimizer"))
    # Its own layout of buffers gives each rank whole matrices, about as many elements on each, and the rest to the distributed optimizer
    # (core/optimizer/layer_wise_optimizer.py `_compute_per_buffer_param_layout`, __init__.py `use_separate_distributed_optimizer`).
    laid_out = layer_wise and not a.flag("no-use-layer-wise-param-layout")
    optimizer = "muon" if optimizer == "dist_muon" else optimizer
    recompute = a.text("recompute-granularity", "selective" if a.flag("recompute-activations") else "none")
    modules = tuple(a.text("recompute-modules", "core_attn").replace("[", "").replace("]", "").replace(",", " ").split())
    if a.flag("moe-layer-recompute"):  # core/transformer/transformer_config.py: the experts' module beside the others.
        if recompute == "full":
            raise UsageError(f"{a.path}: --moe-layer-recompute does not go with --recompute-granularity full", "leave it out")
        recompute, modules = "selective", tuple(dict.fromkeys((*modules, "moe")))
    pattern = pattern_of(a)
    if len(pattern) > MOST_LAYERS:
        raise UsageError(f"{a.path}: --hybrid-layer-pattern has more than {MOST_LAYERS:,} layers")
    if family == "t5":
        number = a.int("decoder-num-layers", most=MOST_LAYERS)
    elif pattern:
        number = len(pattern.split("/")[0].replace("|", ""))
        a.int("num-layers", number)
    else:
        number = a.int("num-layers", a.int("encoder-num-layers", 0, 0) or None, most=MOST_LAYERS)
    virtual = _virtual(a, number, pp)
    fp8 = recipe_of(a, engine=engine, bf16=bf16)
    fsdp = sharded(a, optimizer, bf16=bf16, fp8=bool(fp8), pp=pp)
    data = gpus // (tp * pp * cp)
    micro_batches = max(1, global_batch(a, batch * data) // (batch * data))
    experts = a.int("num-experts", 0, 0, MOST_EXPERTS)
    if experts and tp > 1 and not sp:
        # core/transformer/moe/moe_layer.py `MoELayer.forward`, in training.
        raise UsageError(
            f"{a.path}: --num-experts with --tensor-model-parallel-size {tp}: Megatron-LM trains no experts so without --sequence-parallel",
            "add --sequence-parallel",
        )
    settings = Settings(
        family, rank, seq, batch, gpus, tp, pp, cp, ep, etp, virtual, micro_batches,
        fsdp.strategy != "no_shard" if fsdp else laid_out or (a.flag("use-distributed-optimizer") and not layer_wise),
        a.int("num-distributed-optimizer-instances", 1), "bf16" if bf16 else "fp16" if fp16 else "fp32",
        fsdp.gradient if fsdp else 2 if fp16 or a.flag("grad-reduce-in-bf16") or a.text("main-grads-dtype") == "bf16" else 4, optimizer,
        recompute, a.text("recompute-method"),
        a.int("recompute-num-layers", 1), modules, padded, not a.flag("untie-embeddings-and-output-weights"),
        longest if position == "learned_absolute" else 0, not a.flag("no-create-attention-mask-in-dataloader"),
        a.flag("cross-entropy-loss-fusion"), not engine, a.flag("moe-grouped-gemm"),
        pattern.count("/") or a.int("mtp-num-layers", 0, 0, 64),
        not a.flag("no-gradient-accumulation-fusion"), a.text("moe-token-dispatcher-type", "allgather"),
        layer_wise and not laid_out,
        a.int("microbatch-group-size-per-virtual-pipeline-stage", 0, 0),
        (a.int("wgrad-deferral-limit", 0, 0) or micro_batches) if a.flag("defer-embedding-wgrad-compute") else 0,
        a.flag("overlap-moe-expert-parallel-comm"), a.flag("tp-comm-overlap"), fsdp.states if fsdp else precise,
        not precise and not fsdp, fp8, a.flag("fp8-param-gather"), fsdp.strategy if fsdp else "", fsdp.prefetched if fsdp else 0,
        _offloaded(a, precise, fp8), _spread_inputs(a, rank, recompute),
    )  # fmt: skip
    for name in (
        "moe-token-dispatcher-type",
        "moe-enable-deepep",
        "moe-flex-dispatcher-backend",
        "moe-permute-fusion",
        "rotary-base",
    ):
        a.given(name)
    blocks, ahead = _layers(
        a, settings, number, pattern, (heads, groups, head_dim), inner, gated, squared, experts, position == "rope"
    )
    first, last = _ends(settings, a)
    mtp = _mtp(a, settings, ahead)
    if fp8:
        blocks, mtp = layers_in_fp8(a, fp8, blocks), in_fp8(mtp, fp8)
    width = head_dim * 2
    if a.flag("multi-latent-attention") or "+" in pattern:
        width = a.int("qk-head-dim", 128) + a.int("qk-pos-emb-head-dim", 64) + a.int("v-head-dim", 128)
    attending = sum(pattern.split("/")[0].count(kind) for kind in "*+") if pattern else number
    model = Model(
        tuple(blocks),
        first,
        last,
        mtp,
        vocab.note,
        hidden,
        (experts, a.int("moe-router-topk", 2) if experts else 0),
        attending * heads * width,
    )
    windows = a.given("window-size"), a.given("window-attn-skip-freq")
    if windows[0] is not None and _unfused(rank):
        raise UnsupportedError(f"{a.path}: --window-size goes with fused attention alone", "leave --attention-backend out")
    if settings.cp > 1 and _unfused(rank):
        raise UnsupportedError(
            f"{a.path}: --context-parallel-size {cp} goes with fused attention alone", "leave --attention-backend out"
        )
    return settings, model


_DTYPES = {"fp32": 4, "fp16": 2, "bf16": 2, "fp8": 1}


def _precise(a: Arguments, optimizer: str, *, bf16: bool) -> int:
    """Bytes of states for each element with the precision-aware optimizer, 0 without it.

    Transformer Engine's FusedAdam keeps the moments in the types that are named, and of fp32 weights the 16 bits that their bf16 copies
    do not have (core/optimizer/optimizer_config.py `store_param_remainders`; pytorch/optimizers/fused_adam.py `initialize_state`).
    Gradients are read where they are (core/optimizer/distrib_optimizer.py `_copy_model_grads_to_main_grads`: `decoupled_grad`).
    """
    sizes = {}
    for name, known in (
        ("main-grads-dtype", ("fp32", "bf16")), ("main-params-dtype", ("fp32", "fp16")),
        ("exp-avg-dtype", tuple(_DTYPES)), ("exp-avg-sq-dtype", tuple(_DTYPES)),
    ):  # fmt: skip
        text = a.text(name, "fp32")
        if text not in known:
            raise UsageError(f"{a.path}: --{name} {text}: no type that it may have", f"one of {', '.join(known)}")
        sizes[name] = _DTYPES[text]
    if not a.flag("use-precision-aware-optimizer"):
        if low := next((name for name, size in sizes.items() if size != FP32), ""):
            raise UsageError(
                f"{a.path}: --{low} {a.text(low)} goes with --use-precision-aware-optimizer alone", "add it, or leave the type out"
            )
        return 0
    if not a.flag("use-distributed-optimizer") or optimizer != "adam" or not bf16:
        raise UsageError(
            f"{a.path}: --use-precision-aware-optimizer needs --use-distributed-optimizer, --bf16 and Adam", "or leave it out"
        )
    remainders = sizes["main-params-dtype"] == FP32 and not a.flag("no-store-param-remainders")
    return (HALF if remainders else sizes["main-params-dtype"]) + sizes["exp-avg-dtype"] + sizes["exp-avg-sq-dtype"]


def _offloaded(a: Arguments, precise: int, fp8: str) -> float:
    """The share of the optimizer's parameters that the CPU's memory holds with their states (core/optimizer/cpu_offloading/
    hybrid_optimizer.py `_get_sub_optimizer_param_groups`; training/arguments.py: all of them unless told otherwise)."""
    share = a.rate("optimizer-offload-fraction", 1.0)
    if not 0 < share <= 1:
        raise UsageError(f"{a.path}: --optimizer-offload-fraction {share:g}: a share above 0, up to 1, was expected", "such as 0.5")
    if not a.flag("optimizer-cpu-offload"):
        return 0.0
    if not precise or (a.flag("fp8-param-gather") and fp8 != "delayed"):
        raise UsageError(
            f"{a.path}: --optimizer-cpu-offload needs --use-precision-aware-optimizer, and weights gathered in fp8 delayed scaling",
            "add the one, or leave the other out",
        )
    return share


def _spread_inputs(a: Arguments, r: Rank, recompute: str) -> bool:
    """Whether each rank of tensor parallelism keeps a part of what checkpoints keep (core/tensor_parallel/random.py
    `CheckpointFunction`)."""
    if not a.flag("distribute-saved-activations"):
        return False
    if r.tp == 1 or r.sp or recompute != "full":
        raise UsageError(
            f"{a.path}: --distribute-saved-activations goes with tensor parallelism and --recompute-granularity full, and not with "
            "--sequence-parallel",
            "or leave it out",
        )
    return True


def _virtual(a: Arguments, number: int, pp: int) -> int:
    each = a.int("num-layers-per-virtual-pipeline-stage", 0, 0)
    chunks = a.int("num-virtual-stages-per-pipeline-rank", 0, 0)
    parts = layout(a, pp)
    if parts is not None:
        return len(parts) // pp
    if chunks:
        return chunks
    if each and pp > 1:
        if number % (pp * each):
            raise UsageError(f"{a.path}: --num-layers-per-virtual-pipeline-stage {each} x pp {pp} does not divide {number} layers")
        return number // pp // each
    return 1


def _layers(
    a: Arguments, s: Settings, number: int, pattern: str, attention: tuple[int, int, int], inner: int, gated: bool, squared: bool,
    experts: int, rope: bool,
) -> tuple[list[Block], Block]:  # fmt: skip
    r = s.rank
    heads, groups, head_dim = attention
    qk_norm = a.flag("qk-layernorm")
    bias = r.bias or a.flag("add-qkv-bias")
    fused = not (a.flag("no-bias-swiglu-fusion") if gated else False)
    # Routing weights are multiplied into the activation: in one kernel for these, else it is kept once more
    # (core/transformer/moe/experts.py).
    weighted = a.flag("use-fused-weighted-squared-relu") or (gated and fused)
    a.given("no-bias-gelu-fusion"), a.given("no-rope-fusion"), a.given("no-bias-dropout-fusion")
    gate = a.flag("attention-output-gate")
    mixer = ml.attention(r, heads, groups, head_dim, rope=rope, qk_norm=qk_norm, bias=bias, gate=gate)
    kinds = {"*": mixer}
    if a.flag("multi-latent-attention") or "+" in pattern:
        widths = ml.Latent(
            a.int("q-lora-rank", 0, 0),
            a.int("kv-lora-rank", 32),
            a.int("qk-head-dim", 128),
            a.int("qk-pos-emb-head-dim", 64),
            a.int("v-head-dim", 128),
        )
        mixer = kinds["+"] = ml.latent_attention(r, heads, widths, qk_norm=qk_norm)
        a.given("rope-type")
    dense = ml.mlp(r, inner, gated=gated, fused=fused)
    routed = ml.NOTHING
    if experts:
        if experts % s.ep:
            raise UsageError(f"{a.path}: --expert-model-parallel-size {s.ep} does not divide {experts} experts")
        x = ml.Experts(
            experts, a.int("moe-router-topk", 2), a.int("moe-ffn-hidden-size", inner), a.int("moe-shared-expert-intermediate-size", 0, 0),
            s.grouped, a.text("moe-token-dispatcher-type", "allgather"), a.flag("moe-router-enable-expert-bias"),
            FP32 if a.text("moe-router-dtype") in ("fp32", "fp64") else HALF,
            latent=a.int("moe-latent-size", 0, 0), capacity=_capacity(a), gate=a.flag("moe-shared-expert-gate"),
        )  # fmt: skip
        a.given("moe-shared-expert-overlap")
        routed = ml.moe(r, x, gated=gated, fused=fused, weighted=weighted)
    if s.family == "t5":
        source = r
        target = r._replace(seq=a.int("decoder-seq-length"))
        encoder = ml.attention(source, heads, groups, head_dim, rope=rope, qk_norm=False, bias=bias) + ml.mlp(
            source, inner, gated=gated
        )
        decoder = (
            ml.attention(target, heads, groups, head_dim, rope=rope, qk_norm=False, bias=bias)
            + ml.cross_attention(target, heads, head_dim, source.seq)
            + ml.mlp(target, inner, gated=gated)
        )
        if s.pp > 1:
            raise UnsupportedError(
                f"{a.path}: --pipeline-model-parallel-size above 1 for T5 is not modelled", "use tensor parallelism"
            )
        return [encoder] * a.int("encoder-num-layers", most=MOST_LAYERS) + [decoder] * number, ml.NOTHING
    if pattern:
        a.given("is-hybrid-model"), a.given("spec")
        kinds |= {"M": ml.mamba(r, _ssm(a, s)), "-": dense, "E": routed}
        unknown = sorted(set(pattern) - {*kinds, "|", "/"})
        if unknown:
            raise UnsupportedError(
                f"{a.path}: --hybrid-layer-pattern: layers {unknown[0]!r} are not modelled", "M, *, +, - and E are"
            )
        main, *ahead = ([kinds[c] for c in part.replace("|", "")] for part in pattern.split("/"))
        return main, sum(ahead[0], ml.NOTHING) if ahead else ml.NOTHING
    if not experts:
        return [mixer + dense] * number, mixer + dense
    blocks = [mixer + (routed if yes else dense) for yes in frequencies(a, number)]
    return blocks, blocks[-1]


def _capacity(a: Arguments) -> int:
    """The rows of each expert in percent of an even spread: as many as it has room for where they are padded to that, else no more
    (core/transformer/moe/token_dispatcher.py `drop_and_pad`, `MoEAlltoAllTokenDispatcher.preprocess`)."""
    factor = a.text("moe-expert-capacity-factor")
    padded = a.flag("moe-pad-expert-input-to-capacity")
    if not factor or factor.startswith("-"):
        if padded:
            raise UsageError(
                f"{a.path}: --moe-pad-expert-input-to-capacity needs --moe-expert-capacity-factor", "such as 1.0, or leave it out"
            )
        return 100
    room = round(100 * a.rate("moe-expert-capacity-factor", 1.0))
    if not 1 <= room <= 100_000:
        raise UsageError(f"{a.path}: --moe-expert-capacity-factor {factor}: a factor above 0 was expected", "such as 1.0")
    return room if padded else min(100, room)


def _ssm(a: Arguments, s: Settings) -> ml.Ssm:
    head_dim = a.int("mamba-head-dim", 64)
    heads = a.int("mamba-num-heads", 2 * s.rank.hidden // head_dim)
    return ml.Ssm(heads, head_dim, a.int("mamba-num-groups", 8), a.int("mamba-state-dim", 128))


def _ends(s: Settings, a: Arguments) -> tuple[Block, Block]:
    """What the first and the last stage hold beside layers."""
    r = s.rank
    word = Weight(s.vocab * r.hidden // s.tp, split=True)
    head = word._replace(matrix=True, head=True)
    first = [word]
    first += [Weight(s.learned * r.hidden)] if s.learned else []
    outside = Kept("embedding", "token numbers", 8 * r.tokens)
    kept = [outside, *((Kept("dropout", "embedding: dropout's mask", r.hidden * r.local),) if r.hidden_dropout else ())]
    last: list[Weight] = [Weight(r.hidden, copies=r.norms)]
    behind = [
        Kept("norm", "final norm: input", HALF * r.hidden * r.local), Kept("norm", "final norm: statistics", r.stats * r.local),
        Kept("head", "head: input", HALF * r.hidden * r.local),
    ]  # fmt: skip
    if s.family == "bert":
        # core/models/bert: bert_lm_head.py, pooler.py, bert_model.py; a learned table of two token types.
        binary = not a.flag("bert-no-binary-head")
        first += [Weight(2 * r.hidden)] if binary else []
        last += [Weight(r.hidden * r.hidden), Weight(r.hidden), Weight(2 * r.hidden), Weight(s.vocab // s.tp, split=True)]
        last += [Weight(r.hidden * r.hidden), Weight(r.hidden), Weight(2 * r.hidden + 2)] if binary else []
        behind += [Kept("head", "transform: inputs and outputs", 3 * HALF * r.hidden * r.tokens)]
    if s.family == "t5":
        last += [Weight(r.hidden, copies=r.norms), Weight(s.vocab // s.tp, split=True)]
        target = r._replace(seq=a.int("decoder-seq-length"))
        behind = [Kept(k.block, k.name, k.bytes // r.tokens * target.tokens) for k in behind]
        behind += [Kept("norm", "encoder's final norm", 2 * HALF * r.hidden * r.local)]
    if s.pp > 1 or not s.tied:
        last.append(head)  # The copy of the tied embedding, or the head.
    if s.mtp and s.pp > 1 and not s.tied:
        last.append(word)  # MTP embeds tokens on the last stage (core/models/gpt/gpt_model.py: pre_process or mtp_process).
    return Block(tuple(first), tuple(kept)), Block(tuple(last), tuple(behind))


def _mtp(a: Arguments, s: Settings, layer: Block) -> Block:
    """Multi-token prediction (core/transformer/multi_token_prediction.py): two norms, a projection of both, a layer (of a hybrid
    those of the
    pattern behind the slash), a norm."""
    if not s.mtp:
        return ml.NOTHING
    r = s.rank
    depths = 1 if a.flag("mtp-use-repeated-layer") else s.mtp
    projection = Weight(2 * r.hidden * r.hidden // s.tp, matrix=True, split=True)
    own = Block(
        (projection, *(Weight(r.hidden, copies=r.norms) for _ in range(3))),
        (
            Kept("mtp", "norms: inputs", 2 * HALF * r.hidden * r.local),
            Kept("mtp", "projection: input", 2 * HALF * r.hidden * r.tokens, 1),
            Kept("mtp", "final norm and head: input", 2 * HALF * r.hidden * r.local),
        ),
    )  # fmt: skip
    whole = own + layer
    return Block(whole.weights * depths, whole.kept * s.mtp)


Chunks = list[list[int]]
"""The layers of one rank of the pipeline, chunk by chunk: one without interleaving."""


def chunks(a: Arguments, s: Settings, number: int) -> list[Chunks]:
    """The layers of each rank of the pipeline."""
    parts = layout(a, s.pp)
    if parts is not None and len(parts) > 1 and s.pp == 1:
        # megatron/training/arguments.py `validate_args`: chunks are interleaved over more than one rank.
        raise UsageError(
            f"{a.path}: the layers are divided into {len(parts)} stages, and --pipeline-model-parallel-size is 1", "raise it"
        )
    if parts is not None:
        out: list[Chunks] = [[] for _ in range(s.pp)]
        at = 0
        for i, part in enumerate(parts):
            n = part.count("t")
            out[i % s.pp].append(list(range(at, at + n)))
            at += n
        if at != number:
            raise UsageError(f"{a.path}: --pipeline-model-parallel-layout places {at} layers, and there are {number}")
        return out
    first, last = a.int("decoder-first-pipeline-num-layers", 0, 0), a.int("decoder-last-pipeline-num-layers", 0, 0)
    if (first or last) and s.pp > 1:
        middle = s.pp - bool(first) - bool(last)
        rest = number - first - last
        if middle < 0 or rest < 0 or (middle and rest % middle) or (not middle and rest):
            raise UsageError(f"{a.path}: {rest} layers between the first and the last stage do not divide over {middle} stages")
        counts = [*([first] if first else []), *[rest // middle] * middle, *([last] if last else [])]
        if s.virtual > 1 and any(n % s.virtual for n in counts):
            raise UsageError(f"{a.path}: {counts} layers of the stages do not divide over {s.virtual} chunks each")
        starts = [sum(counts[:i]) for i in range(s.pp)]
        return [_cut(range(start, start + n), s.virtual) for start, n in zip(starts, counts, strict=True)]
    ends = a.flag("account-for-embedding-in-pipeline-split"), a.flag("account-for-loss-in-pipeline-split")
    if s.pp > 1 and any(ends):
        return _counted_ends(a, s, number, ends)
    if number % (s.pp * s.virtual):
        raise UsageError(f"{a.path}: {number} layers do not divide over {s.pp} stages of {s.virtual} chunks")
    return spread(number, s.pp, s.virtual)


def _cut(layers: Sequence[int], parts: int) -> Chunks:
    """Layers in equal parts."""
    n = len(layers) // parts
    return [list(layers[i * n : (i + 1) * n]) for i in range(parts)]


def spread(number: int, pp: int, virtual: int) -> list[Chunks]:
    """The layers of each rank, where `virtual` chunks on each of them are alike."""
    n = number // (pp * virtual)
    return [[list(range((v * pp + rank) * n, (v * pp + rank + 1) * n)) for v in range(virtual)] for rank in range(pp)]


def _counted_ends(a: Arguments, s: Settings, number: int, ends: tuple[bool, bool]) -> list[Chunks]:
    """The layers of each rank where embedding and loss stand for a layer each (core/transformer/transformer_block.py
    `get_num_layers_to_build`)."""
    chunks, whole = s.pp * s.virtual, number + sum(ends)
    if whole % chunks:
        raise UsageError(
            f"{a.path}: {number} layers with embedding and loss do not divide over {s.pp} stages of {s.virtual} chunks"
        )
    counts = [whole // chunks] * chunks
    counts[0] -= ends[0]
    counts[-1] -= ends[1]
    starts = [sum(counts[:i]) for i in range(chunks)]
    return [[list(range(starts[c], starts[c] + counts[c])) for c in range(rank, chunks, s.pp)] for rank in range(s.pp)]


def in_flight(s: Settings, stage: int, sizes: Sequence[int]) -> list[int]:
    """Micro-batches of each chunk of a stage that are between their passes when they take most, a chunk taking `sizes` bytes.

    With 1F1B one for each stage from here on. Interleaved, chunks run forward in the order of the schedule's table, 2 (p - r - 1) +
    (v - 1) g of them before the first runs backward, and from then on one forward, one backward (core/pipeline_parallel/schedules.py
    `get_pp_rank_microbatches`, `get_schedule_table`). Where the experts' exchange hides behind another micro-batch it is one more, and
    layers of both run in turns, so that one is freed for each that is filled (combined_1f1b.py; core/models/common/
    model_chunk_schedule_plan.py `TransformerModelChunkSchedulePlan.run`).
    """
    if s.virtual == 1 or s.pp == 1:
        return [min(s.pp - stage, s.micro_batches)]
    group = s.group or s.pp
    ahead = (s.pp - stage - 1) * 2 + (s.virtual - 1) * group + int(s.overlapped)
    # The steps repeat with each group of micro-batches.
    batches = min(s.micro_batches, ahead // s.virtual + 2 * group)
    order = [
        chunk for start in range(0, batches, group) for chunk in range(s.virtual) for _ in range(start, min(start + group, batches))
    ]
    held, most, now = [0] * s.virtual, [0] * s.virtual, -1
    for step, chunk in enumerate(order):
        held[chunk] += 1
        if s.overlapped and step >= ahead:
            held[s.virtual - 1 - order[step - ahead]] -= 1
        taken = sum(n * size for n, size in zip(held, sizes, strict=True))
        if taken > now:
            most, now = list(held), taken
        if not s.overlapped and step >= ahead:
            held[s.virtual - 1 - order[step - ahead]] -= 1
    return most


def work_space(s: Settings, device: Device | None, env: Mapping[str, str], *, routed: bool) -> int:
    """cuBLAS's and Transformer Engine's work spaces.

    PyTorch keeps one for each thread's handle: the forward pass and the backward pass each have one (aten/src/ATen/cuda/
    CublasHandlePool.cpp `parseChosenWorkspaceSize`: CUBLAS_WORKSPACE_CONFIG, else 32 MiB on Hopper and 4096 x 2 + 16 x 8 KiB
    elsewhere).
    Transformer Engine keeps 32 MiB from Hopper on and 4 MiB before, four more for grouped products, and three more where tensor
    parallelism overlaps (pytorch/cpp_extensions/gemm.py `get_cublas_workspace`, `_NUM_MAX_UB_STREAMS`); the user buffers themselves are
    not PyTorch's (common/comm_gemm_overlap/userbuffers/userbuffers-host.cpp `register_user_buffer_collective`: `cuMemCreate`).
    """
    major = compute_of(device)
    text = env.get("CUBLAS_WORKSPACE_CONFIG", "")
    sizes = [int(x) for x in text.strip(":").split(":") if x.isdigit()] if text else []
    each = sum(size * n for size, n in zip(sizes[::2], sizes[1::2], strict=False)) * 1024
    each = each or (32 * MIB if 9 <= major < 10 else 8_519_680)
    engine = (32 if major >= 9 else 4) * MIB
    total = 2 * each
    # Without its modules the router is multiplied by it (core/transformer/moe/moe_utils.py `RouterGatingLinearFunction`).
    if not s.local or routed:
        total += engine * (4 if s.userbuffers else 1) + (4 * engine if s.grouped else 0)
    return total


def _state_bytes(s: Settings, w: Weight) -> int:
    """Bytes of optimizer states and of the fp32 copy for each element (core/optimizer/optimizer.py)."""
    if s.states:
        return s.states
    moments = {"sgd": 0, "lion": 1}.get(s.optimizer, 2)
    if s.optimizer in ("muon",) and w.matrix and not w.head:
        moments = 1
    return FP32 * moments + (0 if s.precision == "fp32" else FP32)


def _dealt(s: Settings, held: Sequence[Weight]) -> list[Weight]:
    """The tensors whose states the last rank has: sorted by size, dealt to ranks and back again, experts apart
    (core/optimizer/layer_wise_optimizer.py `_shard_params_ping_pong`)."""
    out: list[Weight] = []
    for expert, ranks in ((False, s.dp), (True, s.expert_dp)):
        order = sorted((w for w in held if w.expert == expert for _ in range(w.copies)), key=lambda w: w.elements)
        loop = [*range(ranks), *reversed(range(ranks))]
        out += [w for i, w in enumerate(order) if loop[i % len(loop)] == ranks - 1]
    return out


_NO_GPU = 1 << 39
"""Bytes that no GPU has, of which blocks of the allocator are not told apart."""


def _blocks(s: Settings, held: Sequence[Weight], size: int) -> tuple[int, int]:
    """Weights and states that are tensors of their own, as the allocator counts their blocks: the weights, for each its copy in half
    precision and from it the one in fp32 (core/optimizer/optimizer.py `Float16OptimizerWithFloat16Params`), then its moments."""
    states = sum(w.total * _state_bytes(s, w) for w in held)
    if size * sum(w.total for w in held) + states > _NO_GPU:
        return size * sum(w.total for w in held), states
    pool = Allocator()
    each = [w for w in held for _ in range(w.copies)]
    for w in each:
        pool.take(size * w.elements)
    weights = pool.allocated
    # Experts have an optimizer of their own, made and stepped after the other (core/optimizer/__init__.py `get_megatron_optimizer`).
    each.sort(key=lambda w: w.expert)
    for w in each if size == HALF else ():
        clone = pool.take(size * w.elements)
        before = pool.allocated
        pool.take(FP32 * w.elements)
        if clone >= 0:
            pool.give(clone)
        else:
            pool.allocated -= -(-size * w.elements // 512) * 512
        assert pool.allocated <= before + FP32 * w.elements + (1 << 20) + 512
    for w in each:
        for _ in range((_state_bytes(s, w) - FP32 * (size == HALF)) // FP32):
            pool.take(FP32 * w.elements)
    return weights, pool.allocated - weights


def stage_of(s: Settings, model: Model, stage: int, chunks: Chunks, device: Device | None, env: Mapping[str, str]) -> Stage:
    """The memory of one pipeline rank."""
    r = s.rank
    layers = [i for chunk in chunks for i in chunk]
    first, last = stage == 0, stage == s.pp - 1
    held = [w for i in layers for w in model.layers[i].weights]
    held += [w for w in model.first.weights if first]
    if last:
        held += [*model.last.weights, *model.mtp.weights]
    size = FP32 if s.precision == "fp32" else HALF
    n, offloaded = sum(w.total for w in held), 0
    experts = sum(w.total for w in held if w.expert)
    ways, expert_ways = (max(1, s.dp // s.instances), max(1, s.expert_dp // s.instances)) if s.distributed else (1, 1)
    weights = size * n
    if s.fsdp == "optim_grads_params":
        weights = sum(-(-size * w.total // (expert_ways if w.expert else ways)) for w in held)
    gradients = (s.gradient if size == HALF else FP32) * n
    if s.fsdp in ("optim_grads", "optim_grads_params"):
        gradients = sum(-(-s.gradient * w.total // (expert_ways if w.expert else ways)) for w in held)
    if ways == 1 and expert_ways == 1 and not s.fsdp:
        weights, optimizer = _blocks(s, held, size)
        if s.layer_wise:
            optimizer = sum(w.elements * _state_bytes(s, w) for w in _dealt(s, held))
    else:
        optimizer = sum(-(-w.total * _state_bytes(s, w) // (expert_ways if w.expert else ways)) for w in held)
    if s.offloaded:
        # The rest has fp32 weights and moments whatever their types, and keeps its gradients in fp32 (hybrid_optimizer.py
        # `_set_sub_optimizer_grads`).
        optimizer = sum(4 * FP32 * w.total // (expert_ways if w.expert else ways) for w in held)
        offloaded = int(optimizer * s.offloaded)
        optimizer -= offloaded
    quantized = [w for w in held if w.fp8]
    transposed = compute_of(device) < 10
    weights += sum(weight_bytes(w, transposed=transposed, gathered=s.fp8_gathered) - HALF * w.total for w in quantized)
    # Gradients in half precision are copied to fp32 before the step, each rank those whose states it has; the copies stay until the
    # next (core/optimizer/optimizer.py, distrib_optimizer.py `_copy_model_grads_to_main_grads`).
    between = 0
    if s.gradient == HALF and s.precision != "fp32" and s.copied:
        between = sum(FP32 * w.total // (expert_ways if w.expert else ways) for w in held)
    work = work_space(s, device, env, routed=bool(experts))
    boundary = HALF * r.hidden * r.local
    buffers = 0
    if s.pp > 1:
        # The last input and its gradient of each chunk, which the schedule still names. (PyTorch kept what an exchange that nobody waits
        # for sends; since, core/pipeline_parallel/schedules.py waits: `send_next_wait_handle`.)
        buffers += 2 * s.virtual * boundary
    gathered = HALF * r.hidden * r.tokens if r.sp else 0  # For the head's matrix (core/tensor_parallel/layers.py).
    if s.dispatcher == "allgather" and experts:
        # core/transformer/moe/token_dispatcher.py `MoEAllGatherTokenDispatcher`: tokens of all ranks of tensor and expert parallelism.
        gathered = max(gathered, HALF * r.hidden * r.local * s.tp * s.ep)
    if _unfused(r) and (s.local or r.attention == "local"):
        # The scores go into it too (core/transformer/dot_product_attention.py).
        gathered = max(gathered, _scores(model, r))
    buffers += gathered  # One buffer for all of them, kept (core/utils.py `GlobalMemoryBuffer`: one for each name and type).
    if s.grad_fusion:
        # A gradient that is added where it is computed leaves an empty one behind, one for each shape
        # (transformer_engine/pytorch/module/
        # base.py `get_dummy_wgrad`; core/tensor_parallel/layers.py `LinearWithGradAccumulationAndAsyncCommunication.backward`).
        shapes = {(w.elements, w.row) for w in held if w.matrix}
        if last and s.tied:
            shapes.add((s.vocab * r.hidden // s.tp, False))
        buffers += HALF * sum(elements for elements, _ in shapes)
    blocks: dict[str, int] = {}
    again = logits = 0

    def add(kept: Sequence[Kept], times: float) -> None:
        for k in kept:
            blocks[k.block] = blocks.get(k.block, 0) + int(k.bytes * times)

    # What a micro-batch keeps of each chunk: storages, and how often.
    held_by: list[list[tuple[tuple[Kept, ...], float]]] = []
    for chunk in chunks:
        held_by.append([])
        for place, i in enumerate(chunk):
            kept = model.layers[i].kept
            # Of `block` the first layers of each chunk are made again, one by one; `uniform` makes groups of them again.
            group = s.recompute_layers if s.recompute_method == "uniform" else 1
            if s.recompute == "full" and (s.recompute_method != "block" or place < s.recompute_layers):
                entered = HALF * r.hidden * r.local // (r.tp if s.spread_inputs else 1)
                held_by[-1].append(((Kept("norm", "layer's input", entered),), 1 / group))
                again = max(again, group * sum(k.bytes for k in kept))
                continue
            if s.recompute == "selective":
                left, made = _selective(kept, s.modules)
                kept = tuple(left)
                again = max(again, made)
            held_by[-1].append((kept, 1))
    sizes = [int(sum(times * sum(k.bytes for k in kept) for kept, times in rows)) for rows in held_by]
    ahead: Sequence[Kept] = model.mtp.kept if last else ()
    if ahead and s.recompute == "selective":
        ahead, made = _selective(ahead, s.modules)
        again = max(again, made)
    elif ahead and s.recompute == "full" and s.recompute_method != "block":
        # core/transformer/multi_token_prediction.py `MultiTokenPredictionLayer._checkpointed_forward`: projection and layer, by `uniform`.
        ahead = [k for k in ahead if k.block == "mtp" and not k.name.startswith("projection")]
    if last:
        logits = _logits(s)
        sizes[-1] += logits + sum(k.bytes for k in (*model.last.kept, *ahead))
    flying = in_flight(s, stage, sizes)
    for rows, number in zip(held_by, flying, strict=True):
        for kept, times in rows:
            add(kept, times * number)
    if first:
        add(model.first.kept, flying[0])
    if not last or not flying[-1]:
        logits = 0
    gathered = 0
    if s.fsdp == "optim_grads_params" and ways > 1:
        outside = model.first + model.last + model.mtp
        gathered = gathered_bytes(s.gradient, s.prefetched, [model.layers[i] for i in layers], outside, logits, again)
    if logits:
        add(model.last.kept, 1)
        add(ahead, 1)
        # A layer is made again after the logits are gone.
        again = max(0, again - logits)
    return Stage(
        weights, gradients, optimizer, work, buffers, between, blocks, again, logits, n, experts,
        sum(w.total for w in quantized), gathered, offloaded,
    )  # fmt: skip


def _scores(model: Model, r: Rank) -> int:
    softmax = next((k.bytes for block in model.layers for k in block.kept if k.name == "softmax"), 0)
    return softmax if r.softmax_fused else softmax // 2


def _logits(s: Settings) -> int:
    """Logits in half precision and in fp32: the loss computes in place in the latter, keeps them as its softmax, and makes its gradient
    of them (core/tensor_parallel/cross_entropy.py `VocabParallelCrossEntropy`). Each depth of MTP keeps one more softmax."""
    r = s.rank
    tokens = r.tokens
    local = tokens * (s.vocab // s.tp)
    # Compiled, its in-place operations take one more (core/fusions/fused_cross_entropy.py under torch.compile).
    whole = (HALF + FP32 + (FP32 if s.fused_loss else 0)) * local + s.mtp * FP32 * local
    # Gradients of logits and inputs that wait for the head's weight gradient (core/tensor_parallel/layers.py `grad_output_buffer`).
    return whole + min(s.deferred, s.micro_batches) * HALF * (local + r.hidden * r.local)


MADE_AGAIN = {
    "core_attn": ("scores",),
    "layernorm": (),
    "mla_up_proj": (),
    "mlp": ("mlp",),
    "moe": ("experts",),
    "moe_act": (),
    "shared_experts": (),
}


def _selective(kept: Sequence[Kept], modules: Sequence[str]) -> tuple[list[Kept], int]:
    """What is left where modules are made again, and the largest that is at one time (core/transformer/transformer_config.py
    `recompute_modules`)."""
    gone: list[Kept] = []
    for module in modules:
        if module not in MADE_AGAIN:
            raise UnsupportedError(f"--recompute-modules {module} is not modelled", f"one of {', '.join(MADE_AGAIN)}")
        for k in kept:
            # The dense FFN's module is another than that of the experts all tokens visit, which is part of `moe`
            # (core/transformer/moe/moe_layer.py `forward`, `custom_forward`).
            shared = k.name.startswith("shared expert")
            hit = (
                shared if module in ("moe", "shared_experts") and k.block == "mlp" else k.block in MADE_AGAIN[module] and not shared
            )
            hit |= module == "layernorm" and k.name.endswith("norm: output")
            hit |= module == "moe_act" and k.name.startswith("rows: after the activation")
            hit |= module == "mla_up_proj" and k.name in ("queries", "keys", "keys and values projected up")
            if hit and k not in gone:
                gone.append(k)
    return [k for k in kept if k not in gone], sum(k.bytes for k in gone)


def parameters(s: Settings, model: Model) -> tuple[int, int]:
    """Parameters of the whole model, the padded vocabulary with them, and those that a token visits."""
    dense = experts = 0
    for block in (*model.layers, model.first, model.last, model.mtp):
        for w in block.weights:
            if w.expert:
                experts += w.total * s.ep * s.etp
            else:
                dense += w.total * (s.tp if w.split else 1)
    if s.pp > 1 and s.tied:
        dense -= s.vocab * model.hidden
    total, (number, active) = dense + experts, model.experts
    return total, dense + (experts * active // number if number else 0)
