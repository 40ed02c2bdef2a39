"""What Qwen4's experimental text config states: the keys, which layers are which, the indexed attention and the n-grams.

Source: transformers 5.23, models/qwen4_exp/modeling_qwen4_exp.py and configuration_qwen4_exp.py (defaults, `layer_types`).
"""

from archcalc.arch import qwen3_5_text, qwen3_next
from archcalc.arch._alternating import FULL, INDEXED, LINEAR, known_kinds
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Count, Fraction, Layers, Size, divided, per_layer
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import KeyIndex
from archcalc.blocks.ngram import NGrams
from archcalc.errors import ConfigError
from archcalc.model import Attend, Layer

INDEX = ("indexer_n_heads", "indexer_head_dim", "indexer_budget", "indexer_compress_ratio")


class StreamSchema(qwen3_5_text.Qwen35MoeText):
    inert_keys = (*qwen3_next.Schema.inert_keys, "number_of_conv_states", "indexer_kv_heads")

    partial_rotary_factor: Fraction = 1.0
    num_experts_per_tok: Size = 10
    num_experts: Count = 512
    hc_count: Size = 4
    hc_lowrank: Size = 320
    ple_layer_ids: list[Layers] | None = None
    ple_embed_dim: Derived = 0
    ple_conv_kernel_size: Size = 4
    ngram_size: Size = 3
    heads_per_ngram: Size = 8
    ngram_vocab_size_base: Size = 20_000_000
    make_ngram_vocab_size_divisible_by: Size = 128
    split_ngram_parts: Size = 512
    indexer_n_heads: Size | None = None
    indexer_head_dim: Size | None = None
    indexer_budget: Size | None = None
    indexer_compress_ratio: Size | None = None

    def kinds(self) -> list[str]:
        n, kinds = self.num_hidden_layers, [INDEXED if kind == FULL else kind for kind in super().kinds()]
        return known_kinds(per_layer(kinds, n, "layer_types"), "layer_types", LINEAR, INDEXED)

    def indexed(self) -> Layer:
        """The layer with the heads that choose blocks of tokens; beside them a query sees those that fill no block yet."""
        for key in INDEX:
            if getattr(self, key) is None:
                raise ConfigError(f"{key} is missing, and layer_types has indexed layers", "give it", key)
        heads, dim, seen, rate = (getattr(self, key) for key in INDEX)
        divided(seen, rate, "indexer_budget", "indexer_compress_ratio")
        index, layer = (
            KeyIndex(self.hidden_size, heads, dim, "index_qk_proj", ("q_layernorm", "k_layernorm")),
            self.layer(FULL, True),
        )
        attends = (*(a._replace(window=seen + rate - 1) for a in layer.attends), Attend(heads, dim, 0))
        return layer._replace(
            mixer=f"{layer.mixer}, sparse top-{seen} + {index.label()}",
            tensors=(*layer.tensors, *prefixed("self_attn.indexer", index.tensors())),
            caches=(*layer.caches, *index.caches()), attends=attends, mixer_width=layer.mixer_width + index.width(),
        )  # fmt: skip

    def grams(self, index: int) -> NGrams:
        width = self.ple_embed_dim or self.hidden_size
        divided(width, (self.ngram_size - 1) * self.heads_per_ngram, "ple_embed_dim", "the heads of its n-grams")
        return NGrams(
            self.hidden_size, self.hc_count, width, self.ngram_size, self.heads_per_ngram, self.ngram_vocab_size_base,
            self.make_ngram_vocab_size_divisible_by, self.split_ngram_parts, self.ple_conv_kernel_size, index,
        )  # fmt: skip
