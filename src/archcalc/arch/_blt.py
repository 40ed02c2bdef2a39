"""The four transformers of a byte latent transformer, which share one kind of layer.

Source: transformers 5.23, models/blt/modeling_blt.py (`BltTransformerLayer`, `BltCrossAttention`) and configuration_blt.py.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._decoder import group, join
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema, divided
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Group, Layer, Part, Shard, Stack, Tensor, stack


class Transformer(TowerSchema):
    """Llama's layers. `head_dim` is always the width split among the heads."""

    inert_keys = ("head_dim", "encoder_cross_output_size", "tie_word_embeddings")

    hidden_size: Size
    intermediate_size: Derived = 0
    num_hidden_layers: Layers
    num_attention_heads: Size
    num_key_value_heads: Derived = 0
    hidden_act: str = "silu"
    sliding_window: Size | None = None
    vocab_size: Size = 260
    cross_attn_all_layers: Flag = False
    cross_attn_k: Size = 2
    hidden_size_global: Count = 2048

    @property
    def kv_heads(self) -> int:
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or int(8 * self.hidden_size / 3)

    def layer(self, window: int | None) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        dim = divided(h, heads, "hidden_size", "num_attention_heads")
        divided(heads, self.kv_heads, "num_attention_heads", "num_key_value_heads")
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        attention = GroupedQueryAttention(h, heads, self.kv_heads, dim, window=window)
        return make_layer(attention, GatedFeedForward(h, self.ffn_size, self.hidden_act), norms)

    def layers(self, prefix: str, window: int | None = None, part: Part = "decoder") -> Stack:
        return stack(join(prefix, "layers"), part, [self.layer(window)] * self.num_hidden_layers)

    def cross(self, prefix: str) -> Stack:
        """Between bytes and patches: in all layers, or one. It sees patches, of which nothing is kept."""
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, self.kv_heads, h // heads)
        tensors = (*attention.tensors(), rms_norm("q_norm", h), rms_norm("k_norm", h))
        layer = Layer(f"cross-attention ({heads} x {h // heads})", "none", tensors)
        number = self.num_hidden_layers if self.cross_attn_all_layers else 1
        return stack(join(prefix, "cross_attn_layers"), "other", [layer] * number)

    def outside(self, prefix: str, part: Part, tensors: Iterable[Tensor]) -> Group:
        return group(part, prefixed(prefix, tensors))

    def table(self, rows: int = 0, width: int = 0) -> Iterator[Tensor]:
        """The embedding of bytes, of the head's size where the two are one."""
        rows, width = rows or self.vocab_size, width or self.hidden_size
        yield Tensor("embed_tokens.weight", (rows, width), "embedding", Shard(0, rows))

    def patches(self, source: int) -> Iterator[Tensor]:
        yield from linear("patch_embedding_projection", self.hidden_size * self.cross_attn_k, source, "other")


class Encoder(Transformer):
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 1
    num_attention_heads: Size = 16


class Decoder(Encoder):
    num_hidden_layers: Layers = 9
    intermediate_size: Derived = 2816
    cross_attn_all_layers: Flag = True


class Global(Transformer):
    hidden_size: Size = 2048
    num_hidden_layers: Layers = 25
    num_attention_heads: Size = 16
    intermediate_size: Derived = 5632


class Patcher(Transformer):
    hidden_size: Size = 768
    num_hidden_layers: Layers = 14
    num_attention_heads: Size = 12
    intermediate_size: Derived = 2048
    sliding_window: Size | None = 512
