"""The encoder of Nemotron ASR as it streams: Parakeet's, whose convolutions and attention see a window of the past.

Source: transformers 5.24, models/nemotron_asr_streaming/modeling_nemotron_asr_streaming.py (`NemotronAsrStreamingEncoder`) and
configuration_nemotron_asr_streaming.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import parakeet_encoder, parakeet_rnnt
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size, TowerSchema, nested
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Tensor, stack


class Schema(parakeet_encoder.Schema):
    prefix = ""
    alone = "a model without text: it keeps no cache of tokens"
    inert_keys = (*parakeet_encoder.Schema.inert_keys, "sliding_window", "default_num_lookahead_tokens")

    def front(self) -> Iterator[Tensor]:
        width, kernel, stride = self.subsampling_conv_channels, self.subsampling_conv_kernel_size, self.subsampling_conv_stride
        halvings, bins = self.subsampling_factor.bit_length() - 1, self.num_mel_bins
        yield from conv("subsampling.conv_in", width, 1, kernel, kernel)
        for i in range(halvings - 1):
            yield from conv(f"subsampling.layers.{i}.depthwise_conv", width, 1, kernel, kernel)
            yield from conv(f"subsampling.layers.{i}.pointwise_conv", width, width, 1, 1)
        for _ in range(halvings):
            # It pads to the left by the kernel less one, and to the right by the stride less one.
            bins = (bins + stride - 2) // stride + 1
        yield from linear("subsampling.linear", self.hidden_size, width * bins, "embedding", bias=True)

    def tower(self, prefix: str) -> Pieces:
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", below(prefix, self.front()))], [layers]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")


class NemotronAsrStreaming(parakeet_rnnt.Schema):
    """Nemotron ASR as it streams, with a transducer.
    Source: transformers 5.24, models/nemotron_asr_streaming/modeling_nemotron_asr_streaming.py (`NemotronAsrStreamingForRNNT`) and
    configuration_nemotron_asr_streaming.py (defaults)."""

    encoder_config: Annotated[TowerSchema, nested("nemotron_asr_streaming_encoder", fixed=True), DEFAULT]
    vocab_size: Size = 1025
