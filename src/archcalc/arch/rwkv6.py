"""RWKV-6 World (Finch): RWKV-5 whose mixing and decay depend on the token, through small projections.

Source: Peng et al. 2024, arXiv:2404.05892, section 5 (Finch); llama.cpp (llama-cpp-python 0.3.36), src/models/rwkv6.cpp and
conversion/rwkv.py (sizes that a config leaves out); RWKV/v6-Finch-1B6-HF, modeling_rwkv6.py (names).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.arch import rwkv5
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Size, divided
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.recurrent import ChannelMixing
from archcalc.blocks.rwkv5 import MatrixTimeMixing
from archcalc.model import NO_POSITIONS, Architecture, Facts, Shard, Tensor

# From this width on the small projections are twice as wide.
_WIDE = 4096


class DependentTimeMixing(MatrixTimeMixing):
    """`mix` and `decay` are the ranks of what makes mixing and decay depend on the token."""

    mix: int = 32
    decay: int = 64

    def tensors(self) -> Iterator[Tensor]:
        h, w, by_head = self.hidden, self.inner, Shard(0, self.heads)
        for name in ("x", "w", "k", "v", "r", "g"):
            yield Tensor(f"time_maa_{name}", (1, 1, h), "attention")
        yield Tensor("time_maa_w1", (h, 5 * self.mix), "attention")
        yield Tensor("time_maa_w2", (5, self.mix, h), "attention")
        yield Tensor("time_decay", (1, 1, w), "attention")
        yield Tensor("time_decay_w1", (h, self.decay), "attention")
        yield Tensor("time_decay_w2", (self.decay, w), "attention")
        yield Tensor("time_faaaa", (self.heads, self.head), "attention", by_head)
        for name in ("receptance", "key", "value", "gate"):
            yield from linear(name, w, h, "attention", shard=by_head)
        yield from linear("output", h, w, "attention", shard=Shard(1, self.heads))
        yield from layer_norm("ln_x", w)

    def width(self) -> int:
        """RWKV-5's, and the two small projections."""
        return MatrixTimeMixing.width(self) + 5 * self.mix + 5 * self.hidden + self.decay + self.inner

    def label(self) -> str:
        return f"RWKV-6 time mixing ({self.heads} heads x {self.head})"


class Mixed(ChannelMixing):
    """The same FFN under its later names."""

    __slots__ = ()

    def tensors(self) -> Iterator[Tensor]:
        for tensor in ChannelMixing.tensors(self):
            yield tensor._replace(
                name=tensor.name.replace("time_mix_key", "time_maa_k").replace("time_mix_receptance", "time_maa_r")
            )


class Schema(rwkv5.Schema):
    rescale_every: int | None = None
    time_mix_extra_dim: Size | None = None
    time_decay_extra_dim: Size | None = None

    def architecture(self, prefix: str) -> Architecture:
        h, inner = self.hidden_size, self.attention_hidden_size or self.hidden_size
        width = self.intermediate_size or int(h * 3.5) // 32 * 32
        heads = divided(inner, self.head_size, "attention_hidden_size", "head_size")
        large = 2 if h >= _WIDE else 1
        mix, decay = self.time_mix_extra_dim or 32 * large, self.time_decay_extra_dim or 64 * large
        norms = (*layer_norm("ln1", h), *layer_norm("ln2", h))
        mixers = DependentTimeMixing(h, heads, self.head_size, mix, decay), Mixed(h, width)
        layer = make_layer(*mixers, norms, mixer_name="attention", ffn_name="feed_forward")
        first = layer._replace(tensors=(*layer_norm("pre_ln", h), *layer.tensors))
        facts = Facts(
            h, self.vocab_size, self.context_length, "RWKV-6", heads, heads, self.head_size, "LayerNorm (pre)", "ReLU², gated",
            NO_POSITIONS, width, tied_embeddings=self.tie_word_embeddings,
            more=(("state", f"{heads} matrices of {self.head_size} x {self.head_size} in fp32, 2 x {h} inputs"),),
        )  # fmt: skip
        return decoder(
            [first] + [layer] * (self.num_hidden_layers - 1), facts, computes=self.computes(), prefix=prefix,
            embed="embeddings", layers_name="blocks", final_norm=layer_norm("ln_out", h), head="head",
        )  # fmt: skip
