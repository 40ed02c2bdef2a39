"""IQuest-Coder: Llama's layer, read by Llama's code.

Source: transformers 5.23, models/iquestcoder/configuration_iquestcoder.py (defaults), models/llama/modeling_llama.py.
"""

from typing import Any

from archcalc.arch import llama
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(llama.Schema):
    inert_keys = ("sliding_window", "max_window_layers")

    vocab_size: Size = 76800
    hidden_size: Size = 5120
    intermediate_size: Size = 27648
    num_hidden_layers: Layers = 80
    num_attention_heads: Size = 40
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    clip_qkv: Any = None
    use_sliding_window: bool | None = False

    def architecture(self, prefix: str) -> Architecture:
        if self.clip_qkv is not None or self.use_sliding_window:
            raise UnsupportedError("clip_qkv or use_sliding_window is set: the reference implementation rejects both for this type")
        return super().architecture(prefix)
