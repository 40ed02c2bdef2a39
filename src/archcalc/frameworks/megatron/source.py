"""A SOURCE as Megatron-LM would train it: its modules built from an architecture in place of arguments."""

from __future__ import annotations

from itertools import pairwise

from archcalc.analysis.training.planner import Planner
from archcalc.analysis.training.run import Memory, Run, Term
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.megatron import layers as ml
from archcalc.frameworks.megatron import memory as mm
from archcalc.frameworks.megatron.layers import FP32, HALF, Block, Kept, Rank, Weight
from archcalc.frameworks.megatron.terms import terms_of
from archcalc.hardware import Device
from archcalc.model import Architecture, Bare, Cache, Layer, Tensor


class MegatronPlanner(Planner):
    """The planner of runs by Megatron-LM's accounting. Raises `UnsupportedError` for layers that its modules here do not cover."""

    def __init__(self, architecture: Architecture, device: Device | None = None) -> None:
        super().__init__(architecture)
        self.device = device
        self._settings: mm.Settings
        self._known: dict[Run, bool] = {}

    def _covered(self, run: Run) -> bool:
        """`covers`, which no length and no micro-batch changes."""
        key = run._replace(seq=1, micro_batch=1)
        if key not in self._known:
            self._known[key] = covers(self.a, run)
        return self._known[key]

    def check(self, run: Run) -> None:
        super().check(run)
        if run.modules and not self._covered(run):
            raise UsageError(
                "--recompute-modules: this model or run is not counted by Megatron-LM's modules, so none of them can be told apart",
                "no adapters, FSDP, ZeRO above 1 or offload beside it",
            )
        if run.etp and not self._covered(run):
            raise UsageError(
                f"--etp {run.etp}: this model or run is not counted by Megatron-LM's modules, whose experts it splits",
                "no adapters, FSDP, ZeRO above 1 or offload beside it",
            )
        if run.tp > 1 and not run.sequence and self.a.facts.moe is not None and self._covered(run):
            raise UsageError(
                f"--tp {run.tp}: Megatron-LM trains no experts so without sequence parallelism (core/transformer/moe/moe_layer.py)",
                "add --sp",
            )
        if run.moment_size and (run.optimizer not in ("adamw", "adamw-fused") or run.zero != 1 or run.precision != "mixed"):
            raise UsageError(
                "--moment-dtype is of Megatron-LM's precision-aware optimizer: Adam in mixed precision, its states shared (ZeRO 1)",
                "--zero 1 --optimizer adamw with it, or leave it out",
            )
        for module in run.modules:
            if module not in mm.MADE_AGAIN:
                raise UsageError(f"--recompute-modules {module} is not modelled", f"one of {', '.join(mm.MADE_AGAIN)}")

    def memory(self, run: Run) -> Memory:
        self.check(run)
        if not self._covered(run):
            return super().memory(run)
        stages = self._megatron(run)
        fullest = max(range(len(stages)), key=lambda i: stages[i].total)
        f = stages[fullest]
        terms = [Term(*row) for row in terms_of(self._settings, f)]
        return Memory(
            f.total, tuple(t for t in terms if t.bytes), f.moment,
            (("between two steps", f.static), ("at most", f.total)), fullest, tuple(s.total for s in stages),
            tuple(s.static for s in stages), 0, tuple(f.activations.items()),
        )  # fmt: skip

    def least(self, run: Run) -> int:
        return 0 if self._covered(run) else super().least(run)

    def total(self, run: Run) -> int:
        if not self._covered(run):
            return super().total(run)
        return max(stage.total for stage in self._megatron(run))

    def _megatron(self, run: Run) -> list[mm.Stage]:
        s, model = modules(self.a, run)
        self._settings = s
        n = len(model.layers)
        if n % (run.pp * run.interleave) == 0:
            spread = mm.spread(n, run.pp, run.interleave)
        else:
            bounds = [n * rank // run.pp for rank in range(run.pp + 1)]
            spread = [_uneven(range(a, b), run.interleave) for a, b in pairwise(bounds)]
        return [mm.stage_of(s, model, i, layers, self.device, {}) for i, layers in enumerate(spread)]


def _uneven(layers: range, parts: int) -> mm.Chunks:
    """Layers in parts as even as can be."""
    bounds = [len(layers) * i // parts for i in range(parts + 1)]
    return [list(layers[a:b]) for a, b in pairwise(bounds)]


def covers(a: Architecture, run: Run) -> bool:
    """Whether Megatron-LM's modules here cover the model and the run."""
    if (
        run.lora
        or run.quant
        or run.frozen
        or run.fsdp > 1
        or run.zero > 1
        or run.offload != "none"
        or run.ema
        or run.precision == "amp"
    ):
        return False
    if run.optimizer not in ("adamw", "adamw-fused", "sgd", "lion", "muon") or run.loss not in ("full", "none"):
        return False
    try:
        modules(a, run._replace(tp=1, pp=1, ep=1, cp=1))
    except UnsupportedError:
        return False
    return True


def _rms(a: Architecture) -> bool:
    """Whether the decoder's norms are RMSNorm: Megatron-LM has that and LayerNorm alone."""
    kinds = {t.norm for s in a.stacks if s.part == "decoder" for layer in s.kinds for t in layer.tensors if t.norm is not None}
    bare = {
        step.kind for s in a.stacks if s.part == "decoder" for layer in s.kinds for step in layer.steps if isinstance(step, Bare)
    }
    return not any(kind.startswith("layer") for kind in kinds) and (bool(kinds) or "bare-rms" in bare)


def modules(a: Architecture, run: Run) -> tuple[mm.Settings, mm.Model]:
    """The settings and modules of a run. Raises `UnsupportedError` where there is none for a kind of layer."""
    f = a.facts
    rms = _rms(a)
    dropout = 0.1 if run.dropout else 0.0
    any_bias = any(
        t.name.endswith("down_proj.bias") or t.name.endswith("c_proj.bias") for s in a.stacks for k in s.kinds for t in k.tensors
    )
    rank = Rank(
        run.micro_batch, run.seq, run.cp, run.tp, run.sequence, run.ep, run.expert_tp, f.hidden_size, 1 if rms else 2, any_bias, dropout,
        dropout,
        "unfused" if run.attention == "eager" else "auto",
    )  # fmt: skip
    kinds: dict[int, Block] = {}
    layers: list[Block] = []
    attention = 0
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for k in stack.pattern:
            layer = stack.kinds[k]
            if id(layer) not in kinds:
                kinds[id(layer)] = _block(a, layer, rank, run.capacity)
            layers.append(kinds[id(layer)])
            attention += sum(x.heads * (x.qk_dim + x.v_dim) for x in layer.attends)
    if not layers:
        raise UnsupportedError("the model has no decoder layers")
    moe = f.moe
    # Megatron-LM pads the vocabulary to a multiple of 128 for each rank (--make-vocab-size-divisible-by).
    vocab = -(-f.vocab_size // (128 * run.tp)) * 128 * run.tp
    learned = f.context_tokens or run.seq if f.position.kind == "learned" else 0
    settings = mm.Settings(
        "gpt", rank, run.seq, run.micro_batch, run.dp * run.tp * run.pp * run.cp, run.tp, run.pp, run.cp, run.ep,
        run.expert_tp, run.interleave,
        run.micro_batches, run.zero == 1, 1, "fp32" if run.precision == "fp32" else "bf16", run.grad_size or 4,
        {"adamw": "adam", "adamw-fused": "adam"}.get(run.optimizer, run.optimizer), run.recompute, "uniform", run.every,
        run.modules or ("core_attn",), vocab,
        f.tied_embeddings, learned, False, False, False, moe is not None, 0, True, "alltoall", False, 0, 0, False,
        # Of fp32 weights the optimizer keeps the 16 bits that their bf16 copies do not have (memory.py `_precise`).
        states=HALF + 2 * run.moment_size if run.moment_size else 0, copied=not run.moment_size,
    )  # fmt: skip
    word = Weight(vocab * f.hidden_size // run.tp, split=True)
    first = Block(
        (word, *((Weight(learned * f.hidden_size),) if learned else ())), (Kept("embedding", "token numbers", 8 * rank.tokens),)
    )
    last = [Weight(f.hidden_size, copies=rank.norms)]
    if run.pp > 1 or not f.tied_embeddings:
        last.append(word._replace(matrix=True, head=True))
    behind = (
        Kept("norm", "final norm: input", HALF * f.hidden_size * rank.local), Kept("norm", "final norm: statistics",
        rank.stats * rank.local),
        Kept("head", "head: input", HALF * f.hidden_size * rank.local),
    )  # fmt: skip
    model = mm.Model(
        tuple(layers),
        first,
        Block(tuple(last), behind),
        ml.NOTHING,
        "",
        f.hidden_size,
        (moe.experts, moe.active) if moe else (0, 0),
        attention,
    )
    return settings, model


def _named(layer: Layer, *ends: str) -> Tensor | None:
    return next((t for t in layer.tensors if t.name.endswith(tuple(f"{end}.weight" for end in ends))), None)


def _ssm(layer: Layer, cache: Cache) -> ml.Ssm:
    heads, head_dim, state = next(s.shape for s in cache.states if s.name == "recurrent")
    convolved = sum(s.shape[0] for s in cache.states if s.name == "conv")
    return ml.Ssm(heads, head_dim, (convolved - heads * head_dim) // (2 * state), state)


_ATTENDED = frozenset({"full", "sliding", "chunked", "latent"})
"""Kinds of caches whose layers are its attention modules."""


def _block(a: Architecture, layer: Layer, r: Rank, capacity: int) -> Block:
    """The modules of one layer."""
    block = ml.NOTHING
    state = layer.keeps("state")
    if state is not None and state.recurrence == "mamba2":
        return ml.mamba(r, _ssm(layer, state))
    if any(cache.kind not in _ATTENDED for cache in layer.caches) or len(layer.attends) > 1:
        raise UnsupportedError(f"Megatron-LM's module for {layer.mixer} is not modelled", "--implementation transformers")
    for x in layer.attends:
        latent = layer.keeps("latent")
        norms = any(t.role == "norm" and t.name.rpartition(".")[0].endswith(("q_norm", "q_layernorm")) for t in layer.tensors)
        if latent is not None:
            rope, q = latent.value_dim, _named(layer, "q_a_proj")
            dims = ml.Latent(q.shape[0] if q else 0, latent.key_dim, x.qk_dim - rope, rope, x.v_dim)
            block += ml.latent_attention(r, x.heads, dims, qk_norm=True)
            continue
        groups = next((c.heads for c in layer.caches if c.heads), x.heads)
        bias = any(t.name.endswith(("q_proj.bias", "c_attn.bias", "query_key_value.bias")) for t in layer.tensors)
        if x.qk_dim != x.v_dim:
            raise UnsupportedError("attention whose values are not as wide as its keys is not modelled for Megatron-LM")
        block += ml.attention(r, x.heads, groups, x.qk_dim, rope=a.facts.position.kind == "rotary", qk_norm=norms, bias=bias)
    routed = [t for t in layer.tensors if t.experts]
    dense = [t for t in layer.tensors if t.role in ("mlp", "shared_experts") and len(t.shape) == 2 and t.name.endswith(".weight")]
    downs = [
        t
        for t in dense
        if t.shard is not None
        and "latent" not in t.name
        and any(d in t.name for d in ("down", "c_proj", "fc2", "fc_out", "w2", "4h_to_h", "dense"))
    ]
    # With a gate there is a matrix more, or one of twice the width.
    gated = any("gate" in t.name for t in (*dense, *routed)) or any(
        2 * max(down.shape) in t.shape and min(t.shape) == min(down.shape) for down in downs for t in dense if t is not down
    )
    if routed:
        down = next((t for t in routed if "down" in t.name), routed[-1])
        assert down.experts is not None
        projected = _named(layer, "fc1_latent_proj")
        read = projected.shape[0] if projected else a.facts.hidden_size
        # DBRX stacks the rows of all experts in one matrix.
        *_, rows, columns = down.shape
        rows = rows if len(down.shape) == 3 else rows // down.experts.total
        inner = columns if rows == read else rows
        gated = gated or sum(t.elements for t in routed) >= 3 * down.elements
        shared = sum(max(t.shape) if min(t.shape) == a.facts.hidden_size else min(t.shape) for t in downs[:1])
        experts = ml.Experts(
            down.experts.total,
            down.experts.active,
            inner,
            shared,
            grouped=True,
            dispatcher="alltoall",
            router_size=FP32,
            latent=projected.shape[0] if projected else 0,
            capacity=capacity,
        )
        block += ml.moe(r, experts, gated=gated, weighted=gated)
    elif downs:
        down = downs[0]
        inner = down.elements // a.facts.hidden_size
        block += ml.mlp(r, inner, gated=gated)
    elif layer.ffn not in ("none", ""):
        raise UnsupportedError(f"Megatron-LM's module for {layer.ffn} is not modelled", "--implementation transformers")
    return block
