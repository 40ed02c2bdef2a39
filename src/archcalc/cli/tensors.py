"""`archcalc tensors`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

import typer

from archcalc.cli._options import Dtype, FormatOption, Offline, Reference, Refresh, Set, Sources
from archcalc.cli._run import Format, complain, each, failure, leave
from archcalc.errors import ArchcalcError
from archcalc.loader import Loaded
from archcalc.report import TensorLine


class Names(str, Enum):
    """Whose names: the published checkpoint's, or the reference implementation's."""

    checkpoint = "checkpoint"
    transformers = "transformers"


def command(
    source: Sources,
    expand: Annotated[bool, typer.Option("--expand", help="A line for every layer and expert, in place of ranges.")] = False,
    names: Annotated[
        Names, typer.Option("--names", help="As the published checkpoint stores them, or as transformers' modules hold them.")
    ] = Names.checkpoint,
    dtype: Dtype = None,
    set_: Set = None,
    form: FormatOption = Format.table,
    offline: Offline = False,
    refresh: Refresh = False,
    reference: Reference = False,
) -> None:
    """List the tensors of models: name, shape, dtype, role and part.

    With --names checkpoint (the default) these are the stored tensors: experts one by one, quantization scales, MTP layers and copies
    included. With --names transformers they are the parameters of the reference implementation, experts fused where it fuses them,
    tied weights marked.
    """
    from archcalc.analysis import inventory
    from archcalc.loader import load
    from archcalc.render import rows
    from archcalc.units import parse_dtype

    weights = parse_dtype(dtype) if dtype is not None else None

    def report(text: str) -> Loaded:
        return load(text, offline=offline, refresh=refresh, overrides=set_ or (), reference=reference)

    def lines(loaded: Loaded) -> Iterator[TensorLine]:
        if names is Names.transformers:
            return inventory.reference(loaded.architecture, loaded.source.name, expand)
        return inventory.stored(loaded.architecture, loaded.source.name, expand, weights)

    errors: list[ArchcalcError] = []
    found: list[dict[str, Any]] = []
    for text, result in each(source, report):
        if isinstance(result, ArchcalcError):
            errors.append(result)
            if form is Format.jsonl:
                print(json.dumps(failure(text, result), ensure_ascii=False))
        elif form is Format.jsonl:
            for line in lines(result):
                sys.stdout.write(json.dumps(vars(line), ensure_ascii=False) + "\n")
        else:
            found += map(vars, lines(result))
    if form is not Format.jsonl and (found or not errors):
        columns = (*inventory_columns(len(source) > 1),)
        rows.write(form.value, columns, found, sys.stdout)
    for error in errors:
        complain(error.message, error.hint)
    if errors:
        leave(2 if len(source) == 1 else 1)


def inventory_columns(many: bool) -> Iterator[Any]:
    """The columns of the list, with the source where there are several."""
    from archcalc.render.rows import Column, exact, text

    if many:
        yield Column("source", "source")
    yield Column("name", "name", fold=True)
    yield Column("shape", "shape", lambda shape: " x ".join(map(str, shape)) or "scalar")
    yield Column("dtype", "dtype")
    yield Column("role", "role", spare=2)
    yield Column("part", "part", spare=3)
    yield Column("count", "count", exact, right=True, spare=1)
    yield Column("elements", "elements", exact, right=True)
    yield Column("layers", "layers", text, fold=True, spare=4)
