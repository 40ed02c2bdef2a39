"""The columns of `archcalc models`."""

from __future__ import annotations

from archcalc import units
from archcalc.render.rows import Column, count, text


def _tokens(value: object) -> str:
    return units.format_tokens(value) if isinstance(value, int) else ""


COLUMNS = (
    Column("name", "name"),
    Column("family", "family", fold=True),
    Column("params_total", "total", count, right=True),
    Column("params_active", "active", count, right=True),
    Column("attention", "attention", fold=True),
    Column("context_tokens", "context", _tokens, right=True),
    Column("release", "release", text),
    Column("license", "license", text, fold=True),
    Column("repo", "config from", fold=True),
)
