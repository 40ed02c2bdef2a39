"""EXAONE 4: norms behind attention and FFN, QK-norm; three layers with a window, then one that sees all, without positions.

Source: transformers 5.23, models/exaone4/modeling_exaone4.py and configuration_exaone4.py (defaults, `layer_types`).
"""

from typing import ClassVar

from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.errors import ConfigError


class Schema(WindowedSchema):
    whole_heads = False
    bare = True
    qk_norm = "head"
    norms: ClassVar[tuple[str, ...]] = ("post_attention_layernorm", "post_feedforward_layernorm")
    norm_label = "RMSNorm (post, inside the residual)"

    vocab_size: Size = 102400
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    sliding_window: Tokens | None = 4096
    sliding_window_pattern: str | int | None = 4

    def period(self) -> int:
        if self.sliding_window is None or not isinstance(self.sliding_window_pattern, int) or self.sliding_window_pattern < 1:
            raise ConfigError(
                "layer_types is missing, and sliding_window_pattern with sliding_window does not say which layers see all",
                "give layer_types, as published configs do",
                "layer_types",
            )
        return self.sliding_window_pattern

    def rotary_layers(self) -> list[bool]:
        return [True] * self.num_hidden_layers if self.sliding_window is None else super().rotary_layers()
