"""UltraBERT: Llama's layers that see both ways, most of them a window, with a narrow layer before the head.

Source: transformers 5.24, models/ultrabert/modeling_ultrabert.py (`UltrabertForMaskedLM`; a window counts to either side) and
configuration_ultrabert.py (defaults, `attention_windows` and a list of bases in older configs).
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._decoder import attention_pattern
from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import head_sharing
from archcalc.model import Architecture, Group, Layer, both_ways


class Schema(BiasedSchema):
    inert_keys = ("classifier_pooling",)

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 32768
    sliding_window: Tokens = 128
    layer_types: list[str] | None = None
    prediction_head_size: Size = 768

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        config = dict(config)
        windows, bases = config.pop("attention_windows", None), config.get("rope_theta")
        if isinstance(windows, list):
            config.setdefault("layer_types", [SLIDING if window else FULL for window in windows])
            config["sliding_window"] = next((window for window in windows if window), config.get("sliding_window", 128))
        if isinstance(bases, list):
            del config["rope_theta"]
        return config

    def kinds(self) -> list[str]:
        return self.layer_types or [SLIDING if (i + 1) % 3 else FULL for i in range(self.num_hidden_layers)]

    def windows(self) -> Sequence[int | None]:
        return attention_pattern(self.kinds(), self.num_hidden_layers, 2 * self.sliding_window + 1)

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        return both_ways(super().layer(window, sparse, variant))

    def more(self) -> dict[str, Any]:
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        return {"attention": mixed_label(self.kinds(), f"{sharing}, bidirectional")}

    def decoder_options(self) -> dict[str, Any]:
        return {"head": "head.decoder"}

    def architecture(self, prefix: str) -> Architecture:
        a, h, narrow = super().architecture(prefix), self.hidden_size, self.prediction_head_size
        before = (*linear("head.linear1", narrow, h, "head"), *linear("head.linear2", h, narrow, "head"))
        return a._replace(groups=(*a.groups, Group("head", before)))
