"""The columns of `archcalc models`."""

from __future__ import annotations

from archcalc import units
from archcalc.render.rows import Column, count, text


def _tokens(value: object) -> str:
    return units.format_tokens(value) if isinstance(value, int) else ""


COLUMNS = (
    Column("name", "name"),
    Column("family", "family", spare=5),
    Column("params_total", "total", count, right=True),
    Column("params_active", "active", count, right=True),
    Column("attention", "attention", fold=True, spare=2),
    Column("context_tokens", "context", _tokens, right=True),
    Column("release", "release", text, spare=3),
    Column("license", "license", text, fold=True, spare=4),
    Column("repo", "config from", spare=6),
)
