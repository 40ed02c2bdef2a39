"""What Gemma 3n adds to a decoder layer: AltUp, LAuReL and per-layer embeddings.

Sources: Baykal et al. 2023, arXiv:2301.13310 (AltUp: several streams, of which each layer computes one and predicts the others);
Menghani et al. 2024, arXiv:2411.07501 (LAuReL: a low-rank path beside the residual); transformers 5.23,
models/gemma3n/modeling_gemma3n.py. Splits as in vLLM, model_executor/models/gemma3n.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Shard, Tensor


def altup(hidden: int, streams: int) -> Iterator[Tensor]:
    """A small router reads the active stream; its output gives the coefficients of prediction and correction."""
    yield Tensor("altup.correct_output_scale", (hidden,), "other", acts="multiplies")
    yield from linear("altup.correction_coefs", streams, streams, "other")
    yield from linear("altup.prediction_coefs", streams * streams, streams, "other")
    yield from linear("altup.modality_router", streams, hidden, "other")
    yield rms_norm("altup.router_norm", hidden)


def laurel(hidden: int, rank: int) -> Iterator[Tensor]:
    """A low-rank projection of the layer's input, added to its residual."""
    yield from linear("laurel.linear_left", rank, hidden, "other", shard=Shard(0, rank))
    yield from linear("laurel.linear_right", hidden, rank, "other", shard=Shard(1, rank))
    yield rms_norm("laurel.post_laurel_norm", hidden)


def per_layer_gate(hidden: int, width: int) -> Iterator[Tensor]:
    """The token's own embedding for this layer, gated by the hidden state and projected back."""
    yield from linear("per_layer_input_gate", width, hidden, "other")
    yield from linear("per_layer_projection", hidden, width, "other")
    yield rms_norm("post_per_layer_input_norm", hidden)


def layer_extras(hidden: int, streams: int, rank: int, width: int) -> list[Tensor]:
    """All that stands beside the attention and the FFN of one layer."""
    return [*altup(hidden, streams), *laurel(hidden, rank), *per_layer_gate(hidden, width)]


def per_layer_table(vocab: int, layers: int, width: int) -> Tensor:
    """One embedding table for all layers, side by side."""
    return Tensor("embed_tokens_per_layer.weight", (vocab, layers * width), "embedding", Shard(0, vocab), rows_read=1)


def per_layer_inputs(hidden: int, layers: int, width: int) -> Iterator[Tensor]:
    """The ordinary embedding, projected to every layer's width and added to that layer's own."""
    yield from linear("per_layer_model_projection", layers * width, hidden, "other", shard=Shard(0, layers * width))
    yield rms_norm("per_layer_projection_norm", width)


def stream_projections(hidden: int, streams: int) -> Iterator[Tensor]:
    """Every stream but the first is made from the embedding before the layers, and brought back after them."""
    for name in ("altup_projections", "altup_unembed_projections"):
        for i in range(streams - 1):
            yield from linear(f"{name}.{i}", hidden, hidden, "other", shard=Shard(0, hidden))
