"""BERT's post-norm layer with cross-attention, as Q-Former, BLIP and GIT have it.

Source: Devlin et al. 2018, arXiv:1810.04805; Li et al. 2023, arXiv:2301.12597 (Q-Former); transformers 5.23,
models/blip_2/modeling_blip_2.py (`Blip2QFormerModel`).
"""

from collections.abc import Iterator

from archcalc.arch._schema import divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Layer, Tensor


def bert_layer(
    hidden: int,
    heads: int,
    intermediate: int,
    activation: str,
    *,
    inner: str = "attention",
    source: int = 0,
    ffn: str = "",
    second_ffn: bool = False,
) -> Layer:
    """A layer whose norms follow what they norm.

    `inner` names the projections' module, `source` is the width of what it also attends to (0: nothing), `ffn` an ending of the FFN's
    names, and `second_ffn` adds one for text beside that for queries.
    """
    head_dim = divided(hidden, heads, "hidden_size", "num_attention_heads")
    names = (f"{inner}.query", f"{inner}.key", f"{inner}.value", "output.dense")
    feed = FeedForward(hidden, intermediate, activation, names=(f"intermediate{ffn}.dense", f"output{ffn}.dense"))
    attention = GroupedQueryAttention(hidden, heads, heads, head_dim, True, True, names=names, rope=False)

    def extra() -> Iterator[Tensor]:
        if source:
            cross = CrossAttention(hidden, heads, head_dim, source, names=names)
            yield from prefixed("crossattention", (*cross.tensors(), *layer_norm("output.LayerNorm", hidden)))
        if second_ffn:
            yield from FeedForward(hidden, intermediate, activation, names=("intermediate.dense", "output.dense")).tensors()
            yield from layer_norm("output.LayerNorm", hidden)

    norms = (*layer_norm("attention.output.LayerNorm", hidden), *layer_norm(f"output{ffn}.LayerNorm", hidden))
    return make_layer(attention, feed, norms, mixer_name="attention", ffn_name="", extra=extra())
