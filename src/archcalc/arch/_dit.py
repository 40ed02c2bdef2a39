"""Diffusion transformers as diffusers holds them: blocks over the tokens of a picture and of its text together, and what feeds them.

They denoise a whole picture or film at each step, and keep nothing of a past: parameters and weights, no cache.

Source: diffusers 0.42, models/embeddings.py (`TimestepEmbedding`, `PixArtAlphaTextProjection`), models/attention.py (`FeedForward`,
`JointTransformerBlock`) and models/normalization.py (`AdaLayerNormZero`); Peebles and Xie 2022, arXiv:2212.09748 (DiT); Esser et al. 2024,
arXiv:2403.03206 (both streams joined).
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar

from archcalc.arch._assumed import saying
from archcalc.arch._schema import Size, TowerSchema, stored_dtype
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Attend, Encoder, Layer, Shard, Tensor

# How wide the sinusoids of a time step are.
SINUSOID = 256
IMAGE, TEXT = ("to_q", "to_k", "to_v", "to_out.0"), ("add_q_proj", "add_k_proj", "add_v_proj", "to_add_out")


class DitSchema(TowerSchema):
    """The keys that they share."""

    prefix = ""
    core_keys = ("num_layers", "num_attention_heads", "attention_head_dim")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "_class_name", "_diffusers_version", "axes_dims_rope", "sample_size", "rope_max_seq_len",
    )  # fmt: skip

    # What the published weights of the type are stored in: diffusers writes no dtype into a config. black-forest-labs/FLUX.1-dev,
    # transformer/: total_size 23,802,816,640 for 11,901,408,320 parameters; Qwen/Qwen-Image: 40,860,802,176 for 20,430,401,088.
    published: ClassVar[str] = "BF16"

    num_attention_heads: Size
    attention_head_dim: Size

    @property
    def hidden_size(self) -> int:
        return self.num_attention_heads * self.attention_head_dim

    def encoders(self) -> tuple[Encoder, ...]:
        """It makes pictures, and reads none."""
        return ()

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        heads, dim = self.num_attention_heads, self.attention_head_dim
        facts = a.facts._replace(
            heads=heads, kv_heads=heads, head_dim=dim, attention="bidirectional", norm="LayerNorm, scaled by the time"
        )
        notes = ["a diffusion transformer: it denoises the whole picture at each step, and keeps no cache"]
        dtype = stored_dtype(self.model_extra)
        if dtype is None:
            dtype = self.published
            notes.append(saying(dtype, ", in which models of its type are published"))
        return a._replace(facts=facts._replace(activation="GELU"), notes=tuple(notes), dtype=dtype)


def embedder(name: str, hidden: int, inner: int = SINUSOID) -> Iterator[Tensor]:
    """Two layers that make a vector of a time, or of a text."""
    yield from linear(f"{name}.linear_1", hidden, inner, "embedding", bias=True)
    yield from linear(f"{name}.linear_2", hidden, hidden, "embedding", bias=True)


def projections(name: str, hidden: int, heads: int, names: Iterable[str] = IMAGE, inner: int = 0) -> Iterator[Tensor]:
    """Queries, keys, values and output with their biases; the output reads the width, the others `inner` where it is given."""
    for one in names:
        out = one in ("to_out.0", "to_add_out")
        shard = Shard(1 if out else 0, heads)
        yield from linear(f"{name}.{one}", hidden, hidden if out or not inner else inner, "attention", bias=True, shard=shard)


def feed(name: str, hidden: int, width: int) -> Iterator[Tensor]:
    yield from linear(f"{name}.net.0.proj", width, hidden, "mlp", bias=True, shard=Shard(0, width))
    yield from linear(f"{name}.net.2", hidden, width, "mlp", bias=True, shard=Shard(1, width))


def modulation(name: str, hidden: int, times: int) -> Iterator[Tensor]:
    """Shifts, scales and gates of a block, made of the time."""
    yield from linear(name, times * hidden, hidden, "other", bias=True)


def head_norms(name: str, dim: int, *kinds: str) -> Iterator[Tensor]:
    return (rms_norm(f"{name}.{kind}", dim) for kind in kinds)


def joined(hidden: int, heads: int, dim: int, width: int, tensors: Iterable[Tensor]) -> Layer:
    """A layer whose queries see the picture and the text."""
    return Layer(
        f"MHA over both streams ({heads}/{heads} x {dim})", f"GELU {width}", tuple(tensors), (), (Attend(heads, dim, dim),),
        mixer_width=4 * hidden, ffn_width=2 * width,
    )  # fmt: skip


def double(hidden: int, heads: int, dim: int, width: int) -> Layer:
    """Flux's and HunyuanVideo's block of two streams, each with weights of its own."""

    def tensors() -> Iterator[Tensor]:
        yield from modulation("norm1.linear", hidden, 6)
        yield from modulation("norm1_context.linear", hidden, 6)
        yield from head_norms("attn", dim, "norm_q", "norm_k", "norm_added_q", "norm_added_k")
        yield from projections("attn", hidden, heads)
        yield from projections("attn", hidden, heads, TEXT)
        yield from feed("ff", hidden, width)
        yield from feed("ff_context", hidden, width)

    return joined(hidden, heads, dim, width, tensors())


def single(hidden: int, heads: int, dim: int, width: int) -> Layer:
    """A block of one stream: attention and FFN beside each other, and one matrix out of both."""

    def tensors() -> Iterator[Tensor]:
        yield from modulation("norm.linear", hidden, 3)
        yield from linear("proj_mlp", width, hidden, "mlp", bias=True, shard=Shard(0, width))
        yield from linear("proj_out", hidden, hidden + width, "mlp", bias=True)
        yield from head_norms("attn", dim, "norm_q", "norm_k")
        yield from projections("attn", hidden, heads, IMAGE[:3])

    return joined(hidden, heads, dim, width, tensors())


def behind(hidden: int, out: int) -> Iterator[Tensor]:
    yield from modulation("norm_out.linear", hidden, 2)
    yield from linear("proj_out", out, hidden, "other", bias=True)
