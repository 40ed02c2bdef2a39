"""The memory of the fullest GPU of a run."""

from __future__ import annotations

from math import ceil

from archcalc.analysis import activations as act
from archcalc.analysis.activations import How, Saved, Split, rank_bytes
from archcalc.analysis.activations.saved import FP32
from archcalc.analysis.training.adapters import SAVED, targeted
from archcalc.analysis.training.passing import adapter_outputs, passing_gradients, read_by_matrices
from archcalc.analysis.training.pieces import Piece, adapters_of, pieces, stage_layers
from archcalc.analysis.training.rules import check
from archcalc.analysis.training.run import Memory, Run, Term
from archcalc.analysis.training.segments import loss_steps, taken
from archcalc.analysis.training.states import States, casts, share
from archcalc.analysis.training.states import states as _states
from archcalc.engines.placement import evenly
from archcalc.model import Architecture, Layer
from archcalc.records import NamedTuple

_STASH = 5
"""Inputs that wait to be moved to the CPU (torchtune and TRL, `max_fwd_stash_size`)."""


class _Layers(NamedTuple):
    """`number` layers of one kind: what each keeps, what it makes again, what it keeps without checkpointing, and the gradients
    that are
    alive at once inside it in the backward pass; `every` is `alone` storage by storage, `outputs` are the widest adapter's; `norm` are
    the bytes of DoRA's norms while they are taken."""

    number: int
    kept: tuple[Saved, ...]
    again: tuple[Saved, ...]
    alone: tuple[Saved, ...]
    passing: tuple[Saved, ...]
    read: int
    norm: int
    every: tuple[Saved, ...]
    outputs: tuple[Saved, ...]


class _Stage(NamedTuple):
    """What a pipeline stage holds, whatever the batch and the length are.

    `outside` is kept outside the layers, so many times each; `unreached` is what the first layer does not keep after all. `flying`
    is how many micro-batches are in flight, as a fraction.
    """

    layers: tuple[_Layers, ...]
    outside: tuple[tuple[Saved, int], ...]
    unreached: tuple[Saved, ...]
    states: States
    casts: tuple[int, int, int]
    flying: tuple[int, int]
    last: bool


class _Moment(NamedTuple):
    """What is alive at one moment of a step beside what is held through all of it."""

    gradients: int
    blocks: dict[str, int]
    gathered: int
    casts: int
    logits: int
    again: int = 0
    step: int = 0
    before: int = 0

    @property
    def bytes(self) -> int:
        return (
            self.gradients
            + sum(self.blocks.values())
            + self.gathered
            + self.casts
            + self.logits
            + self.again
            + self.step
            + self.before
        )


class _Filled(NamedTuple):
    """A stage with a batch in it: weights and states, and what is alive beside them at each moment."""

    held: int
    moments: dict[str, _Moment]

    @property
    def total(self) -> int:
        return self.held + max(m.bytes for m in self.moments.values())


class Planner:
    """Analyses one architecture again and again: what does not change with the run is made once."""

    def __init__(self, architecture: Architecture) -> None:
        self.a = architecture
        self._targets: dict[tuple[tuple[str, ...], tuple[str, ...]], frozenset[str]] = {}
        self._pieces: dict[tuple[object, ...], list[list[Piece]]] = {}
        self._passing: dict[tuple[int, How], tuple[tuple[Saved, ...], int]] = {}
        self._whole: dict[tuple[int, How, act.Implementation, bool], tuple[tuple[Saved, ...], tuple[Saved, ...]]] = {}
        self._layers: dict[tuple[int, How, act.Implementation, bool, act.Recompute], act.Kept] = {}
        self._outside: dict[tuple[How, act.Implementation, bool], list[Saved]] = {}
        self._states: dict[tuple[int, Run], States] = {}
        self._stages: dict[tuple[Run, int, int], tuple[_Stage, ...]] = {}
        self._windows = sorted({x.window for s in architecture.stacks for k in s.kinds for x in k.attends if x.window is not None})

    def memory(self, run: Run) -> Memory:
        """The fullest GPU. Raises `UsageError` for a run that cannot be."""
        self.check(run)
        stages = self._held(run)
        filled = [self._fill(stage, run) for stage in stages]
        totals = tuple(f.total for f in filled)
        fullest = totals.index(max(totals))
        return self._memory(run, fullest, stages[fullest], filled[fullest])._replace(
            stage=fullest,
            stages=totals,
            static=tuple(stage.states.held for stage in stages),
            segments=max(self._segments(run, stage, each) for stage, each in zip(stages, filled, strict=True)),
        )

    def total(self, run: Run) -> int:
        """Bytes on the fullest GPU of a run that keeps the rules."""
        return max(self._fill(stage, run).total for stage in self._held(run))

    def least(self, run: Run) -> int:
        """Bytes that the fullest GPU of a run holds at least, whatever passes through it: its weights, gradients and states."""
        held = (self._states_of(run, stage, pieces) for stage, pieces in enumerate(self.pieces(run)))
        return max(x.held + max(x.gathered[1], x.step) for x in held) + run.buffers + run.engine_bytes

    def check(self, run: Run) -> None:
        """Raises `UsageError` naming the rule that a run breaks."""
        check(self.a, run)
        self._adapters(run)

    def _adapters(self, run: Run) -> frozenset[str]:
        """The modules that adapters go on."""
        key = (run.targets, run.saved) if run.lora else ((), ())
        if key not in self._targets:
            self._targets[key] = adapters_of(self.a, run)
        return self._targets[key]

    def how(self, run: Run) -> How:
        """How matrices compute in this run."""
        # DeepSpeed's engine takes autocast's place (accelerate 1.15, accelerator.py: `native_amp`).
        autocast = run.adapter_autocast and run.lora and run.size < run.adapter_size and not run.autocast and not run.zero
        return How(
            size=run.size, attention=run.attention, amp=run.autocast, trains=not run.lora, targets=self._adapters(run),
            rank=run.lora, tokens=run.seq, batch=run.micro_batch, adapter_size=run.adapter_size,
            inputs=run.quant == "int8" or (bool(run.quant) and run.nf4_inputs),
            capacity=run.capacity, adapter_dropout=run.adapter_dropout, joined=run.joined,
            autocast=("kept" if run.quant else "cast") if autocast else "",
            exchanged=run.ep > 1, compiled=run.compiled, dora=run.dora, fused_norms=run.fused_norms, fused_glu=run.fused_glu,
            whole=run.dora and (bool(run.quant) or run.adapter_size != run.size),
        )  # fmt: skip

    def pieces(self, run: Run) -> list[list[Piece]]:
        """The weights of each stage."""
        scalar = run.loss == "scalar" and not run.headed
        key = (
            run.tp, run.pp, run.ep, run.lora, run.targets, run.saved, run.dora, run.quant, run.frozen, run.unfrozen,
            run.quantized_experts,
            run.quantized_head, run.untied, scalar, run.loss == "scalar" and run.dp == 1 and not run.stage,
        )  # fmt: skip
        if key not in self._pieces:
            self._pieces[key] = pieces(self.a, run, self._adapters(run))
        return self._pieces[key]

    def _longer(self, tokens: int) -> int:
        """How many windows are shorter: all that the structure of a layer's activations depends on a length by."""
        return sum(1 for w in self._windows if w < tokens)

    def _kept(self, layer: Layer, how: How, plain: How, run: Run, recompute: act.Recompute) -> act.Kept:
        """What a layer keeps, like storages taken together."""
        key = id(layer), plain, run.implementation, run.dropout, recompute
        if key not in self._layers:
            first = key[:4]
            if first not in self._whole:
                megatron = run.implementation == "megatron"
                saved = (
                    act.megatron_saved(self.a, layer, how, dropout=run.dropout) if megatron else act.layer_saved(self.a, layer, how)
                )
                every = tuple(saved)
                self._whole[first] = every, act.together(every)
            every, together = self._whole[first]
            kept, again = act.checkpointed(self.a, layer, how, every, run.implementation, recompute)
            self._layers[key] = act.Kept(
                together if kept is every else act.together(kept), together if again is every else act.together(again)
            )
        return self._layers[key]

    def _kept_outside(self, how: How, plain: How, run: Run) -> list[Saved]:
        key = plain, run.implementation, run.dropout
        if key not in self._outside:
            megatron = run.implementation == "megatron"
            self._outside[key] = act.megatron_outside(self.a, how, dropout=run.dropout) if megatron else act.outside(self.a, how)
        return self._outside[key]

    def _states_of(self, run: Run, stage: int, held: list[Piece]) -> States:
        """The states of a stage, which do not depend on what passes through it."""
        key = (
            stage,
            run._replace(
                seq=1,
                micro_batch=1,
                attention="sdpa",
                loss="scalar" if run.loss == "scalar" else "full",
                chunks=1,
                recompute="none",
                every=1,
            ),
        )
        if key not in self._states:
            self._states[key] = _states(run, held)
        return self._states[key]

    def _held(self, run: Run) -> tuple[_Stage, ...]:
        longer, batch = self._longer(run.seq), min(run.micro_batch, 2)
        key = (
            run._replace(seq=1, micro_batch=1, loss="scalar" if run.loss == "scalar" else "full", chunks=1, scored=0),
            longer,
            batch,
        )
        if key not in self._stages:
            how = self.how(run)
            plain = how._replace(tokens=-longer, batch=batch)
            bounds = evenly(self.a.layers, run.pp)
            held = self.pieces(run)
            self._stages[key] = tuple(
                self._stage(run, how, plain, stage, layers, held[stage]) for stage, layers in stage_layers(self.a, bounds)
            )
        return self._stages[key]

    def _stage(self, run: Run, how: How, plain: How, stage: int, layers: list[tuple[Layer, int]], held: list[Piece]) -> _Stage:
        first, last = stage == 0, stage == run.pp - 1
        rows = []
        for layer, n in layers:
            kept = self._kept(layer, how, plain, run, run.recompute)
            at = id(layer), plain
            if at not in self._passing:
                self._passing[at] = tuple(passing_gradients(layer, how)), read_by_matrices(self.a, layer, how)
            passing, read = self._passing[at]
            rows.append(
                _Layers(
                    n * layer.graded(),
                    kept.kept,
                    kept.again,
                    self._kept(layer, how, plain, run, "none").kept,
                    () if run.implementation == "megatron" else passing,
                    read,
                    act.dora_working(layer, how) if run.dora else 0,
                    self._whole[id(layer), plain, run.implementation, run.dropout][0],
                    adapter_outputs(layer, how),
                )
            )
        positions = run.recompute != "full" or run.one_in > 1
        outside: list[tuple[Saved, int]] = []
        for saved in self._kept_outside(how, plain, run):
            at_start = saved.block in ("embedding", "position") or saved.name.startswith("embedding")
            if (at_start and first and (positions or saved.block != "position")) or (not at_start and last):
                # The first stage has a micro-batch in flight for each stage.
                flying = run.micro_batches if run.all_forward else min(run.pp, run.micro_batches)
                outside.append((saved, flying if at_start else 1))
        spared = first and run.lora and run.recompute == "none" and run.implementation == "transformers"
        return _Stage(
            tuple(rows), tuple(outside), tuple(act.unreached(self.a, _first_layer(self.a), how)) if spared else (),
            self._states_of(run, stage, held), casts(run, held), _in_flight(run, stage), last,
        )  # fmt: skip

    def _fill(self, stage: _Stage, run: Run) -> _Filled:
        split, batch, tokens = Split(run.tp, run.sequence, run.cp), run.micro_batch, run.seq
        over, under = stage.flying
        blocks: dict[str, int] = {}
        working = last_one = 0
        before = 0
        x = stage.states
        norm = 0
        if run.dora and stage.last and any(name.startswith("head.") for name in self._adapters(run)):
            norm = act.norm_bytes(self.how(run), self.a.facts.hidden_size, self.a.facts.vocab_size)
        for n, kept, makes_again, alone, passing, read, own_norm, *_ in stage.layers:
            sizes = _by_block(kept, batch, tokens, split)
            if run.pass_before and run.quant and run.nf4_inputs and run.recompute == "none":
                # What a function keeps as an attribute lives as long as its node (bitsandbytes 0.42, `ctx.tensors`).
                before += n * batch * tokens * read
            again = rank_bytes(makes_again, batch, tokens, split)
            # bitsandbytes 0.49, autograd/_functions.py `MatMul8bitLt.forward`: `ctx.tensors` holds what the matrix reads, which only the
            # graph's end frees; reentrant checkpointing makes no graph (torch/utils/checkpoint.py `CheckpointFunction`).
            held = batch * (tokens // run.cp) * read if run.quant == "int8" and run.recompute == "full" and not run.reentrant else 0
            if run.recompute == "full" and run.every > 1:
                # One input for each group of layers; the group is made again as a whole.
                groups = -(-n // run.every)
                sizes = {block: size * groups // n if n else 0 for block, size in sizes.items()}
                again *= min(run.every, n)
            beside = rank_bytes(passing, batch, tokens, split)
            working = max(working, again + beside + x.dequantized, again + own_norm if again else 0)
            norm = max(norm, own_norm)
            # The first layer has all that it needs when its turn comes.
            last_one = max(last_one, beside + rank_bytes(alone, batch, tokens, split) + x.dequantized)
            if run.offload_inputs and run.recompute == "full":
                # One is on its way out while the next is made (torchtune 0.6, training/_activation_offloading.py:
                # max_fwd_stash_size 5).
                sizes = {block: size * min(_STASH, n) // n if n else 0 for block, size in sizes.items()}
            if held:
                sizes["inputs of int8 matrices"] = held
            remade = n // run.one_in if again else n
            for block, size in sizes.items():
                blocks[block] = blocks.get(block, 0) + size * remade * over // under
            for block, size in _by_block(alone, batch, tokens, split).items() if remade < n else ():
                blocks[block] = blocks.get(block, 0) + size * (n - remade) * over // under
        for saved in stage.unreached:
            blocks[saved.block] -= rank_bytes((saved,), batch, tokens, split)
        for saved, times in stage.outside:
            blocks[saved.block] = blocks.get(saved.block, 0) + rank_bytes((saved,), batch, tokens, split) * times
        logits = _logits(self.a, run, stage.states.head) if stage.last else (0, 0, 0)
        if run.value_model:
            # Policy and value model run in one forward pass (PPO's `PolicyAndValueWrapper`).
            blocks = {block: 2 * size for block, size in blocks.items()}
        # Gradients that a step does not keep live between its backward pass and the optimizer alone.
        summed = x.gradients if run.keeps_gradients else 0
        moments = {
            "end of the forward pass": _Moment(summed, blocks, x.gathered[0], stage.casts[0], logits[0], before=before),
            "start of the backward pass": _Moment(summed, blocks, x.gathered[0], stage.casts[1], logits[1]),
            "backward pass of a layer": _Moment(summed, blocks, x.gathered[1], stage.casts[2], logits[2], working),
            "end of the backward pass": _Moment(x.gradients, {}, x.gathered[1], 0, 0, last_one),
            "optimizer's step": _Moment(x.gradients, {}, 0, 0, 0, 0, x.step),
        }
        if norm:
            moments["norms of DoRA"] = _Moment(summed, blocks, x.gathered[0], stage.casts[0], 0, norm)
        return _Filled(x.held - x.gradients + run.buffers + run.engine_bytes, moments)

    def _memory(self, run: Run, place: int, stage: _Stage, filled: _Filled) -> Memory:
        states = stage.states
        f = _states(run, self.pieces(run)[place], words=True).formulas
        totals = {name: filled.held + m.bytes for name, m in filled.moments.items()}
        moment = max(totals, key=lambda name: totals[name])
        m = filled.moments[moment]
        late = moment == "start of the backward pass"
        terms = [
            Term("weights", "weights", states.weights, f["weights"]),
            Term("weights", "adapters", states.adapters, f["adapters"]),
            Term("weights", "weights gathered", m.gathered, _gathered_words(run, moment)),
            Term(
                "weights",
                "weights cast by autocast",
                m.casts,
                f"{run.size} B x {m.casts // run.size:,}, kept for the backward pass",
            ),
            Term("gradients", "gradients", m.gradients, f["gradients"]),
            Term("optimizer", "optimizer", states.optimizer, f["optimizer"]),
            Term("optimizer", "EMA of the weights", states.ema, f["ema"]),
            *(
                Term("activations", f"activations: {block}", size, _activation_formula(run, block, size))
                for block, size in m.blocks.items()
            ),
            Term(
                "activations",
                "inside a layer",
                m.again,
                "a unit matrix through the adapter, its product twice, their sum with the matrix"
                if moment == "norms of DoRA"
                else "what the fullest layer makes again, the gradients that pass through it",
            ),
            Term(
                "logits", "logits and loss", m.logits, _held_logits(self.a, run) if m.again else _logits_formula(self.a, run, late)
            ),
            Term("activations", "the pass before", m.before, "inputs of nf4 matrices, which live as long as their graph"),
            Term(
                "weights",
                "models beside it",
                states.reference,
                f"{run.frozen_models} frozen, in {'fp32' if run.frozen_size == 4 else 'half precision'}",
            ),
            Term("weights", "rollouts' engine", run.engine_bytes, "its share of the GPU"),
            Term("gradients", "communication buffers", run.buffers, "buckets of gradients and of gathered weights"),
            Term("optimizer", "optimizer's temporaries", m.step, "a copy of the gradients (foreach)"),
        ]
        return Memory(
            totals[moment], tuple(t for t in terms if t.bytes), moment, tuple(totals.items()), 0, (), (), states.cpu,
            tuple(filled.moments["end of the forward pass"].blocks.items()),
            max(each.logits for each in filled.moments.values()),
        )  # fmt: skip

    def _segments(self, run: Run, stage: _Stage, filled: _Filled) -> int:
        """What the allocator has taken from the GPU by the end of a step, replayed: what is held and kept, and the segments of what
        comes and goes. In the forward pass of layers that are made again a part of each (the attention, the FFN) is alive with the
        outputs of one adapter."""
        if run.implementation == "megatron":
            return 0
        split = Split(run.tp, run.sequence, run.cp)

        def size(saved: Saved) -> int:
            return rank_bytes((saved,), run.micro_batch, run.seq, split)

        forward: list[list[int]] = []
        backward: list[list[int]] = []
        for row in stage.layers:
            made = [size(s) for s in row.every] if row.again else []
            if made:
                each = list(zip(row.every, made, strict=True))
                outputs = [size(s) for s in row.outputs]
                for others in (("adapters", "mlp", "experts"), ("adapters", "attention", "scores", "recurrence")):
                    alive = [n for s, n in each if s.block not in others]
                    forward.append([stage.states.dequantized, *alive, *outputs])
            backward.append([*made * min(run.every, max(1, row.number)), *map(size, row.passing), stage.states.dequantized])
        m = filled.moments["start of the backward pass"]
        logits = run.micro_batch * -(-min(run.seq, run.scored or run.seq) // run.cp) * -(-_scores(self.a) // _splits_logits(run))
        loss = loss_steps(run, logits, _logits(self.a, run, stage.states.head)) if stage.last else ()
        held = filled.held + m.gradients + sum(m.blocks.values()) + max(stage.states.gathered) + max(stage.casts)
        return held + taken(forward, loss, backward)


def _gathered_words(run: Run, moment: str) -> str:
    if run.pp > 1 or not run.reshard:
        return "all of the stage"
    early = moment in ("end of the forward pass", "start of the backward pass")
    late = "" if run.ends_apart else ", those outside the layers"
    return "outside the layers, two layers" + ("" if early else f"; gradients of one layer and what scatters them{late}")


def _by_block(saved: tuple[Saved, ...], batch: int, tokens: int, split: Split) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for s in saved:
        sizes[s.block] = sizes.get(s.block, 0) + rank_bytes((s,), batch, tokens, split)
    return sizes


def _first_layer(a: Architecture) -> Layer:
    """The first layer of the decoder."""
    stack = next(s for s in a.stacks if s.part == "decoder")
    return stack.kinds[stack.pattern[0]]


def _in_flight(run: Run, stage: int) -> tuple[int, int]:
    """Micro-batches whose activations a stage keeps, as a fraction: with 1F1B as many as there are stages from here to the end;
    interleaved schedules add (p - 1) / v for v chunks a stage (Korthikanti et al. 2022, section 4.2.3; Narayanan et al. 2021,
    arXiv:2104.04473, 2.2)."""
    if run.all_forward and run.pp > 1:
        return run.micro_batches, 1
    flying = min(run.pp - stage, run.micro_batches)
    if run.interleave == 1 or run.pp == 1:
        return flying, 1
    return min(flying * run.interleave + run.pp - 1, run.micro_batches * run.interleave), run.interleave


def _logits(a: Architecture, run: Run, head: int = 0) -> tuple[int, int, int]:
    """Logits and what the loss makes of them, at the end of the forward pass, the start of the backward pass, and later in it.

    transformers 5.23, loss/loss_utils.py `ForCausalLMLoss`: the model's output holds the logits to the end of the step; they are
    cast to fp32, whose log-softmax is kept; its backward pass makes two gradients of that size. `megatron` keeps fp32 logits alone
    (Korthikanti et al. 2022, section 4.3: 4sbv/t). `head` are the bytes of a dequantized head.
    """
    local = run.micro_batch * -(-min(run.seq, run.scored or run.seq) // run.cp)
    vocab = -(-_scores(a) // _splits_logits(run))
    c, n = run.size, local * vocab
    if run.loss == "scalar":
        # TRL 0.24, models/modeling_value_head.py `forward`: all logits, cast to fp32; the loss reads none of them.
        beside = (c + (FP32 if c != FP32 else 0)) * n if run.headed else 0
        return beside + FP32 * local, 2 * FP32 * local, 0
    if run.loss == "none":
        return c * n, c * n, c * n
    if run.implementation == "megatron":
        return 4 * n, 4 * n, 0
    targets = 8 * (local + (run.micro_batch == 1)) + 4
    if run.loss == "compiled":
        # torch.compile makes one kernel of cast, softmax and gradient: logits and their gradient in the computing type.
        return c * n + targets, 2 * c * n + targets, c * n
    if run.loss == "full":
        upcast = 4 if c != 4 else 0
        if _splits_logits(run) > 1:
            # PyTorch 2.13, distributed/tensor/parallel/loss.py `_log_softmax`: what is shifted by its maximum, beside its exponent or the
            # result; `_nll_loss_and_log_softmax_backward`: the result, the gradient of the loss, their sum, and that times the output's.
            late = 0 if run.output_freed else c
            return (c + upcast + 8) * n + targets, (late + 16) * n + targets, late * n
        if run.shifted != "labels":
            # A copy of all logits but the last token's, until the loss is there; the output holds them in fp32 up to 4.45, in the
            # computing type beside the fp32 ones that are copied from 4.46 on.
            held = FP32 if run.shifted == "fp32-logits" else c
            beside = 0 if run.shifted == "fp32-logits" else upcast
            late = 0 if run.output_freed else held
            return (held + beside + 4 + 4) * n + targets, (late + 4 + 8) * n + targets, late * n
        # The Trainer's `compute_loss` returns the loss alone, so the output is gone (transformers 5.24, trainer.py `training_step`).
        late = 0 if run.output_freed else c
        return (c + upcast + 4) * n + targets, (late + 8 + 4) * n + targets, late * n
    if run.loss == "chunked" and run.fp32_logits:
        # Fabric casts whole logits to fp32 on their way out (Lightning 2.4, fabric/plugins/precision/half.py and bitsandbytes.py
        # `convert_output`); the loss takes 128 tokens at a time, but frees nothing of them before all have run (LitGPT 0.5.3,
        # utils.py `chunked_cross_entropy`). `logits` names those of the pass before until then.
        old = FP32 * n if run.pass_before else 0
        upcast = FP32 * n if c != FP32 else 0
        return (
            # The head is whole again for each chunk, beside the chunks before.
            max(old + c * n + upcast, old + c * n - share(c * n, run.chunks) + head, (FP32 + FP32) * n) + targets,
            max(8 * n, 4 * n + share(4 * n, run.chunks)) + targets,
            FP32 * n,
        )
    if run.loss == "chunked" and run.head_in_chunks:
        # torchtitan, main of 2026-08, components/loss.py `ChunkedLossWrapper.__call__`: for each chunk logits and their gradient, while the
        # gradient of the head's input is gathered in fp32, and that of the head, in fp32 beside a chunk's where FSDP sums it
        # (PyTorch 2.13, distributed/fsdp/_fully_shard/_fsdp_param.py `to_accumulated_grad_if_needed`).
        inputs = local * a.facts.hidden_size
        return (
            2 * c * share(n, run.chunks) + FP32 * inputs + _head_gradient(a, run) * vocab * a.facts.hidden_size + targets,
            (FP32 + c) * inputs + targets,
            c * inputs,
        )
    if run.loss == "chunked":
        # A chunk at a time; logits and their gradients stay in the computing type (torchtune,
        # modules/loss/ce_chunked_output_loss.py).
        chunk = share(n, run.chunks)
        return c * n + 8 * chunk + 4 * n, 2 * c * n + 8 * chunk + targets, c * n
    # The head and the loss together, a chunk of tokens at a time, gradients made in the forward pass (Hsu et al. 2024,
    # arXiv:2410.10989, section 3.2): the chunk shrinks with the vocabulary so that its logits are no larger than the head's input.
    hidden = a.facts.hidden_size
    head = c * vocab * hidden if _trains_head(a, run) else 0
    made = (c + 4) * _fused_rows(a, run) * vocab + c * local * hidden + head
    kept = c * local * hidden + head
    return made, kept, 0


def _splits_logits(run: Run) -> int:
    """Ranks that share the logits' vocabulary."""
    return 1 if run.gathered_logits else run.tp


def _scores(a: Architecture) -> int:
    """Scores of a token behind its head: of its vocabulary, or labels; none where it has no head, whose loss is of hidden states."""
    return next((t.shape[0] for g in a.groups if g.part == "head" for t in g.tensors), 0)


def _trains_head(a: Architecture, run: Run) -> bool:
    return not run.lora or any(name.startswith(f"{SAVED}head.") for name in (targeted(a, (), run.saved) if run.saved else ()))


def _head_gradient(a: Architecture, run: Run) -> int:
    """Bytes of each element of the head's whole gradient while chunks add to it."""
    if not _trains_head(a, run):
        return 0
    return FP32 + run.size if run.fsdp > 1 else run.grad_size or (FP32 if run.precision in ("amp", "fp32") else run.size)


def _tokens_words(run: Run) -> str:
    return f"{run.micro_batch} x {-(-min(run.seq, run.scored or run.seq) // run.cp):,}"


def _held_logits(a: Architecture, run: Run) -> str:
    """The logits that the model's output still holds while layers run backwards, or the gradient that enters these."""
    if run.loss == "chunked" and run.head_in_chunks:
        return f"{run.size} B x {_tokens_words(run)} x {a.facts.hidden_size:,} (gradient of the head's input)"
    ways, held = _splits_logits(run), run.size
    if run.shifted == "fp32-logits" or (run.loss == "chunked" and run.fp32_logits):
        held = FP32
    return f"{held} B x {_tokens_words(run)} x {_scores(a):,}" + (f" / tp {ways}" if ways > 1 else "")


def _logits_formula(a: Architecture, run: Run, late: bool) -> str:
    tokens = _tokens_words(run)
    ways = _splits_logits(run)
    size = f"{tokens} x {_scores(a):,}" + (f" / tp {ways}" if ways > 1 else "")
    if run.loss == "none":
        return f"{run.size} B x {size}"
    if run.loss == "scalar":
        beside = f" + ({run.size} logits{' + 4 fp32' if run.size != FP32 else ''}) B x {size}" if run.headed and not late else ""
        return f"4 B x {tokens}: one number a token{beside}"
    if run.implementation == "megatron":
        return f"4 B x {size}"
    if run.loss == "compiled":
        return f"{2 * run.size if late else run.size} B x {size} (logits" + (" and their gradient)" if late else ")")
    if run.loss == "chunked" and run.fp32_logits:
        return (
            f"(4 logits + 4 log-softmax or gradients) B x {size}"
            if late
            else f"(4 of the pass before + {run.size} + 4) B x {size}, or the dequantized head"
        )
    if run.loss == "chunked" and run.head_in_chunks:
        hidden = a.facts.hidden_size
        if late:
            return f"(4 + {run.size}) B x {tokens} x {hidden:,} (gradient of the head's input)"
        of_head = f" + {_head_gradient(a, run)} B x {_scores(a):,} x {hidden:,} of the head"
        return f"{2 * run.size} / {run.chunks} B x {size} + 4 B x {tokens} x {hidden:,} (gradient of the head's input){of_head}"
    if run.loss == "chunked":
        chunk = f"8 / {run.chunks} for a chunk in fp32"
        return (
            f"({2 * run.size} logits and gradients + {chunk}) B x {size}"
            if late
            else f"({run.size} logits + 4 + {chunk}) B x {size}"
        )
    if run.loss == "fused":
        hidden, width = a.facts.hidden_size, run.size
        head = "" if not _trains_head(a, run) else f" + {width} B x {_scores(a):,} x {hidden:,} (gradient of the head)"
        chunk = "" if late else f" + ({width} + 4) B x {_fused_rows(a, run):,} x {_scores(a):,} (a chunk's logits)"
        return f"{width} B x {tokens} x {hidden:,} (gradient of its input){head}{chunk}"
    if ways > 1:
        held_by_output = "" if run.output_freed else f"{run.size} logits + "
        upcast = "4 fp32 + " if run.size != FP32 else ""
        return (
            f"({held_by_output}4 x 4 of the loss) B x {size}"
            if late
            else f"({run.size} logits + {upcast}2 x 4 of the loss) B x {size}"
        )
    if run.shifted != "labels":
        held = FP32 if run.shifted == "fp32-logits" else run.size
        more = "" if held == FP32 else " + 4 fp32"
        kept = "" if late and run.output_freed else f"{held} logits + " if late else f"{held} logits"
        return f"({kept}{'4 log-softmax + 2 x 4 gradients' if late else f'{more} + 4 shifted + 4 log-softmax'}) B x {size}"
    if late:
        held_by_output = "" if run.output_freed else f"{run.size} logits + "
        return f"({held_by_output}4 log-softmax + 2 x 4 gradients) B x {size}"
    return f"({run.size} logits + {'4 fp32 + ' if run.size != 4 else ''}4 log-softmax) B x {size}"


def _fused_rows(a: Architecture, run: Run) -> int:
    """Tokens of one chunk of a fused loss: so many that its logits are no larger than the head's input (Hsu et al. 2024, section
    3.2)."""
    local = run.micro_batch * -(-run.seq // run.cp)
    return min(local, 1 << max(0, (ceil(local / ceil(max(1, _scores(a)) / a.facts.hidden_size)) - 1).bit_length()))


def _activation_formula(run: Run, block: str, size: int) -> str:
    tokens = run.micro_batch * -(-run.seq // run.cp)
    text = f"{size // tokens:,} B x {run.micro_batch} x {-(-run.seq // run.cp):,} tokens"
    if run.implementation == "megatron":
        return f"{text} (Korthikanti et al. 2022)"
    if run.recompute == "full" and block == "norm":
        return f"{text} (input of {'each layer' if run.every == 1 else f'every {run.every} layers'})" if run.one_in == 1 else text
    return text
