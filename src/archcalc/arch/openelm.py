"""OpenELM: heads and FFN grow from layer to layer; QK-norm; the head is the embedding.

Source: apple/OpenELM-270M, modeling_openelm.py and configuration_openelm.py (`make_divisible`).
"""

from typing import Any

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided, per_layer
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward, activation_name
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.model import ROPE, Architecture, Facts, Layer, Tensor


def make_divisible(value: float, by: int) -> int:
    """The multiple of `by` nearest to `value`, one further where that is below nine tenths of it."""
    near = max(by, int(value + by / 2) // by * by)
    return near + by if near < 0.9 * value else near


class Schema(ConfigSchema):
    prefix = "transformer"
    core_keys = ("model_dim", "num_transformer_layers", "num_query_heads", "num_kv_heads", "ffn_multipliers")
    # What the numbers of heads were computed from.
    inert_keys = ("num_gqa_groups", "qkv_multipliers", "rope_freq_constant", "rope_max_length")

    vocab_size: Size = 32000
    max_context_length: Tokens = 2048
    num_transformer_layers: Layers
    model_dim: Size
    head_dim: Size = 128
    num_query_heads: list[Size]
    num_kv_heads: list[Size]
    ffn_multipliers: list[float] | float
    ffn_with_glu: Flag = True
    ffn_dim_divisor: Size = 256
    activation_fn_name: str = "swish"
    normalization_layer_name: str = "rms_norm"
    normalize_qk_projections: Flag = False
    share_input_output_layers: Flag = False

    def widths(self) -> list[int]:
        n, given = self.num_transformer_layers, self.ffn_multipliers
        multipliers = per_layer(given, n, "ffn_multipliers", "num_transformer_layers") if isinstance(given, list) else [given] * n
        return [int(make_divisible(m * self.model_dim, self.ffn_dim_divisor)) for m in multipliers]

    def norm(self, name: str) -> tuple[Tensor, ...]:
        rms = self.normalization_layer_name == "rms_norm"
        return (rms_norm(name, self.model_dim),) if rms else tuple(layer_norm(name, self.model_dim))

    def layer(self, heads: int, kv_heads: int, width: int) -> Layer:
        h = self.model_dim
        divided(heads, kv_heads, "num_query_heads", "num_kv_heads")
        attention = GroupedQueryAttention(
            h, heads, kv_heads, self.head_dim, fused="qkv_proj", names=("", "", "", "out_proj"),
            qk_norm="head" if self.normalize_qk_projections else "none",
        )  # fmt: skip
        ffn: Any = GatedFeedForward(h, width, self.activation_fn_name, fused="proj_1", names=("", "", "proj_2"))
        if not self.ffn_with_glu:
            ffn = FeedForward(h, width, self.activation_fn_name, bias=False, names=("proj_1", "proj_2"))
        norms = (*self.norm("attn_norm"), *self.norm("ffn_norm"))
        return make_layer(attention, ffn, norms, mixer_name="attn", ffn_name="ffn")

    def architecture(self, prefix: str) -> Architecture:
        n, queries, keys, width = self.num_transformer_layers, self.num_query_heads, self.num_kv_heads, self.widths()
        per_layer(queries, n, "num_query_heads", "num_transformer_layers")
        per_layer(keys, n, "num_kv_heads", "num_transformer_layers")
        facts = Facts(
            self.model_dim, self.vocab_size, self.max_context_length, "GQA", max(queries), max(keys), self.head_dim,
            "RMSNorm (pre)" if self.normalization_layer_name == "rms_norm" else "LayerNorm (pre)",
            activation_name(self.activation_fn_name, gated=self.ffn_with_glu), ROPE, max(width),
            more=(("heads", f"{queries[0]} to {queries[-1]}"), ("FFN", f"{width[0]} to {width[-1]}")),
        )  # fmt: skip
        shared = self.share_input_output_layers
        layers = [self.layer(*sizes) for sizes in zip(queries, keys, width, strict=True)]
        return decoder(
            layers, facts._replace(tied_embeddings=shared), computes=self.computes(), prefix=prefix, embed="token_embeddings",
            final_norm=self.norm("norm"),
        )  # fmt: skip
