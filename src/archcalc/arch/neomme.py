"""NeoMME: one encoder of text and image patches; a factorized embedding, windows of two lengths, gated attention, norms without weights.

Source: transformers 5.24, models/neomme/modeling_neomme.py (`NeoMMEForMaskedLM`; a window counts to either side) and
configuration_neomme.py (defaults, `layer_types`, `per_layer_config`).
"""

from collections.abc import Iterable, Sequence
from typing import Any

from archcalc.arch._alternating import FULL, SLIDING, known_kinds, mixed_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import group, join
from archcalc.arch._plain import BiasedSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens, overrides, per_layer
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Group, Kind, Layer, Shard, Tensor, both_ways


class Schema(BiasedSchema):
    inert_keys = ("embedding_dim",)
    gated = False
    norm_label = "RMSNorm (no weights)"

    vocab_size: Size = 131072
    embedding_rank: Size = 256
    hidden_size: Size = 1024
    intermediate_size: Size = 3584
    num_hidden_layers: Layers = 17
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 64
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 16384
    tie_word_embeddings: Flag = True
    sliding_window: Tokens | None = 256
    layer_types: list[str] | None = None
    per_layer_config: dict[int, dict[str, Tokens | None]] | None = None
    patch_size: Size = 32

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain", joined=True)

    def kinds(self) -> list[str]:
        n = self.num_hidden_layers
        default = [FULL if (i + 1) % 6 == 0 or i == n - 1 else SLIDING for i in range(n)]
        return known_kinds(per_layer(self.layer_types or default, n, "layer_types"), "layer_types", FULL, SLIDING)

    def windows(self) -> Sequence[int | None]:
        """To either side as far as the layer's window, short and long in turn, and the token itself."""
        kinds, stated = self.kinds(), overrides(self.per_layer_config, "sliding_window")
        turn = {i: 1024 for at, i in enumerate(i for i, kind in enumerate(kinds) if kind == SLIDING) if at % 2}
        windows: list[int | None] = []
        for i, kind in enumerate(kinds):
            own = turn.get(i) if self.per_layer_config is None else stated.get(i, {}).get("sliding_window")
            window = own or self.sliding_window
            windows.append(None if kind == FULL or window is None else 2 * window + 1)
        return windows

    def norm(self, name: str) -> Iterable[Tensor]:
        return ()

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, self.mlp_bias, ("up_proj", "down_proj"))

    def extra(self, variant: int) -> Iterable[Tensor]:
        h, heads = self.hidden_size, self.num_attention_heads
        yield Tensor("lambdas", (2,), "other", acts="multiplies")
        yield Tensor("self_attn.exclusive_self_attention.alpha", (heads,), "attention", Shard(0, heads), acts="multiplies")
        gate = "self_attn.output_projection.gate_proj"
        yield from linear(gate, heads * self.head_size, h, "attention", shard=Shard(0, heads))

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        layer, old = super().layer(window, sparse, variant), "self_attn.o_proj."
        tensors = (t._replace(name=t.name.replace(old, "self_attn.output_projection.o_proj.")) for t in layer.tensors)
        return both_ways(layer._replace(tensors=tuple(tensors)))

    def more(self) -> dict[str, Any]:
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        return {
            "attention": mixed_label(self.kinds(), f"{sharing}, bidirectional"),
            "more": (("attention output", "gated by its input"),),
        }

    def architecture(self, prefix: str) -> Architecture:
        a, h, v, rank = super().architecture(prefix), self.hidden_size, self.vocab_size, self.embedding_rank
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        patch = 3 * self.patch_size**2
        embedding = (
            table("embed_tokens.word_embeddings", v, rank)._replace(shard=Shard(0, v)),
            *linear("embed_tokens.embedding_projection", h, rank, "embedding"),
            # Read in the first and the last full layer.
            table("value_embeddings", v, self.kv_heads * self.head_size)._replace(rows_read=1),
        )
        patches = (
            *layer_norm("norm", patch), *linear("up_proj", 2 * h, patch, "embedding"),
            *linear("down_proj", h, 2 * h, "embedding", bias=True),
        )  # fmt: skip
        head = (*linear("unembedding_projection", h, rank, "head"), *linear("lm_head", v, rank, "head", shard=Shard(0, v)))
        return a._replace(
            groups=(
                Group("embedding", tuple(prefixed(prefix, embedding))),
                group("vision", prefixed(join(prefix, "patch_embeddings"), patches)),
                Group("head", tuple(t._replace(kind=kind) for t in head)),
            )
        )
