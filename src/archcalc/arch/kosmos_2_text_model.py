"""The text model of Kosmos-2: a pre-norm decoder with a norm inside attention and FFN, and computed positions.

Source: transformers 5.23, models/kosmos2/modeling_kosmos2.py (`Kosmos2TextForCausalLM`) and configuration_kosmos2.py (defaults); Wang
et al. 2022, arXiv:2210.06423 (Magneto).
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from archcalc.arch._composite import head_below
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import join
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import SINUSOIDAL, Architecture, Tensor

NAMES = ("q_proj", "k_proj", "v_proj", "out_proj")


class Schema(PlainSchema):
    prefix = ""
    reads_head_dim = False
    inert_keys = ("scale_embedding",)
    layer_norms = True
    norms = ("self_attn_layer_norm", "final_layer_norm")
    norm_label = "LayerNorm (pre, and within attention and FFN)"
    last_norm = "layer_norm"
    gated = False
    ffn_name = "ffn"
    grouped = False
    inner_norm: ClassVar[bool] = True

    vocab_size: Size = 65037
    max_position_embeddings: Tokens = 2048
    hidden_size: Size = named(2048, "embed_dim", "hidden_size")
    num_hidden_layers: Layers = named(24, "layers", "num_hidden_layers")
    intermediate_size: Size = named(8192, "ffn_dim", "intermediate_size")
    num_attention_heads: Size = named(32, "attention_heads", "num_attention_heads")
    hidden_act: str = named("gelu", "activation_function", "hidden_act")
    tie_word_embeddings: Flag = True
    add_cross_attention: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def attention(self, window: int | None, variant: int) -> Mixer:
        h, heads = self.hidden_size, self.num_attention_heads
        return GroupedQueryAttention(h, heads, heads, self.head_size, True, True, names=NAMES)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act)

    def extra(self, variant: int) -> Iterable[Tensor]:
        h = self.hidden_size
        yield from layer_norm("ffn.ffn_layernorm", self.ffn_size)
        if self.inner_norm:
            yield from layer_norm("self_attn.inner_attn_ln", h)
        if self.inner_norm and self.add_cross_attention:
            cross = CrossAttention(h, self.num_attention_heads, self.head_size, names=NAMES)
            yield from prefixed("encoder_attn", cross.tensors())
            yield from layer_norm("encoder_attn_layer_norm", h)

    def more(self) -> dict[str, Any]:
        return {"position": SINUSOIDAL}

    def architecture(self, prefix: str) -> Architecture:
        return head_below(super().architecture(join(prefix, "model")), prefix)


class Kosmos25TextModel(Schema):
    """The text model of Kosmos-2.5: Kosmos-2's without the norm inside attention, and with an embedding of two segments.
    Source: transformers 5.23, models/kosmos2_5/modeling_kosmos2_5.py (`Kosmos2_5TextForCausalLM`) and
    configuration_kosmos2_5.py (defaults)."""

    reads_head_dim = True
    norm_label = "LayerNorm (pre, and within the FFN)"
    inner_norm = False

    vocab_size: Size = 108481
    max_position_embeddings: Tokens = 4096
    hidden_size: Size = named(1536, "embed_dim", "hidden_size")
    intermediate_size: Size = named(6144, "ffn_dim", "intermediate_size")
    num_attention_heads: Size = named(16, "attention_heads", "num_attention_heads")

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="fp32")

    def decoder_options(self) -> dict[str, Any]:
        return {"extra_embedding": [table("segment_emb", 2, self.hidden_size)]}
