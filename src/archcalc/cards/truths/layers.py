"""Layers, all and by kind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value


def _mixers(model: Model) -> str:
    return model.report.architecture.pattern["mixer"]


def _count(letters: str, wanted: str) -> int:
    return sum(letters.count(letter) for letter in wanted)


def _layers(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(model.architecture.layers, "layers of the decoder")


def _dense_layers(model: Model, _: Quals) -> Iterator[Value]:
    ffn = model.report.architecture.pattern["ffn"]
    if "e" in ffn:
        yield Value(len(ffn) - len(ffn.lstrip("d")), "layers before the first with experts")
        yield Value(ffn.count("d"), "layers without experts")
    else:
        yield Value(ffn.count("d"), "no layer has experts")


def _moe_layers(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(model.report.architecture.pattern["ffn"].count("e"), "layers with experts")


def _by_mixer(wanted: str, basis: str) -> Find:
    def find(model: Model, _: Quals) -> Iterator[Value]:
        yield Value(_count(_mixers(model), wanted), basis)

    return find


def indices(model: Model, field: str) -> list[int] | None:
    """The layers of a kind, by number, or None for a field that is none of kinds of layers."""
    letters = {"window_layers": "WC", "full_layers": "FMH", "linear_layers": "LH"}.get(field)
    if letters:
        return [i for i, letter in enumerate(_mixers(model)) if letter in letters]
    if field in ("moe_layers", "dense_layers"):
        wanted = "e" if field == "moe_layers" else "d"
        return [i for i, letter in enumerate(model.report.architecture.pattern["ffn"]) if letter == wanted]
    if field == "nope_layers":
        decoder = [stack for stack in model.architecture.stacks if stack.part == "decoder"]
        mixers = [stack.kinds[kind].mixer for stack in decoder for kind in stack.pattern]
        return [i for i, mixer in enumerate(mixers) if "NoPE" in mixer]
    return None


def _nope(model: Model, _: Quals) -> Iterator[Value]:
    yield Value(len(indices(model, "nope_layers") or ()), "layers without positions")


def _layer_ratio(model: Model, _: Quals) -> Iterator[Value]:
    if stated := re.search(r"\((\d+):(\d+)\)", model.report.architecture.attention):
        yield Value(Fraction(int(stated[1]), int(stated[2])), "the period of the layer pattern")
    mixers = _mixers(model)
    some, rest = _count(mixers, "WCL"), _count(mixers, "FMH")
    if some and rest:
        yield Value(Fraction(some, rest), f"{some} layers to {rest}")


FIELDS: dict[str, Find] = {
    "layers": _layers,
    "dense_layers": _dense_layers,
    "moe_layers": _moe_layers,
    "full_layers": _by_mixer("FMH", "layers that see every token"),
    "window_layers": _by_mixer("WC", "layers with a window or chunk"),
    "linear_layers": _by_mixer("LH", "layers that carry a state"),
    "nope_layers": _nope,
    "layer_ratio": _layer_ratio,
}
