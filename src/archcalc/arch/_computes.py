"""What the reference implementation of a type computes in another way than most, said once for all its layers.

Blocks yield what most types do; a type sets the odd knob in its own file.
"""

from archcalc.model import (
    Architecture,
    Bare,
    BareKind,
    Clamped,
    Layer,
    NormKind,
    Position,
    Rotation,
    RouterKind,
    Routing,
    Scores,
    Sinks,
    Softmax,
    Step,
    Tensor,
    Widened,
)  # fmt: skip
from archcalc.records import NamedTuple


class Computes(NamedTuple):
    """The odd knobs of a type.

    `norm` is how its norms with a gain are computed, where not as blocks say; `bare` those without one, of the residual stream: before
    attention and FFN, and those of `bare_outside`. `bare_heads` normalizes queries and keys where they turn, or in all layers of a type
    without rotary positions; `bare_values` the values of layers that cache their own. `joined` puts queries and keys together of two
    parts even where the whole head turns, and `tables` is the dtype of the cosines and sines. `softmax`, `products`, `capped` and `sinks`
    are those of `Scores`; `capped_logits` says that logits pass through a tanh, in the dtype of `capped_in`. `parallel` says that attention
    and FFN read one residual stream. `routing` is how routers weigh experts, where not by a softmax over all; `router_reads`, `floored` and
    `learned` are those of `Routing` and `Scores`; `widened` has a dense FFN's activation in fp32, `clamped` the gates of FFNs
    clamped. `bare_queries` normalizes queries alone.
    """

    norm: NormKind | None = None
    bare: BareKind | None = None
    bare_outside: tuple[str, ...] = ("final norm",)
    bare_heads: BareKind | None = None
    bare_values: BareKind | None = None
    joined: bool = False
    tables: Softmax = "own"
    softmax: Softmax = "fp32"
    products: Softmax = "own"
    capped: bool = False
    capped_logits: bool = False
    sinks: Sinks = "none"
    parallel: bool = False
    routing: RouterKind | None = None
    router_reads: Softmax = "own"
    floored: bool = False
    learned: bool = False
    clamped: Clamped | None = None
    bare_queries: BareKind | None = None
    capped_in: Softmax = "own"
    widened: bool = False


USUAL = Computes()


def normed(tensors: tuple[Tensor, ...], how: Computes) -> tuple[Tensor, ...]:
    """The tensors with the norms of the type."""
    return tensors if how.norm is None else tuple(t._replace(norm=how.norm) if t.norm is not None else t for t in tensors)


def stepped(layer: Layer, how: Computes, position: Position, hidden: int) -> Layer:
    """A layer with the steps of its type: queries and keys turn where positions are rotary and the layer does not say otherwise."""
    steps: list[Step] = []
    if how.bare is not None:
        steps += (Bare(f"{what} norm", how.bare, hidden) for what in ("attention", "FFN"))
    attend = next((a for a in layer.attends if a.heads), None)
    own = layer.rotation()
    turns = attend is not None and own is not None and position.kind == "rotary"
    if turns and own is not None and attend is not None:
        # What a block says of its own rotation stands; it leaves the width open where that is the config's to say.
        width = own.width or round(attend.qk_dim * position.share)
        steps.append(Rotation(width, own.joined or how.joined or width < attend.qk_dim, how.tables))
    if attend is not None:
        scores = layer.scores()
        if how.bare_heads is not None and (turns or position.kind != "rotary"):
            keys = next((c.heads for c in layer.caches if c.heads), attend.heads)
            steps += (
                Bare(name, how.bare_heads, heads * attend.qk_dim, heads, inner=True)
                for name, heads in (("q_norm", attend.heads), ("k_norm", keys))
            )
        if how.bare_queries is not None:
            steps.append(Bare("q_norm", how.bare_queries, attend.heads * attend.qk_dim, attend.heads, inner=True))
        sinks = scores.sinks
        if sinks != "none" and how.sinks != "none":
            sinks = how.sinks
        elif how.sinks == "column-max":
            sinks = "max"
        cache = next((c for c in layer.caches if c.heads), None)
        if how.bare_values is not None and cache is not None:
            steps.append(Bare("v_norm", how.bare_values, cache.heads * attend.v_dim, cache.heads, inner=True))
        made = Scores(how.softmax, how.products, how.capped, sinks, how.floored, how.learned, scores.relative, scores.rank)
        if made != Scores():
            steps.append(made)
    for step in layer.steps:
        if isinstance(step, Routing):
            steps.append(Routing(how.routing or step.kind, how.router_reads, step.linear))
        elif not isinstance(step, (Rotation, Scores, Bare)):
            steps.append(step)
    if how.clamped is not None and how.clamped not in steps:
        steps.append(how.clamped)
    if how.widened and any(t.role == "mlp" for t in layer.tensors):
        steps.append(Widened())
    return layer._replace(tensors=normed(layer.tensors, how), steps=tuple(steps), parallel=how.parallel)


def computed(a: Architecture, how: Computes) -> Architecture:
    """A text model whose layers have the steps of its type; MTP layers, which no fold over steps reads, are left as they are."""
    hidden, position = a.facts.hidden_size, a.facts.position
    stacks = (
        s if s.part == "mtp" else s._replace(kinds=tuple(stepped(layer, how, position, hidden) for layer in s.kinds))
        for s in a.stacks
    )
    return a._replace(
        groups=tuple(g._replace(tensors=normed(g.tensors, how)) for g in a.groups),
        stacks=tuple(stacks),
        steps=tuple(Bare(what, how.bare, hidden) for what in how.bare_outside) if how.bare is not None else (),
        capped=how.capped_logits,
        capped_in=how.capped_in,
    )
