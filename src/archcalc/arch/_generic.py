"""What a config without an adapter gets: a guess, always marked as one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


def guess(config: Mapping[str, Any]) -> Architecture:
    raise UnsupportedError("no adapter")
