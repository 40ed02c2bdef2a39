"""Domyn Edge: norms around each block, keys with a gain, heads whose width differs by layer, and some layers without positions.

Source: vLLM 0.33, models/domyn_edge.py (`DomynEdgeAttention`, `DomynEdgeDecoderLayer`).
"""

from collections.abc import Sequence
from typing import Any

from archcalc.arch._plain import PlainSchema, partly
from archcalc.arch._schema import ConfigSchema, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Layer


class Own(ConfigSchema):
    """What a layer has of its own."""

    head_dim: Size | None = None


class Schema(PlainSchema):
    core_keys = (*PlainSchema.core_keys, "position_layers", "window_sizes")
    norms = ("pre_attention_norm", "post_attention_norm", "pre_feedforward_norm", "post_feedforward_norm")
    norm_label = "RMSNorm (pre and post)"
    mixer_name = "attention"
    ffn_name = "feedforward"

    max_position_embeddings: Tokens = 4096 * 32
    position_layers: tuple[str, ...] = ()
    window_sizes: tuple[tuple[int, int], ...] = ()
    per_layer_config: list[Own] | None = None

    def windows(self) -> Sequence[int | None]:
        """The config counts the tokens before the one that looks."""
        pairs = per_layer(self.window_sizes, self.num_hidden_layers, "window_sizes")
        return [before + 1 if before > 0 else None for before, _ in pairs]

    def variants(self) -> Sequence[int]:
        """The width of a layer's heads, negative where it has no positions."""
        kinds = per_layer(self.position_layers, self.num_hidden_layers, "position_layers")
        if unknown := set(kinds) - {"rope", "nope"}:
            raise UnsupportedError(f'position_layers holds "{min(unknown)}": only "rope" and "nope" are known here')
        own = per_layer(self.per_layer_config or [Own()] * len(kinds), len(kinds), "per_layer_config")
        widths = [one.head_dim or self.head_size for one in own]
        return [width if kind == "rope" else -width for width, kind in zip(widths, kinds, strict=True)]

    def attention(self, window: int | None, variant: int) -> Mixer:
        heads = self.num_attention_heads
        return GroupedQueryAttention(self.hidden_size, heads, self.kv_heads, abs(variant), window=window, rope=variant > 0)

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        made = super().layer(window, sparse, variant)
        return made._replace(tensors=(*made.tensors, rms_norm("attention.k_norm", abs(variant))))

    def more(self) -> dict[str, Any]:
        position = partly(rope_label(self.model_extra or {}), [variant > 0 for variant in self.variants()])
        return {"position": position, "more": (("QK-norm", "RMSNorm per head; queries without a gain"),)}
