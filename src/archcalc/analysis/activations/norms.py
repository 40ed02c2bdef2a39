"""What the norms of a layer keep for the backward pass, by how each is computed."""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.analysis.activations.saved import FP32, Block, How, Saved
from archcalc.errors import UnsupportedError, unknown
from archcalc.model import Architecture, Bare, BareKind, Layer, NormKind, Tensor

FUSED = ("rms", "rms-own", "rms-fp32", "rms-cast-gain", "rms-1p")
"""Norms of which there is one kernel."""


def norm_saved(
    kind: NormKind | BareKind, how: How, name: str, width: int, gain: int, source: int, groups: int = 1, block: Block = "norm"
) -> Iterator[Saved]:
    """A norm over `width` elements a token in `groups`, its gain of `gain` elements, its input of `source` bytes an element."""
    # A gain that is cast to fp32 is a new vector where it is not fp32 already.
    casts = not how.amp and how.size != FP32
    input_in_fp32 = Saved(block, f"{name}: input in fp32", how.size if how.compiled else FP32, width)
    deviation = Saved(block, f"{name}: deviation", FP32, groups)
    normalized = Saved(block, f"{name}: normalized in fp32", FP32, width)
    gain_in_fp32 = Saved(block, f"{name}: gain in fp32", FP32, fixed=gain)
    if how.fused_norms and kind in FUSED:
        yield Saved(block, f"{name}: input", source, width)
        yield deviation
        return
    match kind:
        case "layer" | "layer-1p" | "layer-apart":
            yield Saved(block, f"{name}: input", source, width)
            yield Saved(block, f"{name}: mean and deviation", source if how.cpu else FP32, 2 * groups)
            if kind == "layer-1p":
                yield Saved(block, f"{name}: 1 + weight", how.residual, fixed=gain)
            if kind == "layer-apart" and how.trains:
                yield Saved(block, f"{name}: normalized", source, width)
        case "rms" | "rms-own":
            # An fp32 input is the residual stream itself; any other is cast, and the cast kept.
            yield input_in_fp32
            if kind == "rms-own" and source != FP32:
                yield Saved(block, f"{name}: input", source, width)
            yield deviation
            if how.trains:
                yield Saved(block, f"{name}: normalized", source, width)
        case "rms-fp32" | "rms-cast-gain" | "rms-1p":
            yield from (input_in_fp32, deviation)
            if how.trains:
                yield normalized
            if kind == "rms-1p" or (kind == "rms-cast-gain" and casts):
                yield gain_in_fp32
        case "layer-fp32":
            # Less its mean it is another tensor.
            yield from (input_in_fp32._replace(per_token=2 * width), deviation)
            if how.trains:
                yield normalized
            if casts:
                yield gain_in_fp32
        case "bare-rms":
            yield from (input_in_fp32, deviation)
        case "bare-layer":
            yield from (input_in_fp32, deviation._replace(per_token=2 * groups))
        case _:
            unknown("norm", kind)


def norm_of(a: Architecture, t: Tensor) -> NormKind:
    """How the norm of a gain is computed."""
    if t.norm is None:
        raise UnsupportedError(f"{a.model_type}: how the norm {t.name} is computed is not known, so neither is what it keeps")
    return t.norm


def layer_norms(a: Architecture, how: How, layer: Layer) -> Iterator[Saved]:
    """The norms of a layer's residual stream: those whose gain is as wide as it, and those without a gain."""
    hidden = a.facts.hidden_size
    seen_inputs = 0
    norms: list[tuple[NormKind | BareKind, str]] = [(norm_of(a, t), t.name[: -len(".weight")]) for t in wide_norms(layer, hidden)]
    norms += ((s.kind, s.name) for s in layer.steps if isinstance(s, Bare) and not s.inner)
    for t in layer.tensors:
        # A norm whose output is multiplied with what two small matrices make of it, in fp32.
        if t.name.endswith("norm.mlp.fc1.weight") and how.trains:
            yield Saved("norm", f"{t.name[:-7]}: input", how.size, t.shape[1])
            yield Saved("norm", f"{t.name[:-7]}: before the activation, after it", how.size, 2 * t.shape[0])
            yield Saved("norm", f"{t.name[:-15]}: gate in fp32", FP32, t.shape[1])
        if t.role == "other" and t.shape == (hidden,) and t.name.endswith("_residual") and how.trains:
            yield Saved("norm", f"{t.name}: residual that it scales", how.residual, hidden)
    for kind, name in norms:
        for saved in norm_saved(kind, how, name, hidden, hidden, how.residual):
            if layer.parallel and saved.name.endswith(": input"):
                # Attention and FFN read one residual stream.
                seen_inputs += 1
                if seen_inputs > 1:
                    continue
            yield saved


def wide_norms(layer: Layer, hidden: int) -> list[Tensor]:
    """The gains of norms over the residual stream."""
    return [
        t for t in layer.tensors if t.role == "norm" and t.name.endswith(".weight") and t.shape == (hidden,) and not inner_norm(t)
    ]


def inner_norm(t: Tensor) -> bool:
    return (
        t.name.startswith(("self_attn.", "attention.", "attn.", "mixer.", "linear_attn.", "mamba."))
        and "." in t.name[: -len(".weight")]
    )
