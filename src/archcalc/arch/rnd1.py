"""RND1: Qwen 3's mixture of experts, made to see both ways.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/qwen.py `RND1Model` and src/models/rnd1.cpp; radicalnumerics/RND1-Base-0910.
"""

from __future__ import annotations

from archcalc.arch import qwen3_moe
from archcalc.arch._both_ways import uncached
from archcalc.model import Architecture


class Schema(qwen3_moe.Schema):
    def architecture(self, prefix: str) -> Architecture:
        return uncached(super().architecture(prefix))
