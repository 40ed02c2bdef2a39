"""Grids of models, contexts, machines and config keys: what `archcalc sweep` computes, for programs and larger engines.

`rows` makes the questions, `run` answers one of them. `run` is a pure function of its row that reads nothing but the package and files
that the row names, so rows can be mapped over processes, threads or machines, in any order.

>>> from archcalc import sweep
>>> grid = list(sweep.rows(["llama-3.1-8b"], gpu=["4090"], context_tokens=["4k", "128k"], set={"num_hidden_layers": [16, 32]}))
>>> grid[0]
{'source': 'llama-3.1-8b', 'set': {'num_hidden_layers': 16}, 'context_tokens': 4096, 'gpu': '4090'}
>>> [(row["set"]["num_hidden_layers"], row["context_tokens"], row["fits"]) for row in map(sweep.run, grid)]
[(16, 4096, True), (16, 131072, True), (32, 4096, True), (32, 131072, False)]

Called, the module does both, with the option names of the command:

>>> sweep("llama-3.1-8b", gpu="4090", ctx=["4k", "128k"])
Table(2 rows of 1 model)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from archcalc import units
from archcalc.analysis import grid as _grid
from archcalc.analysis.grid import flat
from archcalc.errors import UsageError
from archcalc.questions import Source, loaded

__all__ = ["Table", "flat", "rows", "run", "run_all", "size"]

Row = dict[str, Any]
Number = int | str


def rows(
    source: Sequence[str],
    *,
    context_tokens: Sequence[Number] | None = None,
    concurrency: Sequence[Number] | None = None,
    isl: Sequence[Number] | None = None,
    osl: Sequence[Number] | None = None,
    gpu: Sequence[str] | None = None,
    vram: Sequence[Number] | None = None,
    engine: Sequence[str] | None = None,
    tp: Sequence[Number] | None = None,
    pp: Sequence[Number] | None = None,
    ep: Sequence[Number] | None = None,
    dp: Sequence[Number] | None = None,
    quant: Sequence[str | None] | None = None,
    kv_dtype: Sequence[str] | None = None,
    set: Mapping[str, Sequence[Any]] | None = None,
) -> Iterator[Row]:
    """Every combination, models outermost, each a small dict of strings and numbers.

    Values are written as on the command line: `"128k"`, `"8xH100"`; `quant` None or `"none"` takes weights as stored. `set` holds the
    values of config keys. Raises `archcalc.errors.UsageError` for a value that no row could be made of; what only some rows cannot be
    (a model that does not exist, heads that do not divide) is told in their `error`.
    """
    made, overrides = axes(
        source=source, context_tokens=context_tokens, concurrency=concurrency, isl=isl, osl=osl, gpu=gpu, vram=vram, engine=engine, tp=tp,
        pp=pp, ep=ep, dp=dp, quant=quant, kv_dtype=kv_dtype, set=set,
    )  # fmt: skip
    return _grid.grid(made, overrides)


def size(**named: Any) -> int:
    """How many rows `rows` makes of the same arguments.

    >>> size(source=["gpt2"], context_tokens=["512", "1k"], concurrency=[1, 4, 16])
    6
    """
    return _grid.size(*axes(**named))


def run(row: Mapping[str, Any]) -> Row:
    """The row with its figures.

    Parameters, checkpoint and the textbook cache; with a `gpu` also the verdict of `archcalc fit`. Figures that do not apply are None;
    `error` is None, or says why the row has no figures. All rows of a grid have the same keys.
    """
    return _grid.point(row)


def run_all(rows: Iterable[Mapping[str, Any]]) -> list[Row]:
    """`run` for many rows, in order. Neighbours of a grid share work, so pieces of a grid are faster together."""
    return [_grid.point(row) for row in rows]


_SUCH_AS = {
    "source": '["llama-3.1-8b"]',
    "gpu": '["8xH100"]',
    "engine": '["vllm", "sglang"]',
    "quant": '["none", "fp8"]',
    "kv_dtype": '["bf16", "fp8"]',
    "vram": '["24", "80"]',
    **dict.fromkeys(("context_tokens", "isl", "osl"), '["4k", "32k"]'),
    **dict.fromkeys(("tp", "pp", "ep", "dp", "concurrency"), "[1, 8]"),
}


def axes(**named: Any) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """The arguments of `rows`, read and checked: values by axis, and values by config key."""
    found: dict[str, list[Any]] = {}
    for name, read in _READ.items():
        values = named.pop(name, None)
        if values is None:
            continue
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise UsageError(
                f"{name} is {values!r}: a list of values was expected", f"such as {_SUCH_AS.get(name, _SUCH_AS['tp'])}"
            )
        found[name] = [read(value) for value in values]
    if "gpu" in found:
        found["gpu"] = list(dict.fromkeys(each for text in found["gpu"] for each in (_rented() if _all(text) else (text,))))
    elif "vram" in found:
        # A card that is not listed goes by its memory.
        found["gpu"] = found.pop("vram")
    overrides = {key: list(values) for key, values in (named.pop("set", None) or {}).items()}
    if named:
        raise UsageError(f"{next(iter(named))} is no axis of a sweep", f"one of {', '.join(_READ)}, set")
    if "source" not in found:
        raise UsageError("no source: what is the sweep about?", 'such as source=["llama-3.1-8b"]')
    if "gpu" not in found and (wrong := [n for n in ("engine", "tp", "pp", "ep", "dp", "quant", "isl", "osl") if n in found]):
        raise UsageError(f"{wrong[0]} needs a machine to say something about", "name a GPU too, as in --gpu 8xH100")
    return found, overrides


def asked(**named: Any) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """`axes` of options by the command's names: of each one value, a list of them, or a text of several as on the command line."""
    sources = named.pop("source", None)
    if not isinstance(sources, (list, set, frozenset)) and type(sources) is not tuple:
        sources = [sources]
    keys = named.pop("set", None)
    if keys is not None and not isinstance(keys, Mapping):
        raise UsageError(
            f"set={keys!r}: a mapping of config keys to their values was expected", 'such as {"num_hidden_layers": [24, 32]}'
        )
    if not isinstance(offline := named.pop("offline", False), bool):
        raise UsageError(f"offline={offline!r}: True or False was expected")
    lists = {"context_tokens" if name == "ctx" else name: _list(name, value) for name, value in named.items() if value is not None}
    return axes(
        source=[_model(one) for one in sources],
        set={key: values_of(value) if isinstance(value, str) else _list(key, value) for key, value in (keys or {}).items()},
        **lists,
    )


def values_of(text: str) -> list[Any]:
    """The values of a config key in a text: JSON where it is, at commas outside of brackets and quotes.

    >>> values_of('24, 32'), values_of('null,{"a": [1, 2]}'), values_of("gelu,silu")
    ([24, 32], [None, {'a': [1, 2]}], ['gelu', 'silu'])
    """
    parts, depth, quoted, escaped = [""], 0, False, False
    for c in text:
        if c == "," and not depth and not quoted:
            parts.append("")
            continue
        parts[-1] += c
        quoted = quoted != (c == '"' and not escaped)
        escaped = quoted and c == "\\" and not escaped
        depth += 0 if quoted else (c in "[{") - (c in "]}")
    return [_json(part.strip()) for part in parts if part.strip()]


def _list(name: str, value: Any) -> list[Any]:
    if isinstance(value, str):
        from archcalc.hardware import split_list

        return [part for part in (split_list(value) if name == "gpu" else map(str.strip, value.split(","))) if part]
    if isinstance(value, (Mapping, bytes)) or not isinstance(value, (Sequence, range)):
        return [value]
    return list(value)


def _json(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except ValueError:
        return text


def _model(one: Any) -> str:
    """A SOURCE as a row holds it."""
    from archcalc.loader import Loaded
    from archcalc.model import Architecture

    if isinstance(one, (Mapping, Loaded, Architecture)):
        from functools import partial

        name = one.source.name if isinstance(one, Loaded) else one.get("model_type") if isinstance(one, Mapping) else one.model_type
        return _grid.Own.of(str(name or "config"), partial(loaded, one, offline=True, refresh=False))
    if isinstance(one, (str, os.PathLike)):
        path = os.fspath(one)
        if isinstance(path, str):
            return path
    raise UsageError(
        f"a source of type {type(one).__name__}", "give a bundled name, a path, a Hub repository or a config as a mapping"
    )


def _source(value: Any) -> str:
    return value if isinstance(value, _grid.Own) else str(value)


def _tokens(value: Number) -> int:
    return units.parse_tokens(str(value))


def _number(value: Number) -> int:
    text = str(value)
    if not text.isdecimal() or not 1 <= int(text) <= 1 << 20:
        raise UsageError(f"{text!r} is not a whole number above zero", "as in 1,2,4")
    return int(text)


def _engine(text: str) -> str:
    from archcalc.engines.engine import servers

    if str(text).lower() in servers():
        return str(text).lower()
    raise UsageError(f"{text!r} is no engine", f"one of {', '.join(servers())}")


def _gpu(text: str) -> str:
    from archcalc import hardware

    if not isinstance(text, str):
        raise UsageError(f"gpu={text!r}: a text was expected", "such as 8xH100")
    if text.strip().lower() == "here":
        raise UsageError(
            "--gpu here: the rows of a sweep mean the same on every machine, and name theirs",
            "`archcalc fit SOURCE --gpu here` says which this one is; a card that is not listed goes by its memory: --gpu 24GiB",
        )
    if not _all(text):
        hardware.parse_spec(text)
    return text


def _all(text: str) -> bool:
    return text.strip().lower() == "all"


def _rented() -> list[str]:
    """The machines that `archcalc fit --gpu all` asks of, each as a row names it."""
    from archcalc import hardware
    from archcalc.analysis.advice import named

    texts = (named(spec.device, spec.count).removeprefix("--gpu ") for spec in hardware.rented())
    return [text for text in texts if text]


def _vram(value: Number) -> str:
    units.parse_bytes(str(value))
    return str(value)


def _quant(text: str | None) -> str | None:
    if text is None or text == "none":
        return None
    from archcalc.quant import check_name

    check_name(text)
    return text


_READ: dict[str, Callable[[Any], Any]] = {
    "source": _source,
    "context_tokens": _tokens,
    "concurrency": _number,
    "isl": _tokens,
    "osl": _tokens,
    "gpu": _gpu,
    "vram": _vram,
    "engine": _engine,
    "tp": _number,
    "pp": _number,
    "ep": _number,
    "dp": _number,
    "quant": _quant,
    "kv_dtype": units.parse_cache_dtype,
}


class Table(list[Row]):
    """The rows of a sweep, each a dict. `to_frame` makes them a DataFrame."""

    def __repr__(self) -> str:
        models = len({row["source"] for row in self})
        return f"Table({len(self):,} row{'s' * (len(self) != 1)} of {models:,} model{'s' * (models != 1)})"

    def to_dict(self) -> list[Row]:
        """The rows: what the command writes as JSON lines."""
        return [dict(row) for row in self]

    def to_json(self, indent: int | None = 2) -> str:
        """The rows as a JSON array."""
        import json

        return json.dumps(self.to_dict(), indent=indent, ensure_ascii=False)

    def to_rows(self) -> list[Row]:
        """The rows flat, a column for each config key that was set."""
        return [flat(row) for row in self]

    def to_frame(self, library: Literal["pandas", "polars"] | None = None) -> Any:
        """`to_rows` as a DataFrame of pandas or polars. Raises `UsageError` where none is installed."""
        from archcalc.render import notebook

        return notebook.frame(self.to_rows(), library)

    def _repr_html_(self) -> str:
        from archcalc.render import notebook

        return notebook.table(self.to_rows())


class Sweep(ModuleType):
    """This module as it is called: `archcalc.sweep(...)`."""

    if TYPE_CHECKING:
        rows = staticmethod(rows)
        size = staticmethod(size)
        run = staticmethod(run)
        run_all = staticmethod(run_all)
        flat = staticmethod(flat)

    def __call__(
        self,
        source: Source | Sequence[Source],
        *,
        ctx: Number | Sequence[Number] | None = None,
        concurrency: Number | Sequence[Number] | None = None,
        isl: Number | Sequence[Number] | None = None,
        osl: Number | Sequence[Number] | None = None,
        gpu: str | Sequence[str] | None = None,
        vram: Number | Sequence[Number] | None = None,
        engine: str | Sequence[str] | None = None,
        tp: Number | Sequence[Number] | None = None,
        pp: Number | Sequence[Number] | None = None,
        ep: Number | Sequence[Number] | None = None,
        dp: Number | Sequence[Number] | None = None,
        quant: str | Sequence[str | None] | None = None,
        kv_dtype: str | Sequence[str] | None = None,
        set: Mapping[str, Any] | None = None,
        offline: bool = False,
    ) -> Table:
        """Every combination of models, contexts, machines and config keys: one value of an option, a list of them, or a text with commas
        as on the command line.

        A sweep never touches the network, with `offline` or without.
        """
        made = asked(
            source=source, ctx=ctx, concurrency=concurrency, isl=isl, osl=osl, gpu=gpu, vram=vram, engine=engine, tp=tp, pp=pp, ep=ep,
            dp=dp, quant=quant, kv_dtype=kv_dtype, set=set, offline=offline,
        )  # fmt: skip
        return Table({**row, "source": str(row["source"])} for row in run_all(_grid.grid(*made)))


# What is imported as `archcalc.sweep` is this module, so the module itself is what is called.
sys.modules[__name__].__class__ = Sweep
