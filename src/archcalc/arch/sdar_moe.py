"""SDAR with experts: Qwen 3's mixture, block by block as SDAR.

Source: SGLang 0.5, srt/models/sdar_moe.py (`SDARMoeForCausalLM`).
"""

from __future__ import annotations

from archcalc.arch import qwen3_moe
from archcalc.arch._both_ways import IN_BLOCKS
from archcalc.arch.sdar import OWN
from archcalc.model import Architecture


class Schema(qwen3_moe.Schema):
    inert_keys = (*qwen3_moe.Schema.inert_keys, *OWN)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))
