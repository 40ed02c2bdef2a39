"""Qwen 1.5, 2 and 2.5: Llama's layer with biased queries, keys and values, and windows on the last layers if asked for.

Source: transformers 5.23, models/qwen2/modeling_qwen2.py and configuration_qwen2.py (defaults, `layer_types`).
"""

from typing import Any

from archcalc.arch._alternating import mixed_label
from archcalc.arch._decoder import DecoderSchema, attention_pattern, decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Moe


class Schema(DecoderSchema):
    whole_heads = False

    vocab_size: Size = 151936
    hidden_size: Size = 4096
    intermediate_size: Size = 22016
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    max_position_embeddings: Tokens = 32768
    use_sliding_window: Flag | None = False
    sliding_window: Size | None = 4096
    max_window_layers: Count | None = 28
    layer_types: list[str] | None = None

    @property
    def windowed(self) -> bool:
        """Whether `sliding_window` holds."""
        return bool(self.use_sliding_window)

    @property
    def window(self) -> int | None:
        return self.sliding_window if self.windowed else None

    def kinds(self) -> list[str]:
        """`layer_types`, or by default windows from layer `max_window_layers` on."""
        if self.layer_types is not None:
            return self.layer_types
        n = self.num_hidden_layers
        full = n if self.window is None or self.max_window_layers is None else min(self.max_window_layers, n)
        return ["full_attention"] * full + ["sliding_attention"] * (n - full)

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size, bias=True, window=window
        )

    def sparse(self, index: int) -> bool:
        """Whether a layer's FFN is a mixture of experts."""
        return False

    def experts(self) -> MixtureOfExperts:
        """The experts of sparse layers: a type that has any says which."""
        raise NotImplementedError

    def ffn(self, sparse: bool) -> MixtureOfExperts | GatedFeedForward:
        return self.experts() if sparse else GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act)

    def moe(self) -> Moe | None:
        layers = sum(map(self.sparse, range(self.num_hidden_layers)))
        if not layers:
            return None
        e = self.experts()
        return Moe(e.experts, e.active, e.shared, layers, e.intermediate)

    def more(self) -> dict[str, Any]:
        """Facts beyond the usual ones."""
        return {}

    def architecture(self, prefix: str) -> Architecture:
        h, n = self.hidden_size, self.num_hidden_layers
        kinds, notes = self.kinds(), []
        if not self.windowed and "sliding_attention" in kinds:
            kinds = ["full_attention" if kind == "sliding_attention" else kind for kind in kinds]
            notes.append("use_sliding_window is off: the layers that layer_types calls sliding see every token")
        windows = attention_pattern(kinds, n, self.window)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        pairs = list(zip(windows, map(self.sparse, range(n)), strict=True))
        built = {(w, s): make_layer(self.attention(w), self.ffn(s), norms) for w, s in set(pairs)}
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            sliding_window=self.window if any(windows) else None,
            moe=self.moe(),
            **self.more(),
        )
        layers, final = [built[pair] for pair in pairs], [rms_norm("norm", h)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=final, notes=tuple(notes))


class Qwen25OmniText(Schema):
    """The text model of Qwen2.5-Omni's thinker: Qwen 2.5's.
    Source: transformers 5.23, models/qwen2_5_omni/configuration_qwen2_5_omni.py (`Qwen2_5OmniTextConfig`, defaults)."""

    vocab_size: Size = 152064
    hidden_size: Size = 3584
    intermediate_size: Size = 18944
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 28
    num_key_value_heads: Size | None = 4
    sliding_window: Size | None = 32768
