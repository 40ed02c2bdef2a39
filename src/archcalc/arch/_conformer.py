"""Conformers of Wav2Vec 2.0's kin: a half FFN, attention, a convolution, and another half FFN.

Source: transformers 5.24, models/wav2vec2_conformer/modeling_wav2vec2_conformer.py (`Wav2Vec2ConformerEncoderLayer`) and
models/wav2vec2_bert/modeling_wav2vec2_bert.py (`Wav2Vec2BertEncoderLayer`); Gulati et al. 2020, arXiv:2005.08100.
"""

from collections.abc import Iterable

from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, vit_attention
from archcalc.model import Layer, Tensor

LINEAR = ("linear_q", "linear_k", "linear_v", "linear_out")


def conformer_layer(h: int, heads: int, width: int, activation: str, kernel: int, norm: str, positions: Iterable[Tensor]) -> Layer:
    """A layer; `norm` is what its convolution calls its norm, `positions` what its attention knows of distances."""
    ffn, attention = (
        FeedForward(h, width, activation, names=("intermediate_dense", "output_dense")),
        vit_attention(h, heads, names=LINEAR),
    )
    light = (
        *layer_norm("layer_norm", h), *layer_norm(norm, h), *conv("pointwise_conv1", 2 * h, h, 1, bias=False, role="other"),
        *conv("depthwise_conv", h, 1, kernel, bias=False, role="other"), *conv("pointwise_conv2", h, h, 1, bias=False, role="other"),
    )  # fmt: skip
    norms = (t for name in ("ffn1", "self_attn", "ffn2", "final") for t in layer_norm(f"{name}_layer_norm", h))
    extra = (*prefixed("self_attn", positions), *prefixed("conv_module", light), *prefixed("ffn2", ffn.tensors()))
    layer = encoder_layer(attention, ffn, norms, ffn_name="ffn1", extra=extra)
    return layer._replace(mixer=f"{layer.mixer}, convolution {kernel}", ffn=f"2 x {layer.ffn}", ffn_width=2 * layer.ffn_width)
