"""Funnel Transformer: blocks of layers over ever fewer positions, and a short decoder back at full length.

Source: transformers 5.24, models/funnel/modeling_funnel.py (`FunnelForMaskedLM`) and configuration_funnel.py (defaults); Dai et al.
2020, arXiv:2006.03236.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._computes import computed
from archcalc.arch._decoder import group
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Count, Flag, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Facts, Kind, Layer, Position, Shard, Tensor, stack


class Schema(ConfigSchema):
    prefix = "funnel"
    core_keys = ("d_model", "n_head", "vocab_size")
    inert_keys = (
        "attention_type", "pool_q_only", "pooling_type", "separate_cls", "truncate_seq", "block_repeats", "type_vocab_size",
        "num_hidden_layers", "num_blocks",
    )  # fmt: skip

    vocab_size: Size = 30522
    block_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (4, 4, 4)
    num_decoder_layers: Count = 2
    d_model: Size = named(768, "hidden_size", "d_model")
    n_head: Size = named(12, "num_attention_heads", "n_head")
    d_head: Size = 64
    d_inner: Size = 3072
    hidden_act: str = "gelu_new"
    tie_word_embeddings: Flag = True

    def relative(self) -> Iterator[Tensor]:
        """What attention weighs distances and segments by."""
        heads, dim, rows = self.n_head, self.d_head, Shard(0, self.n_head)
        for name in ("r_w_bias", "r_r_bias", "r_s_bias"):
            yield Tensor(name, (heads, dim), "attention", rows)
        yield Tensor("r_kernel", (self.d_model, heads, dim), "attention", Shard(1, heads))
        yield Tensor("seg_embed", (2, heads, dim), "attention", Shard(1, heads))

    def layer(self) -> Layer:
        h, names = self.d_model, ("q_head", "k_head", "v_head", "post_proj")
        attention = GroupedQueryAttention(
            h, self.n_head, self.n_head, self.d_head, True, True, rope=False, names=names, query_bias=False
        )  # fmt: skip
        ffn = FeedForward(h, self.d_inner, self.hidden_act, names=("linear_1", "linear_2"))
        norms = (*layer_norm("attention.layer_norm", h), *layer_norm("ffn.layer_norm", h))
        extra = prefixed("attention", self.relative())
        return encoder_layer(attention, ffn, norms, attention_name="attention", ffn_name="ffn", extra=[*extra])

    def architecture(self, prefix: str) -> Architecture:
        h, v, layer = self.d_model, self.vocab_size, self.layer()
        stacks = [stack(f"{prefix}.encoder.blocks.{i}", "decoder", [layer] * n) for i, n in enumerate(self.block_sizes)]
        if self.num_decoder_layers:
            stacks.append(stack(f"{prefix}.decoder.layers", "decoder", [layer] * self.num_decoder_layers))
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        words = table("word_embeddings", v, h)._replace(shard=Shard(0, v))
        matrix, bias = linear("lm_head", v, h, "head", bias=True, shard=Shard(0, v))
        groups = (
            group("embedding", prefixed(f"{prefix}.embeddings", (words, *layer_norm("layer_norm", h)))),
            group("head", (matrix._replace(kind=kind), bias)),
        )
        blocks = f"{len(self.block_sizes)}, each over half the positions of the one before"
        facts = Facts(
            h, v, None, "MHA, bidirectional", self.n_head, self.n_head, self.d_head, "LayerNorm (post)",
            activation_name(self.hidden_act, gated=False), Position("relative", "relative"), self.d_inner,
            tied_embeddings=self.tie_word_embeddings, more=(("blocks", blocks),),
        )  # fmt: skip
        notes = ("FLOPs and activations are those of layers at full length",) if len(self.block_sizes) > 1 else ()
        return computed(Architecture("funnel", groups, tuple(stacks), facts, notes=notes), self.computes())
