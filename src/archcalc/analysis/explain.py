"""Every figure of an inspection as its formula with the numbers in it, and where that is said."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc import report
from archcalc.engines.engine import TEXTBOOK
from archcalc.model import Architecture, Part, Role, Tensor

_COUNT = "a sum over the tensors of the reference implementation: archcalc tensors --names transformers"


def explained(a: Architecture, r: report.Inspection) -> Iterator[report.ExplainedFigure]:
    """The figures in the order of the page."""
    source = adapter_source(a.model_type)
    for c in r.params.components:
        yield report.ExplainedFigure(f"{c.part}: {c.role}", c.total, "parameters", _sum(a, c.part, c.role), source)
    p = r.params
    parts = " + ".join(f"{n:,}" for n in p.by_part.values() if n)
    yield report.ExplainedFigure("total", p.total, "parameters", parts, _COUNT)
    moe = a.facts.moe
    if moe and p.active != p.total:
        routed = p.by_role["experts"]
        text = f"{p.total:,} - {routed:,} x (1 - {moe.active}/{moe.experts})"
        yield report.ExplainedFigure(
            "active", p.active, "parameters", text, "routed experts that a token does not visit are left out"
        )
    if r.checkpoint:
        c_ = r.checkpoint
        text = " + ".join(f"{n:,} {dtype}" for dtype, n in c_.by_dtype.items())
        yield report.ExplainedFigure(
            "checkpoint elements", c_.elements, "elements", text, "as the Hub counts; archcalc tensors lists them"
        )
        yield report.ExplainedFigure(
            "checkpoint bytes", c_.bytes, "bytes", f"all {c_.stored_elements:,} stored elements", "archcalc tensors"
        )
    if r.kv_cache and r.kv_cache.engine == TEXTBOOK:
        from archcalc.engines._allocation import Workload
        from archcalc.engines.textbook import cache as textbook

        work = Workload(r.kv_cache.context_tokens, r.kv_cache.batch, r.kv_cache.dtype)
        for figure in textbook.allocate(a, work).figures:
            yield report.ExplainedFigure(f"{figure.kind} cache", figure.bytes, "bytes", figure.formula, figure.source)
    if r.flops_per_token:
        f = r.flops_per_token
        text = f"2 x {f.matmul // 2:,} visited matrix weights"
        yield report.ExplainedFigure(
            "matrices, a token", f.matmul, "FLOP", text, "Kaplan et al. 2020, arXiv:2001.08361, section 2.1"
        )
        yield report.ExplainedFigure(
            "attention, a token", f.attention, "FLOP", " + ".join(_attends(a, f.context_tokens)), "the same, table 1"
        )
    if r.forward:
        w = r.forward
        text = f"{w.tokens:,} tokens x (2 x {a.facts.hidden_size:,} + widest block) in {w.dtype}"
        yield report.ExplainedFigure("activations", w.bytes, "bytes", text, "docs/concepts.md")


def adapter_source(model_type: str) -> str:
    """What the adapter of a model type cites."""
    from archcalc.arch import adapter_name, described, model_types

    name = model_type if model_type in model_types() else adapter_name({"model_type": model_type})
    if name is None:
        return "no adapter: read by the usual keys"
    return described(name).partition("Source:")[2].strip().rstrip(".")


def _sum(a: Architecture, part: Part | str, role: Role | str) -> str:
    """The tensors of one component: shapes multiplied, equal layers once with their number before."""
    terms = [_shape(t) for group in a.groups if group.part == part for t in group.tensors if t.role == role and t.counted]
    for stack in a.stacks:
        if stack.part != part:
            continue
        by_text: dict[str, int] = {}
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            inside = [_shape(t) for t in layer.tensors if t.role == role and t.counted]
            if inside:
                text = " + ".join(inside)
                by_text[text] = by_text.get(text, 0) + n
        terms += [f"{n} layer{'s' if n > 1 else ''} x ({text})" for text, n in by_text.items()]
    return " + ".join(terms)


def _shape(t: Tensor) -> str:
    parts = t.name.removesuffix(".weight").split(".")
    # A number, or a bias, says nothing without what stands before it.
    name = parts[-1] if t.name.endswith(".weight") and not parts[-1].isdecimal() else ".".join(parts[-2:])
    return f"{name} {' x '.join(f'{n:,}' for n in t.shape)}"


def _attends(a: Architecture, context: int) -> Iterator[str]:
    for stack in a.stacks:
        if stack.part != "decoder":
            continue
        for layer, n in zip(stack.kinds, stack.counts(), strict=True):
            for x in layer.attends:
                seen = context if x.window is None else min(context, x.window)
                yield f"{n} layers x 2 x {x.heads} heads x ({x.qk_dim} + {x.v_dim}) x {seen:,} tokens"
