"""LLaDA 2: Ling 2's layers, which see both ways inside a block of tokens and fill it over several passes.

Source: inclusionAI/LLaDA2.0-mini, modeling_llada2_moe.py (the layers of BailingMoeV2); SGLang 0.5, srt/models/llada2.py and
srt/dllm/ (keys and values of finished blocks are cached).
"""

from archcalc.arch import bailing_moe
from archcalc.arch._both_ways import IN_BLOCKS
from archcalc.model import Architecture


class Schema(bailing_moe.Schema):
    inert_keys = (*bailing_moe.Schema.inert_keys, "block_size")

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))
