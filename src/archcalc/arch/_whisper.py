"""Audio towers of Whisper's form: two convolutions over a spectrogram, fixed positions, pre-norm layers.

Source: Radford et al. 2022, arXiv:2212.04356; transformers 5.23, models/qwen2_audio/modeling_qwen2_audio.py (`Qwen2AudioEncoder`).
"""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import heard
from archcalc.arch._schema import Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, vit_attention
from archcalc.model import Encoder, Group, Layer, Role, Stack, Tensor, stack


def conv(name: str, outer: int, inner: int, *kernel: int, bias: bool = True, role: Role = "embedding") -> Iterator[Tensor]:
    """A convolution that makes the input of an audio tower, unless `role` says otherwise."""
    yield Tensor(f"{name}.weight", (outer, inner, *kernel), role)
    if bias:
        yield Tensor(f"{name}.bias", (outer,), role)


def whisper_layer(hidden: int, heads: int, width: int, activation: str, *, key_bias: bool = False) -> Layer:
    """A layer of Whisper's encoder: biases everywhere but on the keys, norms named by what they precede."""
    norms = (*layer_norm("self_attn_layer_norm", hidden), *layer_norm("final_layer_norm", hidden))
    divided(hidden, heads, "d_model", "encoder_attention_heads")
    layer = encoder_layer(vit_attention(hidden, heads), FeedForward(hidden, width, activation), norms, ffn_name="")
    return layer if key_bias else layer._replace(tensors=tuple(t for t in layer.tensors if t.name != "self_attn.k_proj.bias"))


class WhisperTower(TowerSchema):
    """The encoder, under Whisper's names for its keys or transformers' usual ones."""

    # Heads are as wide as they share the width, and all have keys, whatever these two say (mistralai/Voxtral-Mini-3B-2507 states them).
    inert_keys: ClassVar[tuple[str, ...]] = ("scale_embedding", "head_dim", "num_key_value_heads")

    num_mel_bins: Size = 128
    d_model: Size = Field(1280, validation_alias=AliasChoices("hidden_size", "d_model"))
    encoder_layers: Layers = Field(32, validation_alias=AliasChoices("num_hidden_layers", "encoder_layers"))
    encoder_attention_heads: Size = Field(20, validation_alias=AliasChoices("num_attention_heads", "encoder_attention_heads"))
    encoder_ffn_dim: Size = Field(5120, validation_alias=AliasChoices("intermediate_size", "encoder_ffn_dim"))
    activation_function: str = "gelu"
    max_source_positions: Size = 1500

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def intermediate_size(self) -> int:
        return self.encoder_ffn_dim

    def front(self) -> Iterator[Tensor]:
        """What turns a spectrogram into the first layer's input."""
        h = self.d_model
        yield from conv("conv1", h, self.num_mel_bins, 3)
        yield from conv("conv2", h, h, 3)
        yield Tensor("embed_positions.weight", (self.max_source_positions, h), "embedding")

    def behind(self) -> Iterator[Tensor]:
        """What follows the layers."""
        yield from layer_norm("layer_norm", self.d_model)

    def layer(self) -> Layer:
        return whisper_layer(self.d_model, self.encoder_attention_heads, self.encoder_ffn_dim, self.activation_function)

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.encoder_layers)
        return [group("audio", prefixed(prefix, (*self.front(), *self.behind())))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """Half a minute of sound, two rows a token."""
        rows = self.max_source_positions
        return heard(self, rows, max(rows // 2, 1), 2 * self.num_mel_bins, "the config's max_source_positions")
