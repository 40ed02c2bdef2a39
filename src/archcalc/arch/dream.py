"""Dream: Qwen 2.5's layers, which see both ways.

Source: Dream-org/Dream-v0-Instruct-7B, modeling_dream.py and configuration_dream.py; llama.cpp (llama-cpp-python 0.3.36),
conversion/dream.py and src/models/dream.cpp (names, no cache).
"""

from __future__ import annotations

from archcalc.arch import qwen2
from archcalc.arch._both_ways import uncached
from archcalc.model import Architecture


class Schema(qwen2.Schema):
    # `DreamModel`, the only class of its code, has the head.
    own_heads = True

    def architecture(self, prefix: str) -> Architecture:
        return uncached(super().architecture(prefix))
