"""SDAR: Qwen 3's layers, which see both ways inside a block of tokens and fill it over several passes.

Source: SGLang 0.5, srt/models/sdar.py (`SDARForCausalLM`; keys and values of finished blocks are cached).
"""

from __future__ import annotations

from archcalc.arch import qwen3
from archcalc.arch._both_ways import IN_BLOCKS
from archcalc.model import Architecture

OWN = ("block_size", "block_length", "mask_token_id", "debug", "fuse_cross_entropy")


class Schema(qwen3.Schema):
    inert_keys = (*qwen3.Schema.inert_keys, *OWN)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))
