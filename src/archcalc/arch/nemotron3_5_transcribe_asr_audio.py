"""The speech encoder of Nemotron 3.5 Transcribe: stacked frames of a spectrogram, pre-norm layers that norm queries and keys.

Source: transformers 5.23, models/nemotron3_5_transcribe/modeling_nemotron3_5_transcribe.py (`Nemotron3_5TranscribeAsrAudioModel`)
and configuration_nemotron3_5_transcribe.py (defaults).
"""

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    qk_norms: ClassVar[bool] = True

    hidden_size: Size = 1280
    intermediate_size: Size = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 10
    num_key_value_heads: Size | None = None
    hidden_act: str = "gelu"
    num_mel_bins: Size = 128
    subsampling_factor: Size = 8

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = divided(h, heads, "hidden_size", "num_attention_heads")
        norms = [*layer_norm("layer_norm1", h), *layer_norm("layer_norm2", h)]
        if self.qk_norms:
            norms += (t for name in "qk" for t in layer_norm(f"self_attn.{name}_norm", dim))
        attention = GroupedQueryAttention(h, heads, self.num_key_value_heads or heads, dim, output_bias=True)
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms)
        # Values are as wide as the layer whatever the number of keys.
        value = "self_attn.v_proj.weight"
        return layer._replace(tensors=tuple(t._replace(shape=(h, h)) if t.name == value else t for t in layer.tensors))

    def before(self) -> Iterator[Tensor]:
        """What makes the input of the first layer."""
        yield from linear("embedder.projection", self.hidden_size, self.subsampling_factor * self.num_mel_bins, "embedding")

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        outside = (*self.before(), *layer_norm("input_layer_norm", h), *layer_norm("layer_norm", h))
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
