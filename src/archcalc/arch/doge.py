"""Doge: attention whose mask is learned from the values, scaled residuals, and an FFN that may have many experts of one neuron.

Source: transformers 5.23, models/doge/modeling_doge.py and configuration_doge.py (defaults).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer, linear
from archcalc.blocks.experts import NeuronExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Moe, Shard, Tensor


class Schema(PlainSchema):
    whole_heads = False

    vocab_size: Size = 32768
    hidden_size: Size = 1024
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 8
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False
    sliding_window: Tokens | None = None
    keep_window_size: Tokens = 2048
    is_moe: Flag = False
    num_experts: Size = 16384
    num_experts_per_tok: Size = 64

    def computes(self) -> Computes:
        return super().computes()._replace(learned=True)

    def windows(self) -> Sequence[int | None]:
        return [self.sliding_window] * self.num_hidden_layers

    def attention(self, window: int | None, variant: int) -> Mixer:
        kept = self.keep_window_size if window is None else min(window, self.keep_window_size)
        bias = self.attention_bias
        return self.gqa(bias=bias, output_bias=bias, window=window, qk_norm="head", topk=kept)

    def extra(self, variant: int) -> Iterable[Tensor]:
        kv_heads, by_head = self.kv_heads, Shard(0, self.kv_heads)
        yield Tensor("self_attn.A", (kv_heads,), "attention", by_head, acts="multiplies")
        yield from linear(
            "self_attn.dt_proj", kv_heads, kv_heads * self.head_size, "attention", bias=self.attention_bias, shard=by_head
        )
        for name in ("input_residual", "post_attention_residual"):
            yield Tensor(name, (self.hidden_size,), "other", acts="multiplies")

    def dense(self) -> Block:
        plain = GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, bias=self.mlp_bias)
        return NeuronExperts(plain, self.num_experts, self.num_experts_per_tok) if self.is_moe else plain

    def moe(self) -> Moe | None:
        return Moe(self.num_experts, self.num_experts_per_tok, 1, self.num_hidden_layers, 1) if self.is_moe else None

    def more(self) -> dict[str, Any]:
        kept = ("dynamic mask", f"a query sees the {self.keep_window_size} tokens that the values rate highest")
        return {"more": (kept,)}
