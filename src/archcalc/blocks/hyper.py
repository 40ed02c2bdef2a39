"""Hyper-connections: several residual streams, of which each block reads one mixture and to which it writes another.

Sources: Zhu et al. 2024, arXiv:2409.19606; Xie et al. 2025, arXiv:2512.24880 (manifold-constrained: the mixing of streams is doubly
stochastic); transformers 5.23, models/deepseek_v4/modeling_deepseek_v4.py `DeepseekV4HyperConnection`.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Layer, Tensor


def hyper_connection(name: str, hidden: int, streams: int, *, mixing: bool = True) -> Iterator[Tensor]:
    """Around one block: from all streams at once, how much of each to read and write and, with `mixing`, how they mix."""
    out = (2 + (streams if mixing else 0)) * streams
    yield Tensor(f"{name}.fn", (out, streams * hidden), "other")
    yield Tensor(f"{name}.base", (out,), "other", acts="mixes")
    yield Tensor(f"{name}.scale", (3 if mixing else 2,), "other", acts="mixes")  # one each for reading, writing and mixing


def hyper_head(prefix: str, hidden: int, streams: int) -> Iterator[Tensor]:
    """Behind the last layer: how much of each stream the head reads."""
    yield Tensor(f"{prefix}fn", (streams, streams * hidden), "other")
    yield Tensor(f"{prefix}base", (streams,), "other", acts="mixes")
    yield Tensor(f"{prefix}scale", (1,), "other", acts="mixes")


def gated_residual(name: str, hidden: int, streams: int, rank: int, *, writes: bool = True) -> Iterator[Tensor]:
    """Around one block: a mixture of all streams by gates of low rank, and how much each stream takes of what the block `writes`.

    Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py `Qwen4ExpTextGatedResidual`.
    """
    width = streams * hidden
    yield rms_norm(f"{name}.hc_norm", width)
    yield from linear(f"{name}.input_mix_weight_down", rank, width, "other")
    yield from linear(f"{name}.input_mix_weight_up", width, rank, "other")
    if writes:
        yield from linear(f"{name}.block_inject_weight", streams, width, "other")


def widened(layer: Layer, hidden: int, streams: int) -> Layer:
    """The layer with the streams beyond the first alive beside its blocks."""
    more = (streams - 1) * hidden
    return layer._replace(mixer_width=layer.mixer_width + more, ffn_width=layer.ffn_width + more)
