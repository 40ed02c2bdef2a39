"""The layer of SAM's image encoder: attention with a learned bias for each distance in height and width.

Source: Kirillov et al. 2023, arXiv:2304.02643, appendix A; Li et al. 2022, arXiv:2203.16527 (ViTDet).
"""

from __future__ import annotations

from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, head_width
from archcalc.model import Layer, Tensor


def sam_layer(
    hidden: int,
    heads: int,
    side: int,
    intermediate: int = 0,
    activation: str = "gelu",
    *,
    bias: bool = True,
    relative: bool = True,
    norms: tuple[str, str] = ("norm1", "norm2"),
) -> Layer:
    """A layer whose attention sees `side` by `side` patches."""
    dim = head_width(hidden, heads)
    attention = GroupedQueryAttention(
        hidden, heads, heads, dim, bias=bias, output_bias=True, window=side**2, fused="qkv", names=("", "", "", "proj")
    )
    ffn = FeedForward(hidden, intermediate or 4 * hidden, activation, names=("lin1", "lin2"))
    # From side - 1 before to side - 1 behind.
    distances = [Tensor(f"attn.rel_pos_{axis}", (2 * side - 1, dim), "attention") for axis in "hw"] if relative else []
    tensors = (*layer_norm(norms[0], hidden), *layer_norm(norms[1], hidden), *distances)
    return encoder_layer(attention, ffn, tensors, attention_name="attn")
