"""Muse Glimmer's draft: DFlash's layers, all sliding, over the hidden states of five of the target's layers.

Source: transformers 5.23, models/muse_glimmer_assistant/modeling_muse_glimmer_assistant.py (`MuseGlimmerAssistantModel`: embedding
and head are the target's) and configuration_muse_glimmer_assistant.py (defaults).
"""

from archcalc.arch._alternating import SLIDING, mixed_label
from archcalc.arch._computes import computed
from archcalc.arch._decoder import DecoderSchema, attention_pattern, group, join
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, stack


class Schema(DecoderSchema):
    prefix = ""
    core_keys = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    inert_keys = ("block_size",)

    vocab_size: Size = 202_048
    hidden_size: Size = 6656
    intermediate_size: Size = 19968
    num_hidden_layers: Layers = 5
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131_072
    sliding_window: Tokens = 2048
    layer_types: list[str] | None = None
    target_layer_ids: tuple[int, ...] = (1, 13, 25, 37, 49)

    def layer(self, window: int | None) -> Layer:
        h = self.hidden_size
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, window=window, qk_norm="head")
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms)

    def architecture(self, prefix: str) -> Architecture:
        h, n, read = self.hidden_size, self.num_hidden_layers, len(self.target_layer_ids)
        if not read:
            raise ConfigError("target_layer_ids is empty", "list the layers of the target that are read", "target_layer_ids")
        kinds = self.layer_types or [SLIDING] * n
        windows = attention_pattern(kinds, n, self.sliding_window)
        built = {window: self.layer(window) for window in set(windows)}
        outside = (*linear("encoder.fc", h, read * h, "other"), rms_norm("encoder.output_norm_enc", h), rms_norm("norm", h))
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            sliding_window=self.sliding_window if any(windows) else None,
            tied_embeddings=False,
            more=(("QK-norm", "RMSNorm per head"), ("target layers read", str(read))),
        )
        layers = stack(join(prefix, "layers"), "decoder", [built[window] for window in windows])
        groups = (group("decoder", prefixed(prefix, outside) if prefix else outside),)
        made = Architecture(self.name, groups, (layers,), facts, notes=("embedding and head are the target's: not counted",))
        return computed(made, self.computes())
