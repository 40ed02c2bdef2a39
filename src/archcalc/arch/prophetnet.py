"""ProphetNet: an encoder, and a decoder that predicts several tokens at once with a stream for each.

Source: transformers 5.23, models/prophetnet/modeling_prophetnet.py and configuration_prophetnet.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._decoder import join
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, divided
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Group, Kind, Layer, Part, Stack, Tensor, stack

NAMES = ("query_proj", "key_proj", "value_proj", "out_proj")


class Schema(BartSchema):
    core_keys = ("hidden_size", "num_decoder_layers", "num_decoder_attention_heads", "vocab_size")
    inert_keys = (*BartSchema.inert_keys, "relative_max_distance")

    vocab_size: Size = 30522
    encoder_layers: Layers = named(12, "num_encoder_layers")
    encoder_attention_heads: Size = named(16, "num_encoder_attention_heads")
    decoder_layers: Layers = named(12, "num_decoder_layers")
    decoder_attention_heads: Size = named(16, "num_decoder_attention_heads")
    max_position_embeddings: Size = 512
    ngram: Size = 2
    num_buckets: Size = 32
    add_cross_attention: Flag = True

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        h = self.d_model
        dim = divided(h, heads, "hidden_size", "attention_heads")
        attention = GroupedQueryAttention(h, heads, heads, dim, True, True, rope=False, names=NAMES)
        ffn = FeedForward(h, width, self.activation_function, names=("feed_forward.intermediate", "feed_forward.output"))
        extra = [*layer_norm("self_attn_layer_norm", h), *layer_norm("feed_forward_layer_norm", h)]
        if decodes:
            extra += linear("self_attn.relative_pos_embeddings", self.num_buckets * heads, h, "attention", bias=True)
            if self.add_cross_attention:
                extra += prefixed("cross_attn", CrossAttention(h, heads, dim, names=NAMES).tensors())
                extra += layer_norm("cross_attn_layer_norm", h)
        layer = make_layer(attention, ffn, ffn_name="", extra=extra)
        return layer if decodes else layer._replace(caches=())

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        h = self.d_model
        yield table("position_embeddings", self.max_position_embeddings, h)
        if decodes:
            yield table("ngram_embeddings", self.ngram, h)
        yield from layer_norm("embeddings_layer_norm", h)

    def architecture(self, prefix: str) -> Architecture:
        a, root = super().architecture(prefix), join(prefix, "prophetnet")
        tied: Kind = "tied" if self.tie_word_embeddings else "param"
        v, half = self.vocab_size, [] if self.alone else ["encoder"]
        own = (self.words(f"{root}.{name}.word_embeddings", v, tied) for name in (*half, "decoder"))
        words = Group("embedding", (self.words(f"{root}.word_embeddings", v), *own))
        groups: list[Group] = [words]
        stacks: list[Stack] = []
        for name in (*half, "decoder"):
            decodes, layers = name == "decoder", self.decoder_layers if name == "decoder" else self.encoder_layers
            heads = self.decoder_attention_heads if decodes else self.encoder_attention_heads
            layer = self.layer(heads, self.decoder_ffn_dim if decodes else self.encoder_ffn_dim, decodes=decodes)
            part: Part = "decoder" if decodes else "other"
            groups.append(Group(part, tuple(prefixed(f"{root}.{name}", self.outside(decodes=decodes)))))
            stacks.append(stack(f"{root}.{name}.layers", part, [layer] * layers))
        return a._replace(groups=(*groups, a.groups[-1]), stacks=tuple(stacks))
