"""What is kept outside the layers, a whole step's sum, and the peak of a forward pass."""

from __future__ import annotations

from archcalc.analysis.activations.checkpointing import layer_kept, rank_bytes
from archcalc.analysis.activations.layers import streams_saved, unreached
from archcalc.analysis.activations.matrices import dora_saved
from archcalc.analysis.activations.norms import norm_of, norm_saved
from archcalc.analysis.activations.saved import FP32, INT64, How, Loss, Saved
from archcalc.model import Architecture


def outside(a: Architecture, how: How) -> list[Saved]:
    """What is kept outside the layers, without the loss."""
    hidden = a.facts.hidden_size
    learned = [t for g in a.groups if g.part == "embedding" for t in g.tensors if t.role == "embedding" and "wpe" in t.name]
    out = []
    if how.trains:
        out.append(Saved("embedding", "token numbers", INT64, 1))
        if learned:
            out.append(Saved("embedding", "positions", INT64, per_position=1))
    interleaved = any(layer.keeps("latent") for s in a.stacks for layer in s.kinds)
    rotation = next((r for s in a.stacks if s.part == "decoder" for layer in s.kinds if (r := layer.rotation())), None)
    size = FP32 if rotation is not None and rotation.tables == "fp32" else how.residual
    for _, width in a.rotary:
        out.append(Saved("position", "cosines and sines", size, per_position=2 * width))
        if interleaved:
            break
    layers = (layer for s in a.stacks if s.part == "decoder" for layer in s.kinds)
    mixed = any(
        s.name.endswith("doubly stochastic") for layer in layers for t in layer.tensors for s in streams_saved(t, how, hidden)
    )
    for step in a.steps:
        out += norm_saved(step.kind, how, step.name, hidden, 0, how.residual)
    for group in a.groups:
        if group.part in ("embedding", "decoder"):
            for t in group.tensors:
                out += streams_saved(t, how, hidden, mixed)
                if t.name.endswith("per_layer_model_projection.weight") and how.trains:
                    # One vector a layer, projected from what the first layer reads, normalized by itself.
                    out.append(Saved("embedding", "projection for each layer: input", how.size, t.shape[1]))
                    each = next((x for x in group.tensors if x.name.endswith("per_layer_projection_norm.weight")), None)
                    if each is not None:
                        groups = t.shape[0] // each.elements
                        out += norm_saved(norm_of(a, each), how, each.name[:-7], t.shape[0], each.elements, how.residual, groups)
                if t.name.endswith("per_layer_projection_norm.weight"):
                    continue
                if t.kind == "param" and t.norm is not None and t.shape == (hidden,):
                    out += norm_saved(t.norm, how, t.name.removesuffix(".weight"), hidden, hidden, how.residual)
    for group in a.groups:
        # A head that is more than one matrix: another before it, an activation, a norm.
        inner = [t for t in group.tensors if t.norm is not None]
        if group.part == "head" and inner and how.trains:
            for t in group.tensors:
                if len(t.shape) == 2 and t.shape[0] != a.facts.vocab_size and t.name.endswith(".weight"):
                    out.append(Saved("head", f"{t.name[:-7]}: input", how.size, t.shape[1]))
                    out.append(Saved("head", f"{t.name[:-7]}: before the activation", how.size, t.shape[0]))
            for t in inner:
                out += norm_saved(norm_of(a, t), how, t.name[:-7], t.elements, t.elements, how.residual, block="head")
    if how.trains or any(name.startswith("saved:head.") for name in how.targets):
        out.append(Saved("head", "head: input", how.size, hidden))
    out += _end_adapters(how, hidden, a.facts.vocab_size)
    if a.capped and not how.compiled:
        out.append(Saved("head", "capped logits", FP32 if a.capped_in == "fp32" else how.size, a.facts.vocab_size, split=True))
    return out


def _end_adapters(how: How, hidden: int, vocab: int) -> list[Saved]:
    """What adapters on the embedding and the head keep (PEFT 0.21, tuners/lora/layer.py `Linear.forward`, `Embedding.forward`): the
    head's input in their type, and the vectors between their two factors."""
    out = []
    if any(name.startswith("head.") for name in how.targets):
        if how.adapter_size != how.size or how.adapter_dropout:
            out.append(Saved("adapters", "head: the adapter's input", how.adapter_kept, hidden))
            if how.adapter_dropout:
                out.append(Saved("adapters", "head: mask of the dropout", how.adapter_size if how.cpu else 1, hidden))
        elif not how.trains:
            out.append(Saved("adapters", "head: input", how.size, hidden))
        out.append(Saved("adapters", "head: between the factors", how.adapter_kept, how.rank))
        if how.dora:
            out += dora_saved(how, "head", hidden, vocab, how.adapter_kept, True)
    if how.embeds and not how.trains:
        out.append(Saved("embedding", "token numbers", INT64, 1))
    if any(name.startswith("embedding.") for name in how.targets):
        out.append(Saved("adapters", "embedding: between the factors", how.adapter_size, how.rank))
        if how.dora:
            # PEFT 0.21, tuners/lora/dora.py `DoraEmbeddingLayer.forward`: the same products, with one vector of magnitudes; the sum whose
            # norm is taken is held to the end, as `scripts/build_training.py --dora` measures it.
            out.append(Saved("adapters", "embedding: with its adapter", how.adapter_size, fixed=hidden * vocab))
            out.append(Saved("adapters", "embedding: its output", how.residual, hidden))
            out.append(Saved("adapters", "embedding: the adapter's output", how.adapter_size, hidden))
            out.append(Saved("adapters", "embedding: norms and magnitudes", how.adapter_size, fixed=2 * hidden))
    return out


def loss_saved(a: Architecture, how: How, loss: Loss) -> list[Saved]:
    """What the loss keeps: the log-softmax of every token in fp32, and the targets. A fused loss keeps the gradient of its input
    instead."""
    if loss in ("none", "scalar"):
        return []
    if loss == "compiled":
        return [Saved("loss", "targets", INT64, 1), Saved("loss", "sums", FP32, 1)]
    if loss == "fused":
        return [Saved("loss", "gradient of the head's input", how.size, a.facts.hidden_size)]
    return [
        Saved("loss", "log-softmax", FP32, a.facts.vocab_size, split=True),
        # Of one sequence they are a view of the labels, padded by one.
        Saved("loss", "targets", INT64, 1, fixed=int(how.batch == 1)),
        Saved("loss", "count", FP32, fixed=1),
    ]


def step_saved(a: Architecture, how: How, *, loss: Loss = "none", checkpointing: bool = False) -> int:
    """Bytes that autograd holds after the forward pass of one micro-batch, each storage once; with checkpointing of every layer."""
    first = next((s.kinds[s.pattern[0]] for s in a.stacks if s.part == "decoder"), None)
    total = 0
    if first is not None and not checkpointing:
        total -= rank_bytes(unreached(a, first, how), how.batch, how.tokens)
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            kept = layer_kept(a, layer, how, "transformers", "full" if checkpointing else "none").kept
            total += n * layer.graded() * rank_bytes(kept, how.batch, how.tokens)
    # The tables of positions are used inside the layers alone.
    rest = [s for s in outside(a, how) if not (checkpointing and s.block == "position")]
    return total + rank_bytes([*rest, *loss_saved(a, how, loss)], how.batch, how.tokens)


def forward_peak(a: Architecture, how: How, context: int = 0) -> int:
    """Bytes alive at once in inference beside weights and cache: one prefill of `how.tokens` tokens, or with a `context` one
    decode step.

    Nothing is kept, so the peak is the widest layer's own tensors beside the residual stream; with scores in memory (eager) those,
    in the computing type and twice in fp32 (the softmax converts its input first).
    """
    c, tokens = how.size, how.batch * how.tokens
    widest = 0
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for layer in stack.kinds:
            width = tokens * (layer.mixer_width * c)
            if how.attention == "eager" and layer.attends:
                attend = max(layer.attends, key=lambda x: x.heads)
                width += tokens * (context or how.tokens) * attend.heads * (c + 2 * FP32 if c != FP32 else 2 * c)
                width += 2 * how.batch * (context or how.tokens) * attend.heads * attend.qk_dim * c
            widest = max(widest, width, tokens * layer.ffn_width * c)
    return 2 * tokens * a.facts.hidden_size * c + widest
