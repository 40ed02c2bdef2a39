"""Vision transformers: patches into tokens, encoder layers without a cache, pooling heads and projectors.

Sources: Dosovitskiy et al. 2021, arXiv:2010.11929 (ViT); Radford et al. 2021, arXiv:2103.00020 (CLIP); Zhai et al. 2023,
arXiv:2303.15343 (SigLIP); Lee et al. 2019, arXiv:1810.00825 (pooling by attention).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from archcalc.blocks._tensor import Block, Mixer, linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import Layer, Shard, Tensor


def patch_conv(name: str, hidden: int, channels: int, *patch: int, bias: bool = True) -> Iterator[Tensor]:
    """A convolution whose stride is its kernel: one token from each patch (two sizes for images, three for video)."""
    yield Tensor(f"{name}.weight", (hidden, channels, *patch), "embedding")
    if bias:
        yield Tensor(f"{name}.bias", (hidden,), "embedding")


def table(name: str, rows: int, hidden: int) -> Tensor:
    """A learned vector for each position."""
    return Tensor(f"{name}.weight", (rows, hidden), "embedding")


def grid(image: int, patch: int) -> int:
    """How many patches a square image has; a last row that does not fill a patch is lost."""
    return (image // patch) ** 2


def encoder_layer(
    attention: Mixer,
    ffn: Block | None,
    norms: Iterable[Tensor],
    *,
    attention_name: str = "self_attn",
    ffn_name: str = "mlp",
    extra: Iterable[Tensor] = (),
) -> Layer:
    """A layer of an encoder: it sees its whole input at once and caches nothing."""
    layer = make_layer(attention, ffn, norms, mixer_name=attention_name, ffn_name=ffn_name, extra=extra)
    return layer._replace(caches=())


def head_width(hidden: int, heads: int) -> int:
    """A head's share of a tower's width. Raises `ConfigError` where the heads do not divide it: the reference builds matrices of the full
    width all the same, and its forward pass cannot split what they give (transformers 5.24, modeling_clip.py, modeling_got_ocr2.py)."""
    if hidden % heads:
        raise ConfigError(f"the width of a tower ({hidden}) is not a multiple of its {heads} heads", "correct one of the two")
    return hidden // heads


def vit_attention(
    hidden: int,
    heads: int,
    *,
    bias: bool = True,
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "out_proj"),
) -> GroupedQueryAttention:
    """Multi-head attention as wide as the tower."""
    return GroupedQueryAttention(hidden, heads, heads, head_width(hidden, heads), bias=bias, output_bias=bias, names=names)


def clip_layer(hidden: int, heads: int, intermediate: int, activation: str) -> Layer:
    """The layer of CLIP and SigLIP: LayerNorm before attention and before a plain FFN, biases everywhere."""
    norms = (*layer_norm("layer_norm1", hidden), *layer_norm("layer_norm2", hidden))
    return encoder_layer(vit_attention(hidden, heads), FeedForward(hidden, intermediate, activation), norms)


def multihead(name: str, hidden: int, heads: int) -> Iterator[Tensor]:
    """torch.nn.MultiheadAttention, which keeps the three projections in one parameter."""
    yield Tensor(f"{name}.in_proj_weight", (3 * hidden, hidden), "attention", Shard(0, heads))
    yield Tensor(f"{name}.in_proj_bias", (3 * hidden,), "attention", Shard(0, heads))
    yield from linear(f"{name}.out_proj", hidden, hidden, "attention", bias=True, shard=Shard(1, heads))


def openclip_layer(hidden: int, heads: int, intermediate: int, activation: str = "gelu") -> Layer:
    """OpenCLIP's residual block: CLIP's layer under other names."""
    ffn = FeedForward(hidden, intermediate, activation, names=("c_fc", "c_proj"))
    norms = (*layer_norm("ln_1", hidden), *layer_norm("ln_2", hidden))
    layer = encoder_layer(vit_attention(hidden, heads), ffn, norms)
    tensors = (*multihead("attn", hidden, heads), *(t for t in layer.tensors if t.role != "attention"))
    return layer._replace(tensors=tensors)


def resampler(queries: int, hidden: int, source: int, heads: int, *, positions: bool = False) -> Iterator[Tensor]:
    """`queries` learned tokens attend to all patches. `positions` are those of the queries, fixed but stored."""
    if positions:
        yield Tensor("pos_embed", (queries, hidden), "embedding")
    yield Tensor("query", (queries, hidden), "embedding")
    if source != hidden:
        yield from linear("kv_proj", hidden, source, "other")
    yield from multihead("attn", hidden, heads)
    for name in ("ln_q", "ln_kv"):
        yield from layer_norm(name, hidden)


def attention_pooling(hidden: int, heads: int, intermediate: int, activation: str) -> Iterator[Tensor]:
    """SigLIP's pooling head: one learned query attends to all patches, then a norm and an FFN."""
    yield Tensor("probe", (1, 1, hidden), "embedding")
    yield from multihead("attention", hidden, heads)
    yield from layer_norm("layernorm", hidden)
    yield from prefixed("mlp", FeedForward(hidden, intermediate, activation).tensors())


def projector(names: tuple[str, ...], widths: tuple[int, ...], *, bias: bool = True) -> Iterator[Tensor]:
    """Linear layers from a tower's width to the text model's: `widths` from input to output. Split by column and row in turn."""
    for i, name in enumerate(names):
        inner, outer = widths[i], widths[i + 1]
        yield from linear(name, outer, inner, "other", bias=bias, shard=Shard(1, inner) if i % 2 else Shard(0, outer))
