"""How a decoder is put together: embedding, layers, final norm, head."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from archcalc.model import Architecture, Facts, Group, Layer, Part, Shard, Stack, Tensor, stack


def join(prefix: str, name: str) -> str:
    """`prefix.name`, or the name alone where there is no prefix."""
    return f"{prefix}.{name}" if prefix else name


def decoder(
    model_type: str,
    layers: Sequence[Layer],
    facts: Facts,
    *,
    prefix: str = "model",
    embed: str = "embed_tokens",
    layers_name: str = "layers",
    final_norm: Iterable[Tensor] = (),
    head: str = "lm_head",
    head_bias: bool = False,
    head_rows: int | None = None,
    embed_rows: int | None = None,
    extra_embedding: Iterable[Tensor] = (),
    extra: Iterable[Tensor] = (),
    mtp: Iterable[Stack] = (),
    mtp_groups: Iterable[Group] = (),
    renames: tuple[tuple[str, str], ...] = (),
    notes: tuple[str, ...] = (),
) -> Architecture:
    """A decoder-only language model.

    Tensors given as `final_norm`, `extra_embedding` and `extra` are named below `prefix`; `head` is a complete name.
    A tied head is listed, as the reference does, and not counted.
    """
    rows, hidden = embed_rows or facts.vocab_size, facts.hidden_size
    by_vocab = Shard(0, rows)

    def below(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
        return tuple(t._replace(name=join(prefix, t.name)) for t in tensors)

    groups = [
        Group(
            "embedding",
            (Tensor(join(prefix, f"{embed}.weight"), (rows, hidden), "embedding", by_vocab), *below(extra_embedding)),
        )
    ]
    outside = below((*final_norm, *extra))
    if outside:
        groups.append(Group("decoder", outside))
    if head:
        kind = "tied" if facts.tied_embeddings else "param"
        out = head_rows or rows
        tensors = [Tensor(f"{head}.weight", (out, hidden), "head", Shard(0, out), kind=kind)]
        if head_bias:
            tensors.append(Tensor(f"{head}.bias", (out,), "head", Shard(0, out)))
        groups.append(Group("head", tuple(tensors)))
    groups += mtp_groups
    return Architecture(
        model_type=model_type,
        groups=tuple(groups),
        stacks=(stack(join(prefix, layers_name), "decoder", layers), *mtp),
        facts=facts,
        renames=renames,
        notes=notes,
    )


def with_tower(
    text: Architecture,
    model_type: str,
    groups: Iterable[Group],
    stacks: Iterable[Stack] = (),
    *,
    renames: tuple[tuple[str, str], ...] = (),
    notes: tuple[str, ...] = (),
) -> Architecture:
    """A multimodal model: the text model's facts, with the towers' tensors beside its own."""
    return text._replace(
        model_type=model_type,
        groups=(*text.groups, *groups),
        stacks=(*text.stacks, *stacks),
        renames=renames or text.renames,
        notes=(*text.notes, *notes),
    )


def group(part: Part, tensors: Iterable[Tensor]) -> Group:
    """Tensors with complete names, as one group."""
    return Group(part, tuple(tensors))
