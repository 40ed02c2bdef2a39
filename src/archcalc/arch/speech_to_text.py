"""Speech2Text: gated convolutions over a spectrogram, then BART's halves with norms before the blocks and positions that are not stored.

Source: transformers 5.24, models/speech_to_text/modeling_speech_to_text.py (`Speech2TextForConditionalGeneration`) and
configuration_speech_to_text.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._decoder import group
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, per_layer
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import SINUSOIDAL, Group, Stack, Tensor


class Schema(BartSchema):
    inert_keys = (*BartSchema.inert_keys, "max_source_positions")
    logits_bias = False
    norm_label = "LayerNorm (pre)"
    position = SINUSOIDAL

    vocab_size: Size = 10000
    d_model: Size = named(256, "d_model", "hidden_size")
    max_position_embeddings: Size = named(1024, "max_target_positions")
    encoder_ffn_dim: Size = 2048
    encoder_attention_heads: Size = 4
    decoder_layers: Layers = 6
    decoder_ffn_dim: Size = 2048
    decoder_attention_heads: Size = 4
    activation_function: str = "relu"
    num_conv_layers: Size = 2
    conv_kernel_sizes: tuple[Size, ...] = (5, 5)
    conv_channels: Size = 1024
    input_feat_per_channel: Size = 80
    input_channels: Size = 1

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        return layer_norm("layer_norm", self.d_model)

    def convolutions(self) -> Iterator[Tensor]:
        """Half of what each gives gates the other half."""
        last = self.num_conv_layers - 1
        for i, kernel in enumerate(per_layer(self.conv_kernel_sizes, self.num_conv_layers, "conv_kernel_sizes", "num_conv_layers")):
            inner = self.input_feat_per_channel * self.input_channels if i == 0 else self.conv_channels // 2
            outer = self.conv_channels if i < last else 2 * self.d_model
            yield from conv(f"model.encoder.conv.conv_layers.{i}", outer, inner, kernel)

    def both(self) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().both()
        return [group("audio", self.convolutions()), *groups[1:]], stacks
