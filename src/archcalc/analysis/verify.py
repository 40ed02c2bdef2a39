"""The predicted inventory against what a checkpoint's headers say: missing, extra, wrong shape, wrong dtype."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from archcalc import report
from archcalc.analysis.inspect import ranges
from archcalc.errors import UnsupportedError
from archcalc.figures import checkpoint
from archcalc.formats.headers import Header, Held
from archcalc.loader import Loaded
from archcalc.model import Architecture

Expected = dict[str, tuple[tuple[int, ...], str]]

# What older versions of the reference implementations saved beside the weights: tables and masks.
_BUFFERS = re.compile(
    r"(rotary_emb\.inv_freq|rotary_pos_emb\.inv_freq|\.attn\.bias|\.attn\.masked_bias|\.attention\.bias|\.attention\.masked_bias"
    r"|position_ids|\.attention\.rotary_emb\.\w+)$"
)
# Outer names that files leave out or put before all others; the reference implementation loads both.
_OUTER = ("model.", "transformer.", "language_model.", "model.language_model.", "gpt_neox.", "backbone.", "base_model.")
_NUMBER = re.compile(r"(?<![^.])\d{1,9}(?![^.])", re.ASCII)


def verify(loaded: Loaded, header: Header, label: str) -> report.Verification:
    """What differs between the inventory of `loaded` and the tensors of `header`, which `label` names.

    Raises `UnsupportedError` where no adapter reads the model: a guess predicts nothing.
    """
    a = loaded.architecture
    if a.status in ("guessed", "header"):
        raise UnsupportedError(
            f"no adapter reads {a.model_type}, so there is nothing to verify a checkpoint against",
            "give the model's config.json as SOURCE and the weights as PATH; archcalc models --types lists what is read",
        )
    notes = list(header.notes)
    if header.format == "gguf":
        wanted, held, typed = _as_gguf(a, header, notes)
    else:
        wanted = {name: (shape, dtype) for name, shape, dtype in checkpoint.expand(a)}
        if "tok_embeddings.weight" in header.tensors and "tok_embeddings.weight" not in wanted:
            from archcalc.formats.native_names import native

            wanted = {native(name): each for name, each in wanted.items()}
            notes.append("names are those of the publisher's own code (tok_embeddings, attention.wq)")
        held, typed = _renamed(wanted, header.tensors, notes), True
    if header.format == "index":
        notes.append("an index gives names only: shapes and dtypes are not compared")
        stated, bytes_ = header.metadata.get("total_size"), checkpoint.summary(a).bytes
        if isinstance(stated, (int, float)) and 0 < stated < 2**63 and stated != bytes_:
            notes.append(f"the index states {int(stated):,} bytes, and the model's config amounts to {bytes_:,}")
    if a.unmodelled_keys:
        notes.append(f"keys of the config that were not understood: {', '.join(a.unmodelled_keys)}")
    missing = [name for name in wanted if name not in held]
    extra = [name for name in held if name not in wanted]
    both = [(name, *wanted[name], held[name]) for name in wanted if name in held]
    shapes = [(name, _shape(shape), _shape(got.shape)) for name, shape, _, got in both if got.shape not in (None, shape)]
    dtypes = [(name, dtype, got.dtype) for name, _, dtype, got in both if typed and got.dtype not in (None, dtype)]
    return report.Verification(
        schema_version=report.SCHEMA_VERSION,
        source=loaded.source.name,
        checkpoint=label,
        format=header.format,
        status=a.status,
        agrees=not (missing or extra or shapes or dtypes),
        expected_tensors=len(wanted),
        found_tensors=len(held),
        missing=fold((name, "", _what(*wanted[name]), None) for name in missing),
        extra=fold((name, _why(name, a), None, _what(*held[name])) for name in extra),
        wrong_shape=fold((name, "", want, got) for name, want, got in shapes),
        wrong_dtype=fold((name, "", want, got) for name, want, got in dtypes),
        notes=notes,
    )


def _as_gguf(a: Architecture, header: Header, notes: list[str]) -> tuple[Expected, dict[str, Held], bool]:
    """Under llama.cpp's names and types, where the file states a file type that is known."""
    from archcalc.formats import gguf_config, gguf_names

    kind = gguf_config.file_type(header)
    if kind is None:
        notes.append("the file states no file type that is known: types are not compared")
    a = a._replace(quantization={"quant_method": "gguf", "file_type": kind or "f16"}, dtype="BF16")
    wanted = {name: (shape, dtype) for name, shape, dtype in gguf_names.inventory(a)}
    computed = [name for name in header.tensors if name in gguf_names.COMPUTED]
    if computed:
        notes.append(f"{', '.join(computed)}: computed from the config, no weight")
    return wanted, {name: held for name, held in header.tensors.items() if name not in computed}, kind is not None


def _renamed(wanted: Expected, held: Mapping[str, Held], notes: list[str]) -> dict[str, Held]:
    """The tensors held, under the names expected where an outer name alone differs."""
    best, score, said = dict(held), sum(name in wanted for name in held), ""
    if score * 2 >= len(wanted):
        return best
    for outer in _OUTER:
        without = {name[len(outer) :] if name.startswith(outer) else name: each for name, each in held.items()}
        added = {f"{outer}{name}" if f"{outer}{name}" in wanted else name: each for name, each in held.items()}
        for made, how in (
            (without, f"the checkpoint puts {outer} before names"),
            (added, f"the checkpoint leaves {outer} out of names"),
        ):
            matched = sum(name in wanted for name in made)
            if matched > score and len(made) == len(held):
                best, score, said = made, matched, how
    if said:
        notes.append(f"{said}; they are compared without")
    return best


def _why(name: str, a: Architecture) -> str:
    """What a tensor is that no inventory lists, where that is known."""
    if _BUFFERS.search(name):
        return "a buffer that older versions saved, no weight"
    tied = {checkpoint.published_name(t.name, a.renames) for g in a.groups for t in g.tensors if t.kind == "tied"}
    return "a copy: the model ties it to another tensor" if name in tied else ""


def _shape(shape: tuple[int, ...] | None) -> str:
    return "?" if shape is None else " x ".join(map(str, shape)) or "scalar"


def _what(shape: tuple[int, ...] | None, dtype: str | None) -> str | None:
    return None if shape is None else f"{dtype} {_shape(shape)}"


def fold(rows: Iterable[tuple[str, str, str | None, str | None]]) -> list[report.Difference]:
    """One line for all that differ in their numbers alone, the numbers as ranges.

    >>> [(d.name, d.count) for d in fold((f"layers.{i}.w.{j}.b", "", None, None) for i in range(3) for j in (4, 5, 7))]
    [('layers.0-2.w.4-5,7.b', 9)]
    """
    groups: dict[tuple[str, str, str | None, str | None], list[tuple[int, ...]]] = {}
    for name, why, want, got in rows:
        numbers = tuple(map(int, _NUMBER.findall(name)))
        groups.setdefault((_NUMBER.sub("{}", name), why, want, got), []).append(numbers)
    found = []
    for (pattern, why, want, got), places in groups.items():
        for count, texts in _ranges(places):
            pieces = pattern.split("{}")
            name = pieces[0] + "".join(text + piece for text, piece in zip(texts, pieces[1:], strict=False))
            found.append(report.Difference(name if texts else pattern, count, want, got, why))
    return found


def _ranges(numbers: list[tuple[int, ...]]) -> list[tuple[int, list[str]]]:
    """The numbers at each place as ranges, with how many tuples each line stands for."""
    if not numbers[0]:
        return [(len(numbers), [])]
    by_first: dict[int, list[tuple[int, ...]]] = {}
    for each in numbers:
        by_first.setdefault(each[0], []).append(each[1:])
    by_rest: dict[tuple[tuple[int, ...], ...], list[int]] = {}
    for first, below in by_first.items():
        by_rest.setdefault(tuple(sorted(below)), []).append(first)
    return [
        (len(firsts) * count, [ranges(sorted(firsts)).replace(", ", ","), *texts])
        for rests, firsts in by_rest.items()
        for count, texts in _ranges(list(rests))
    ]
