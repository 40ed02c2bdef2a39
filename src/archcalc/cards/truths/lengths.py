"""Contexts, windows, vocabularies and rotary bases."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.value import Find, Value


def _window(model: Model, _: Quals) -> Iterator[Value]:
    a = model.report.architecture
    windows = sorted(
        {c.window for s in model.architecture.stacks if s.part == "decoder" for k in s.kinds for c in k.caches if c.window}
    )
    for window in windows:
        yield Value(window, "the window of sliding or chunked layers")
    if a.sliding_window:
        yield Value(a.sliding_window, "sliding_window of the config")
    if not windows and not a.sliding_window and a.heads:
        yield Value(0, "no layer has a window")


def _vocab(model: Model, _: Quals) -> Iterator[Value]:
    if model.report.architecture.vocab_size:
        yield Value(model.architecture.facts.vocab_size, "vocab_size")
    for one in model.counts:
        if one.field == "vocab":
            yield Value(one.params, f"that of another release of the name, {one.source}", "rare")


def rope_scaling(model: Model) -> dict[str, object]:
    """The rope settings of the config, nested or not."""
    for key in ("rope_scaling", "rope_parameters"):
        found = model.text_config.get(key)
        if isinstance(found, dict):
            if nested := [value for value in found.values() if isinstance(value, dict)]:
                return next((value for value in nested if "factor" in value), nested[0])
            return found
    return {}


def _context(model: Model, _: Quals) -> Iterator[Value]:
    longest = model.report.architecture.context_tokens
    if longest:
        yield Value(longest, "the config's maximum", "config")
    for published in model.contexts:
        basis = published.source if published.span == "namesake" else f"the publisher's figure, {published.source}"
        yield Value(published.tokens, basis, published.span)
    scaling = rope_scaling(model)
    original, factor = scaling.get("original_max_position_embeddings"), scaling.get("factor")
    if type(original) is int:
        # Llama 3's factor divides frequencies and says nothing of the length (8 x 8,192 is not its 131,072).
        if isinstance(factor, (int, float)) and scaling.get("rope_type", scaling.get("type")) != "llama3":
            yield Value(int(original * factor), f"{original:,} x {factor:g}, as the config's rope scaling stretches it", "extended")
        yield Value(original, "the length before rope scaling", "original")


def _original_context(model: Model, _: Quals) -> Iterator[Value]:
    original = rope_scaling(model).get("original_max_position_embeddings")
    if type(original) is int:
        yield Value(original, "original_max_position_embeddings")


def _rope_theta(model: Model, _: Quals) -> Iterator[Value]:
    keys = ("rope_theta", "rotary_emb_base", "rope_local_base_freq", "global_rope_theta", "local_rope_theta")
    scopes = [model.text_config]
    parameters = model.text_config.get("rope_parameters")
    if isinstance(parameters, dict):
        scopes += [parameters, *(value for value in parameters.values() if isinstance(value, dict))]
    for scope in scopes:
        for key in keys:
            value = scope.get(key)
            if isinstance(value, (int, float)):
                yield Value(int(value) if float(value).is_integer() else Fraction(value), f"{key} of the config")


FIELDS: dict[str, Find] = {
    "window": _window,
    "vocab": _vocab,
    "context": _context,
    "original_context": _original_context,
    "rope_theta": _rope_theta,
}
