"""LASR's encoder: conformers with rotary positions, without biases, behind two convolutions over time.

Source: transformers 5.24, models/lasr/modeling_lasr.py (`LasrEncoder`, `LasrForCTC`) and configuration_lasr.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import parakeet_encoder
from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._ctc import CtcSchema
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, nested
from archcalc.arch._vit import below
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Tensor, stack


class Schema(parakeet_encoder.Schema):
    prefix = ""
    alone = "a model without text: it keeps no cache"
    inert_keys = (
        *parakeet_encoder.Schema.inert_keys, "feed_forward_residual_weights", "conv_residual_weights", "batch_norm_momentum",
    )  # fmt: skip

    hidden_size: Size = 512
    num_hidden_layers: Layers = 17
    intermediate_size: Size = 2048
    attention_bias: Flag = False
    convolution_bias: Flag = False
    conv_kernel_size: Size = 32
    num_mel_bins: Size = 128
    subsampling_conv_kernel_size: Size = 5

    def layer(self) -> Layer:
        """Parakeet's layer without positions of its own, and with gains alone for norms outside the convolution."""
        layer = super().layer()
        lacking = ("relative_k_proj.weight", "self_attn.bias_u", "self_attn.bias_v")
        return layer._replace(
            tensors=tuple(
                t
                for t in layer.tensors
                if not t.name.endswith(lacking) and not (t.name.startswith("norm_") and t.name.endswith(".bias"))
            )
        )

    def front(self) -> Iterator[Tensor]:
        h, thin, kernel = self.hidden_size, self.subsampling_conv_channels, self.subsampling_conv_kernel_size
        yield from linear("subsampler.dense_0", h, self.num_mel_bins, "embedding", bias=True)
        yield from conv("subsampler.conv_0", h, h, kernel)
        yield from conv("subsampler.conv_1", thin, h, kernel)
        yield from linear("subsampler.dense_1", h, thin, "embedding", bias=True)
        yield rms_norm("out_norm", h)

    def tower(self, prefix: str) -> Pieces:
        layers = stack(join(prefix, "layers"), "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", below(prefix, self.front()))], [layers]

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture("")


class LasrCtc(CtcSchema):
    """LASR with a row for each token (CTC).
    Source: transformers 5.24, models/lasr/modeling_lasr.py (`LasrForCTC`) and configuration_lasr.py (defaults)."""

    prefix = "encoder"
    alone = "a model without text: it keeps no cache"

    encoder_config: Annotated[Schema, nested("lasr_encoder", fixed=True), DEFAULT]
    vocab_size: Size = 512
