"""Write the section of a model card that `check` accepts, and keep it current between its markers.

Every number stands in a cell of its own, exact wherever it has units, under a label that says how it is counted: so every number can
be checked, and changing any one of them is found. The rows are made of the values that the judge holds claims against.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from archcalc import units
from archcalc.cards import truth, words
from archcalc.cards.document import Marker, markers
from archcalc.cards.judge import FITS_CONTEXT, fits
from archcalc.cards.labels import Quals
from archcalc.cards.models import Model
from archcalc.cards.truths.sizes import FILLING
from archcalc.errors import FormatError, UnsupportedError
from archcalc.records import NamedTuple

BEGIN = "<!-- archcalc:begin SOURCE -->"
END = "<!-- archcalc:end -->"
_CONTEXTS = (4096, 32768, 131072)
MACHINES = (
    ("4090", "RTX 4090"),
    ("l40s", "L40S"),
    ("h100", "H100"),
    ("8xh100", "8xH100"),
    ("8xh200", "8xH200"),
)
"""Common machines, as the catalog of hardware and as people name them."""


class Row(NamedTuple):
    """A label and its value, as they are printed."""

    label: str
    value: str


def section(model: Model, marker: str) -> str:
    """The section between its markers. `marker` is the SOURCE that the marker names.

    Raises `UnsupportedError` for a model that no adapter reads: a card states no guesses.
    """
    if model.architecture.status == "guessed":
        raise UnsupportedError(
            f"{marker}: no adapter reads {model.architecture.model_type!r}, and a card states no guesses",
            "`archcalc models --types` lists what is read",
        )
    if "-->" in marker or "<!--" in marker or re.search(r"\s", marker):
        raise UnsupportedError(f"{marker!r} cannot stand in a marker", "give a path without blanks")
    parts = [f"<!-- archcalc:begin {marker} -->"]
    parts += _table("### Architecture", "", architecture(model))
    parts += _table("### Parameters", "Every trained weight once; a token visits the active ones.", parameters(model))
    memory_rows = list(memory(model))
    if memory_rows:
        text = (
            "Weights and caches in half precision; every token that a layer can see, once, for one sequence. Engines reserve more."
        )
        parts += _table("### Memory and compute", text, memory_rows)
    fit_rows = list(fit(model))
    if fit_rows:
        parts += _table("### Fit", "Weights as published, under vLLM, with one sequence of the context given.", fit_rows)
    parts.append(END)
    return "\n".join(parts) + "\n"


def _table(heading: str, text: str, rows: Iterator[Row] | list[Row]) -> list[str]:
    lines = [heading, ""]
    if text:
        lines += [text, ""]
    lines += ["| Field | Value |", "| --- | --- |"]
    lines += [f"| {row.label} | {row.value} |" for row in rows]
    return [*lines, ""]


def _number(model: Model, label: str, field: str, quals: Quals | None = None) -> Iterator[Row]:
    """A row with the canonical value of a field, or none where the config does not say or says zero."""
    values = truth.safely(model, field, quals or Quals())
    if values and values[0].value:
        value = values[0].value
        yield Row(label, f"{value:,}" if isinstance(value, int) else f"{float(value):g}")


def _ratio(model: Model, label: str, field: str) -> Iterator[Row]:
    values = truth.safely(model, field, Quals())
    if values:
        ratio = Fraction(values[0].value)
        yield Row(label, f"{ratio.numerator}:{ratio.denominator}")


def _flag(model: Model, label: str, word: str) -> Iterator[Row]:
    true = words.judge(model, word).true
    if true is not None:
        yield Row(label, "yes" if true else "no")


def architecture(model: Model) -> Iterator[Row]:
    """The knobs. Words hold no digits: a digit in a word would be a number that nobody checks."""
    a = model.report.architecture
    yield Row("Type", "MoE" if a.kind == "moe" else "Dense")
    yield from _number(model, "Layers", "layers")
    yield from _number(model, "Hidden size", "hidden_size")
    yield from _number(model, "Vocabulary size", "vocab")
    yield from _number(model, "Context length", "context", Quals(span="native"))
    yield Row("Attention", _plain(a.attention))
    yield from _number(model, "Attention heads", "heads")
    yield from _number(model, "KV heads", "kv_heads")
    yield from _number(model, "Head dimension", "head_dim")
    yield from _number(model, "Query rank", "q_rank")
    yield from _number(model, "KV rank", "kv_rank")
    yield from _number(model, "Rotary dimension", "rope_dim")
    yield from _number(model, "NoPE head dimension", "nope_dim")
    yield from _number(model, "Value head dimension", "v_dim")
    yield from _number(model, "Linear attention heads", "linear_heads")
    yield from _number(model, "Linear attention key heads", "linear_qk_heads")
    yield from _number(model, "Linear attention head dimension", "linear_head_dim")
    if {"W", "C"} & set(a.pattern["mixer"]):
        yield from _number(model, "Sliding window", "window")
        yield from _number(model, "Sliding window layers", "window_layers")
        yield from _number(model, "Full attention layers", "full_layers")
    if {"L", "H"} & set(a.pattern["mixer"]):
        yield from _number(model, "Linear attention layers", "linear_layers")
    if len(set(a.pattern["mixer"])) > 1:
        yield from _ratio(model, "Layer ratio", "layer_ratio")
    yield from _number(model, "Layers without positional embedding", "nope_layers")
    if "d" in a.pattern["ffn"] or not a.moe:
        yield from _number(model, "FFN size", "intermediate_size")
    if a.moe:
        yield from _number(model, "Experts", "experts")
        yield from _number(model, "Active experts", "active_experts")
        yield from _number(model, "Shared experts", "shared_experts")
        yield from _number(model, "Expert size", "expert_size")
        yield from _number(model, "MoE layers", "moe_layers")
        yield from _number(model, "Leading dense layers", "dense_layers")
    yield from _number(model, "MTP layers", "mtp_layers")
    yield Row("Norm", _plain(a.norm))
    yield from _flag(model, "QK-norm", "qk_norm")
    yield Row("Activation", _plain(a.activation))
    yield Row("Position", _plain(a.position))
    yield from _number(model, "RoPE theta", "rope_theta")
    yield from _flag(model, "Attention bias", "attention_bias")
    yield from _flag(model, "Tied embeddings", "tied")


def _plain(text: str) -> str:
    """Words without what holds digits: `sliding + full GQA (5:1)` and `RoPE (YaRN, 25% of the head)` have rows for their numbers."""

    def inside(match: re.Match[str]) -> str:
        kept = [piece for piece in match[1].split(", ") if not re.search(r"\d", piece)]
        return f" ({', '.join(kept)})" if kept else ""

    text = re.sub(r"\s*\(([^()]*)\)", inside, text)
    return ", ".join(piece for piece in text.split(", ") if not re.search(r"\d", piece)) or text


def parameters(model: Model) -> Iterator[Row]:
    """Counts, in all and by component, and in the other conventions."""
    p = model.report.params
    yield from _number(model, "Total parameters", "total_params")
    if p.active != p.total:
        yield from _number(model, "Active parameters", "active_params")
    yield from _number(model, "Non-embedding parameters", "total_params", Quals(embedding="without"))
    for label, field in (
        ("Embedding parameters", "embedding_params"),
        ("Attention parameters", "attention_params"),
        ("FFN parameters", "ffn_params"),
        ("Routed expert parameters", "expert_params"),
        ("Shared expert parameters", "shared_expert_params"),
        ("Router parameters", "router_params"),
        ("Norm parameters", "norm_params"),
        ("Head parameters", "head_params"),
        ("Vision parameters", "vision_params"),
        ("Audio parameters", "audio_params"),
        ("MTP parameters", "mtp_params"),
    ):
        yield from _number(model, label, field)


def memory(model: Model) -> Iterator[Row]:
    """Weights, caches at several contexts, operations: exact, and in units."""
    half = Quals(dtype="bf16")
    yield from _bytes(model, "Weights in half precision", "weights", half)
    yield from _bytes(model, "Checkpoint size", "weights", Quals())
    # As `archcalc kv` counts: one more token where windows are full; that is nothing where all layers have one.
    first = next(iter(truth.safely(model, "kv_per_token", Quals())), None)
    filling = " (before windows are full)" if first is not None and FILLING in first.basis else ""
    yield from _bytes(model, f"KV cache per token{filling}", "kv_per_token", Quals())
    longest = model.report.architecture.context_tokens
    if longest:
        for tokens in sorted({*(c for c in _CONTEXTS if c < longest), longest}):
            yield from _bytes(model, f"KV cache at {tokens:,} tokens", "kv_cache", Quals(context=tokens))
        for tokens in sorted({min(4096, longest), longest}):
            values = truth.safely(model, "flops", Quals(context=tokens))
            if values:
                yield Row(
                    f"FLOPs per token at {tokens:,} tokens",
                    f"{values[0].value:,} FLOP ({units.format_flops(int(values[0].value))})",
                )


def _bytes(model: Model, label: str, field: str, quals: Quals) -> Iterator[Row]:
    values = truth.safely(model, field, quals)
    if values and values[0].value:
        size = int(values[0].value)
        yield Row(label, f"{size:,} bytes ({units.format_bytes(size)})" if size >= 1024 else f"{size} bytes")


def fit(model: Model) -> Iterator[Row]:
    """Whether the published weights fit common machines."""
    longest = model.report.architecture.context_tokens
    tokens = min(FITS_CONTEXT, longest) if longest else FITS_CONTEXT
    for machine, name in MACHINES:
        answer = fits(model, machine, tokens)
        if answer is not None:
            yield Row(f"Fits {name} at {tokens:,} tokens", "yes" if answer else "no")


def regions(text: str) -> Iterator[tuple[int, int, str]]:
    """Where generated sections begin and end, with the source that each names. Raises `FormatError` where markers are no pairs."""
    begin: Marker | None = None
    for marker in markers(text):
        word = marker.text.partition(" ")[0]
        line = text.count("\n", 0, marker.start) + 1
        if word == "begin":
            if begin is not None:
                raise FormatError(f"line {line}: a generated section begins inside another", f"end each with {END}")
            begin = marker
        elif word == "end":
            if begin is None:
                raise FormatError(f"line {line}: a generated section ends that never began", f"one begins with {BEGIN}")
            yield begin.start, marker.end, begin.text.partition(" ")[2].strip()
            begin = None
    if begin is not None:
        line = text.count("\n", 0, begin.start) + 1
        raise FormatError(f"line {line}: a generated section never ends", f"end it with {END}")


def update(text: str, sections: Callable[[str], str], marker: str | None) -> str:
    """The text with its generated sections written anew by `sections`, or only those of `marker`.

    Where `marker` has none, its section is added at the end. Line ends stay what they are.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    out, position, found = [], 0, False
    for start, end, source in regions(text):
        if marker is not None and source != marker:
            continue
        found = True
        out += [text[position:start], sections(source).rstrip("\n").replace("\n", newline)]
        position = end
    out.append(text[position:])
    whole = "".join(out)
    if found:
        return whole
    if marker is None:
        raise FormatError("there is no generated section", "name the model: archcalc card SOURCE --update FILE")
    gap = "" if not whole else newline if whole.endswith(("\n", "\r")) else newline * 2
    return whole + gap + sections(marker).replace("\n", newline)
