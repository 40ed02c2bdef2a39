"""What models of time series share.

Source: transformers 5.24, time_series_utils.py (`args_dim`).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._schema import divided
from archcalc.arch._vit import AloneSchema
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, Layer, Tensor

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")
DISTRIBUTIONS = {"student_t": 3, "normal": 2, "negative_binomial": 2}


class SeriesSchema(AloneSchema):
    """A model of time series."""

    alone = "a time series model: it writes no text, and its cache is not counted"
    root = "model"

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


def series_layer(h: int, heads: int, width: int, activation: str, last_norm: str, decoding: Iterable[Tensor] | None) -> Layer:
    """A layer of an encoder, or, with further tensors, of a decoder that reads one."""
    dim = divided(h, heads, "d_model", "attention_heads")
    attention = GroupedQueryAttention(h, heads, heads, dim, True, True, rope=False, names=NAMES)
    norms = [*layer_norm("self_attn_layer_norm", h), *layer_norm(last_norm, h)]
    if decoding is not None:
        norms += (*prefixed("encoder_attn", attention.tensors()), *layer_norm("encoder_attn_layer_norm", h), *decoding)
    return encoder_layer(attention, FeedForward(h, width, activation), norms, ffn_name="")


def distributed(name: str, width: int, out: int, distribution: str) -> Iterator[Tensor]:
    """A projection for each number that a distribution is known by."""
    for i in range(DISTRIBUTIONS[distribution]):
        yield from linear(f"{name}.proj.{i}", out, width, "head", bias=True)
