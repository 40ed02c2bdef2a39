"""Nemotron-Labs-Diffusion: Ministral 3's layers, which also fill blocks of tokens that see both ways.

Source: nvidia/Nemotron-Labs-Diffusion-8B, its model card and the sizes in its config; transformers 5.23,
models/ministral3/modeling_ministral3.py (the layers).
"""

from archcalc.arch import llama
from archcalc.arch.llada2_moe import NOTE
from archcalc.model import Architecture


class Schema(llama.Schema):
    inert_keys = ("block_size",)

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(notes=(NOTE,))
