"""Refact: one head of keys and values, ALiBi, RMSNorm, a SwiGLU FFN whose width follows from the model's.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/refact.py and src/models/refact.cpp; smallcloudai/Refact-1_6B-fim,
modeling_gpt_refact.py (names).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.arch import gpt2
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Flag, divided
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import ALIBI, Architecture, Facts, Shard, Tensor

_MULTIPLE = 256


class Joined(GroupedQueryAttention):
    """Keys and values from one projection."""

    def _tensors(self) -> Iterator[Tensor]:
        yield from linear("q", self.hidden, self.hidden, "attention", shard=Shard(0, self.heads))
        yield from linear("kv", 2 * self.head_dim, self.hidden, "attention")
        yield from linear("c_proj", self.hidden, self.hidden, "attention", shard=Shard(1, self.heads))


class Schema(gpt2.Schema):
    inert_keys = (*gpt2.Schema.inert_keys, "max_position", "multi_query", "attention_bias_in_fp32")

    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        self.without_encoder()
        h = self.n_embd
        head_dim = divided(h, self.n_head, "n_embd", "n_head")
        width = -(-int(2 * 4 * h / 3) // _MULTIPLE) * _MULTIPLE
        ffn = GatedFeedForward(h, width, "silu", fused="gate_up_proj", names=("", "", "c_proj"))
        attention = Joined(h, self.n_head, 1, head_dim, rope=False)
        layer = make_layer(attention, ffn, (rms_norm("ln_1", h), rms_norm("ln_2", h)), mixer_name="attn")
        facts = Facts(
            h, self.vocab_size, self.n_positions, "MQA", self.n_head, 1, head_dim, "RMSNorm (pre)", "SwiGLU", ALIBI, width,
            tied_embeddings=self.tie_word_embeddings,
        )  # fmt: skip
        return decoder(
            [layer] * self.n_layer, facts, computes=self.computes(), prefix=prefix, embed="wte", layers_name="h",
            final_norm=[rms_norm("ln_f", h)],
        )  # fmt: skip
