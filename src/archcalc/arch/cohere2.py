"""Command A and Command R7B: three layers with a window and rotary positions, then one that sees all and has no positions.

Source: transformers 5.23, models/cohere2/modeling_cohere2.py and configuration_cohere2.py (defaults, `layer_types`).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch._plain import PARALLEL, WindowedSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens


class Schema(WindowedSchema):
    name: ClassVar[str] = "cohere2"
    inert_keys: ClassVar[tuple[str, ...]] = ("cache_implementation", "order_of_interleaved_layers", "position_embedding_type",
        "rotary_pct", "use_embedding_sharing", "use_gated_activation", "use_parallel_block", "use_parallel_embedding",
        "use_qk_norm")  # fmt: skip
    whole_heads: ClassVar[bool] = False
    bare: ClassVar[bool] = True
    norms: ClassVar[tuple[str, ...]] = ("input_layernorm",)
    layer_norms: ClassVar[bool] = True
    norm_bias: ClassVar[bool] = False
    norm_label: ClassVar[str] = PARALLEL

    vocab_size: Size = 256000
    hidden_size: Size = 8192
    intermediate_size: Size = 22528
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 64
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    sliding_window: Tokens | None = 4096
    sliding_window_pattern: Size = 4

    def period(self) -> int:
        return self.sliding_window_pattern

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias
