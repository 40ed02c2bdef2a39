"""Maincoder: Qwen 3's layer.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/llama.py and maincoder.py, src/models/maincoder.cpp.
"""

from __future__ import annotations

from archcalc.arch import qwen3
from archcalc.arch._schema import Size


class Schema(qwen3.Schema):
    name = "maincoder"

    head_dim: Size | None = None
