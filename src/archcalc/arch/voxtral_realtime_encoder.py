"""The audio tower of Voxtral Realtime: causal convolutions, then Llama's layer with a sliding window and biases.

Source: transformers 5.23, models/voxtral_realtime/modeling_voxtral_realtime.py (`VoxtralRealtimeEncoder`) and
configuration_voxtral_realtime.py (defaults).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Layers, Size, TowerSchema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    hidden_size: Size = Field(1280, validation_alias=AliasChoices("d_model", "hidden_size"))
    intermediate_size: Size = Field(5120, validation_alias=AliasChoices("encoder_ffn_dim", "intermediate_size"))
    num_hidden_layers: Layers = Field(32, validation_alias=AliasChoices("encoder_layers", "num_hidden_layers"))
    num_attention_heads: Size = Field(32, validation_alias=AliasChoices("encoder_attention_heads", "num_attention_heads"))
    num_mel_bins: Size = 128
    hidden_act: str = "silu"
    sliding_window: Size = 750
    head_dim: Size | None = 64

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, heads, self.head_dim or h // heads, True, True, self.sliding_window)
        norms = (rms_norm("self_attn_layer_norm", h), rms_norm("final_layer_norm", h))
        # As in Whisper, keys have no bias; of the FFN, only the output has one.
        bias = Tensor("mlp.down_proj.bias", (h,), "mlp")
        layer = encoder_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=(bias,))
        return layer._replace(tensors=tuple(t for t in layer.tensors if t.name != "self_attn.k_proj.bias"))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        outside = (*conv("embedder.conv1", h, self.num_mel_bins, 3), *conv("embedder.conv2", h, h, 3), rms_norm("norm", h))
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, outside))], [layers]
