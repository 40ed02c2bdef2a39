"""EmbeddingGemma 2's text encoder: Gemma 4's layers, which look both ways; each reads a projection of the embedding again.

Source: transformers 5.23, models/embedding_gemma2/modeling_embedding_gemma2.py (`EmbeddingGemma2TextModel`) and
configuration_embedding_gemma2.py (defaults; `global_head_dim` and `num_global_key_value_heads` are those of full layers).
"""

from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder, join
from archcalc.arch._gemma4 import TextSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks import altup
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Group, Layer, both_ways


class Schema(TextSchema):
    prefix = ""

    hidden_size: Size = 512
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 4
    num_key_value_heads: Size = 2
    max_position_embeddings: Tokens = 262_144
    sliding_window_pattern: Size = 6
    num_global_key_value_heads: Size | None = 1
    hidden_size_per_layer_input: Size = 512
    embedding_dim: Size = 768

    def computes(self) -> Computes:
        return super().computes()._replace(bare_values="bare-rms", norm="rms-cast-gain")

    def kinds(self) -> list[str]:
        n, every = self.num_hidden_layers, self.sliding_window_pattern
        kinds = self.layer_types or [SLIDING if (i + 1) % every else FULL for i in range(n)]
        return [*kinds[:-1], FULL]

    def heads(self) -> list[tuple[int, int]]:
        if self.per_layer_config is not None:
            return super().heads()
        width = self.global_head_dim, self.num_global_key_value_heads or self.num_key_value_heads
        return [width if kind == FULL else (self.head_dim, self.num_key_value_heads) for kind in self.kinds()]

    def layer(self, window: int | None, dim: int, kv_heads: int) -> Layer:
        h = self.hidden_size
        extra = (
            *(rms_norm(norm, h) for norm in NORMS),
            *prefixed("ple_block", altup.per_layer_gate(h, self.hidden_size_per_layer_input)),
        )
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        return both_ways(make_layer(self.attention(window, dim, kv_heads, False), ffn, extra))

    def architecture(self, prefix: str) -> Architecture:
        h, n, width = self.hidden_size, self.num_hidden_layers, self.hidden_size_per_layer_input
        order = [(window, *heads) for window, heads in zip(self.windows(), self.heads(), strict=True)]
        layers = {what: self.layer(*what) for what in dict.fromkeys(order)}
        sharing = f"{head_sharing(self.num_attention_heads, self.kv_heads)}, bidirectional"
        facts = self.facts(
            attention=mixed_label(self.kinds(), sharing),
            norm="RMSNorm (pre + post)",
            sliding_window=self.sliding_window if SLIDING in self.kinds() else None,
            tied_embeddings=False,
            more=(
                ("QK-norm", "RMSNorm per head"),
                ("full layers", f"{order[-1][2]} KV heads of {order[-1][1]}"),
                ("per-layer embeddings", f"{width} of the embedding for each layer, no table"),
                ("head", f"vectors of {self.embedding_dim}"),
            ),
        )
        inputs = prefixed("ple", altup.per_layer_inputs(h, n, width))
        body = decoder(
            [layers[what] for what in order],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=[rms_norm("norm", h)],
            extra=inputs,
            head="",
        )
        vectors = tuple(linear(join(prefix, "embedding_projection"), self.embedding_dim, h, "head"))
        return body._replace(groups=(*body.groups, Group("head", vectors)))
