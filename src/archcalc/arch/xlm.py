"""XLM: an encoder whose layers are stored part by part, with a table of languages.

Source: transformers 5.23, models/xlm/modeling_xlm.py and configuration_xlm.py (defaults, attribute_map).
"""

from typing import Any, ClassVar

from archcalc.arch._computes import computed
from archcalc.arch._decoder import join
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, divided
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError
from archcalc.model import LEARNED, Architecture, Facts, Group, Layer, Shard, Tensor, both_ways, stack


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("emb_dim", "n_layers", "n_heads", "vocab_size")
    inert_keys: ClassVar[tuple[str, ...]] = (
        "sinusoidal_embeddings", "causal", "unk_index", "mask_index", "start_n_top", "end_n_top", "lang_id", "bos_index",
        "eos_index", "pad_index", "id2lang", "lang2id", "max_vocab", "min_count", "same_enc_dec", "share_inout_emb",
        "encoder_only",
    )  # fmt: skip

    vocab_size: Size = named(30145, "vocab_size", "n_words")
    emb_dim: Size = named(2048, "emb_dim", "hidden_size")
    n_layers: Layers = named(12, "n_layers", "num_hidden_layers")
    n_heads: Size = named(16, "n_heads", "num_attention_heads")
    gelu_activation: Flag = True
    asm: Flag = False
    n_langs: Size = 1
    use_lang_emb: Flag = True
    is_encoder: Flag = True
    max_position_embeddings: Size = 512
    tie_word_embeddings: Flag = True

    def norm_label(self) -> str:
        return "LayerNorm (post)"

    def architecture(self, prefix: str) -> Architecture:
        if self.asm or not self.is_encoder:
            raise UnsupportedError("asm is true or is_encoder is not: only XLM as an encoder with a plain head is modelled")
        h, heads, v, root = self.emb_dim, self.n_heads, self.vocab_size, join(prefix, "transformer")
        dim = divided(h, heads, "emb_dim", "n_heads")
        names = ("q_lin", "k_lin", "v_lin", "out_lin")
        attention = GroupedQueryAttention(h, heads, heads, dim, bias=True, output_bias=True, rope=False, names=names)
        activation = "gelu" if self.gelu_activation else "relu"
        ffn = FeedForward(h, 4 * h, activation, names=("lin1", "lin2"))
        mixer = both_ways(make_layer(attention, None, mixer_name=""))
        parts = {
            "attentions": mixer,
            "layer_norm1": Layer("none", "none", tuple(t._replace(name=t.name[2:]) for t in layer_norm("n", h))),
            "ffns": make_layer(None, ffn, ffn_name=""),
            "layer_norm2": Layer("none", "none", tuple(t._replace(name=t.name[2:]) for t in layer_norm("n", h))),
        }
        kind: Any = "tied" if self.tie_word_embeddings else "param"
        tables = [table("position_embeddings", self.max_position_embeddings, h)]
        if self.n_langs > 1 and self.use_lang_emb:
            tables.append(table("lang_embeddings", self.n_langs, h))
        words = Tensor("embeddings.weight", (v, h), "embedding", Shard(0, v))
        head = (
            Tensor("pred_layer.proj.weight", (v, h), "head", Shard(0, v), kind=kind),
            Tensor("pred_layer.proj.bias", (v,), "head", Shard(0, v)),
        )
        groups = (
            Group("embedding", tuple(prefixed(root, (*tables, words, *layer_norm("layer_norm_emb", h))))),
            Group("head", head),
        )
        facts = Facts(
            h, v, self.max_position_embeddings, "MHA, bidirectional", heads, heads, dim, self.norm_label(),
            "GELU" if self.gelu_activation else "ReLU", LEARNED, 4 * h, tied_embeddings=self.tie_word_embeddings,
        )  # fmt: skip
        stacks = (
            # A layer is stored in four lists: the first stands for it where layers are counted.
            stack(f"{root}.{name}", "decoder" if name == "attentions" else "other", [part] * self.n_layers)
            for name, part in parts.items()
        )
        return computed(Architecture(self.name, groups, tuple(stacks), facts), self.computes())


class Flaubert(Schema):
    """FlauBERT: XLM's layers, for French; `pre_norm` moves the norms and adds none.
    Source: transformers 5.23, models/flaubert/modeling_flaubert.py (`FlaubertWithLMHeadModel`) and configuration_flaubert.py (defaults).
    """

    inert_keys = (*Schema.inert_keys, "attention_bias")

    pre_norm: Flag = False

    def norm_label(self) -> str:
        return "LayerNorm (pre)" if self.pre_norm else super().norm_label()
