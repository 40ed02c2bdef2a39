"""The audio tower of GLM-ASR: Whisper's convolutions, then pre-norm layers with rotary positions.

Source: transformers 5.23, models/glmasr/modeling_glmasr.py (`GlmAsrEncoder`) and configuration_glmasr.py (defaults).
"""

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import heard
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, Group, Layer, Stack, stack


class Schema(TowerSchema):
    hidden_size: Size = 1280
    intermediate_size: Size = 5120
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    hidden_act: str = "gelu"
    num_mel_bins: Size = 128

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, self.num_key_value_heads or heads, self.head_dim or h // heads, True, True)
        norms = (*layer_norm("input_layernorm", h), *layer_norm("post_attention_layernorm", h))
        layer = encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms)
        return layer._replace(tensors=tuple(t for t in layer.tensors if t.name != "self_attn.k_proj.bias"))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        outside = (*conv("conv1", h, self.num_mel_bins, 3), *conv("conv2", h, h, 3), *layer_norm("norm", h))
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound, four rows a token."""
        source = "transformers 5.24, models/whisper/feature_extraction_whisper.py `chunk_length`"
        return heard(self, 1500, 375, 2 * self.num_mel_bins, source)
