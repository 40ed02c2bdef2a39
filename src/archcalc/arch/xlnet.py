"""XLNet: attention with a projection of relative positions, parameters of three axes, norms behind attention and FFN.

Source: transformers 5.23, models/xlnet/modeling_xlnet.py and configuration_xlnet.py (defaults, attribute_map).
"""

from typing import Any

from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import join
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Facts, Group, Position, Shard, Tensor, both_ways, stack


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("d_model", "n_layer", "n_head", "vocab_size")
    inert_keys = (
        "attn_type", "mem_len", "reuse_len", "use_mems_eval", "use_mems_train", "bi_data", "clamp_len", "same_length",
        "start_n_top", "end_n_top", "untie_r", "use_mems",
    )  # fmt: skip

    vocab_size: Size = named(32000, "vocab_size", "n_token")
    d_model: Size = named(1024, "d_model", "hidden_size")
    n_layer: Layers = named(24, "n_layer", "num_hidden_layers")
    n_head: Size = named(16, "n_head", "num_attention_heads")
    d_inner: Size = 4096
    d_head: Size | None = None
    ff_activation: str = "gelu"
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def architecture(self, prefix: str) -> Architecture:
        h, heads, v, root = self.d_model, self.n_head, self.vocab_size, join(prefix, "transformer")
        dim = divided(h, heads, "d_model", "n_head")
        if self.d_head not in (None, dim):
            raise ConfigError(f"d_head ({self.d_head}) is not d_model / n_head ({dim})", "correct one of the three", "d_head")
        by_head = Shard(1, heads)
        own = [Tensor(name, (h, heads, dim), "attention", by_head) for name in ("q", "k", "v", "o", "r")]
        own += [Tensor(name, (heads, dim), "attention") for name in ("r_r_bias", "r_s_bias", "r_w_bias")]
        own.append(Tensor("seg_embed", (2, heads, dim), "attention"))
        attention = GroupedQueryAttention(h, heads, heads, dim, rope=False)
        layer = make_layer(
            attention, FeedForward(h, self.d_inner, self.ff_activation, names=("ff.layer_1", "ff.layer_2")), ffn_name=""
        )
        kept = (t for t in layer.tensors if t.role == "mlp")
        norms = (*layer_norm("rel_attn.layer_norm", h), *layer_norm("ff.layer_norm", h))
        layer = both_ways(layer._replace(tensors=(*prefixed("rel_attn", own), *norms, *kept)))
        kind: Any = "tied" if self.tie_word_embeddings else "param"
        words = Tensor("word_embedding.weight", (v, h), "embedding", Shard(0, v))
        head = (
            Tensor("lm_loss.weight", (v, h), "head", Shard(0, v), kind=kind),
            Tensor("lm_loss.bias", (v,), "head", Shard(0, v)),
        )
        groups = (
            Group("embedding", tuple(prefixed(root, (words, Tensor("mask_emb", (1, 1, h), "embedding"))))),
            Group("head", head),
        )
        facts = Facts(
            h, v, None, "MHA, bidirectional", heads, heads, dim, "LayerNorm (post)", activation_name(self.ff_activation, gated=False),
            Position("relative", "relative"), self.d_inner, tied_embeddings=self.tie_word_embeddings,
        )  # fmt: skip
        return computed(
            Architecture("xlnet", groups, (stack(f"{root}.layer", "decoder", [layer] * self.n_layer),), facts), self.computes()
        )
