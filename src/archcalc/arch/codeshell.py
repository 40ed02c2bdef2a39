"""CodeShell: GPT-2's layer with rotary positions and groups of queries that share keys and values.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/codeshell.py and src/models/codeshell.cpp; WisdomShell/CodeShell-7B,
modeling_codeshell.py (names).
"""

from __future__ import annotations

from archcalc.arch import gpt2
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import Flag, Size, divided, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import FeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Facts


class Schema(gpt2.Schema):
    inert_keys = (*gpt2.Schema.inert_keys, "position_embedding_type", "multi_query")

    group_query_attention: Flag = True
    num_query_groups: Size = 1
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        if (self.model_extra or {}).get("position_embedding_type", "rope") != "rope":
            raise UnsupportedError('position_embedding_type is not "rope", which the published CodeShell has')
        self.without_encoder()
        h, inner = self.n_embd, self.n_inner or 4 * self.n_embd
        head_dim = divided(h, self.n_head, "n_embd", "n_head")
        kv = self.num_query_groups if self.group_query_attention else self.n_head
        divided(self.n_head, kv, "n_head", "num_query_groups")
        attention = GroupedQueryAttention(h, self.n_head, kv, head_dim, True, True, fused="c_attn", names=("", "", "", "c_proj"))
        ffn = FeedForward(h, inner, self.activation_function, names=("c_fc", "c_proj"))
        layer = make_layer(attention, ffn, (*layer_norm("ln_1", h), *layer_norm("ln_2", h)), mixer_name="attn")
        facts = Facts(
            h, self.vocab_size, self.n_positions, head_sharing(self.n_head, kv), self.n_head, kv, head_dim, "LayerNorm (pre)",
            activation_name(self.activation_function, gated=False), rope_label(self.model_extra or {}), inner,
            tied_embeddings=self.tie_word_embeddings,
        )  # fmt: skip
        return decoder(
            [layer] * self.n_layer, facts, computes=self.computes(), prefix=prefix, embed="wte", layers_name="h",
            final_norm=layer_norm("ln_f", h),
        )  # fmt: skip
