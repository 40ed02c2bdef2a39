"""PLaMo 2: Mamba-2 layers whose step, input and output are normalized, in turn with attention over a window; norms around each block.

Source: mlx-lm 0.32, mlx_lm/models/plamo2.py (defaults, `is_mamba`); llama.cpp 0c1e57098, conversion/plamo.py. Windows but for the layers
of `full_attention_idx` are the config's to state; neither engine applies them.
"""

from collections.abc import Iterator

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer, linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.linear import causal_conv, conv_state
from archcalc.blocks.mamba import Mamba2
from archcalc.blocks.norm import gain, rms_norm
from archcalc.model import Architecture, Cache, Layer, Shard, State, Tensor


class Projected(Mamba2):
    """Input and output of the state, and a narrow step, are projected from what the convolution made, and normalized."""

    def _step(self) -> int:
        return max(64, self.hidden // 16)

    def tensors(self) -> Iterator[Tensor]:
        inner, step, by_head = self.heads * self.head_dim, self._step(), Shard(0, self.heads)
        yield from linear("in_proj", 2 * inner, self.hidden, "attention", shard=by_head)
        yield from causal_conv("conv1d", inner, self.kernel, units=self.heads)
        yield from linear("bcdt_proj", step + 2 * self.state, inner, "attention", shard=Shard(1, self.heads))
        yield from linear("dt_proj", self.heads, step, "attention", shard=by_head)
        yield from (Tensor(name, (self.heads,), "attention", by_head, acts="recurs") for name in ("dt_bias", "A_log", "D"))
        widths = (("dt", step), ("B", self.state), ("C", self.state))
        yield from (gain(f"{name}_norm_weight", (width,)) for name, width in widths)
        yield from linear("out_proj", self.hidden, inner, "attention", shard=Shard(1, self.heads))

    def caches(self) -> Iterator[Cache]:
        recurrent = State("recurrent", (self.heads, self.head_dim, self.state), self.heads, "fp32")
        yield Cache(
            "state", states=(conv_state(self.heads * self.head_dim, self.kernel, self.heads), recurrent), recurrence="mamba2"
        )


class Gained(GroupedQueryAttention):
    """Queries and keys are normalized with a gain of each head's own."""

    def _norms(self) -> Iterator[Tensor]:
        yield gain("q_weight", (self.heads, self.head_dim))
        yield gain("k_weight", (self.kv_heads, self.head_dim))


class Schema(DecoderSchema):
    inert_keys = (
        "mamba_chunk_size", "use_predefined_initial_state", "linear_type", "eval_attention_n_bit", "eval_mlp_n_bit",
        "capped_attention_logit", "image_feature_size", "image_proj_type",
    )  # fmt: skip

    vocab_size: Size = 32000
    hidden_size: Size = 4096
    intermediate_size: Size = 13312
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 4
    head_dim: Size = named(128, "hidden_size_per_head")
    max_position_embeddings: Tokens = 2048
    tie_word_embeddings: Flag = True
    attention_window_size: Tokens = 2048
    full_attention_idx: list[Count] | None = None
    mamba_enabled: Flag = True
    mamba_d_state: Size = 64
    mamba_d_conv: Size = 4
    mamba_num_heads: Size = 64
    mamba_step: Size = 2

    def recurs(self, i: int) -> bool:
        n, step = self.num_hidden_layers, self.mamba_step
        if not self.mamba_enabled:
            return False
        return i != n - 1 if n <= step // 2 else i % step != step // 2

    def layer(self, mixer: Mixer) -> Layer:
        h = self.hidden_size
        norms = (rms_norm(name, h) for name in ("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm"))
        return make_layer(mixer, GatedFeedForward(h, self.intermediate_size, fused="gate_up_proj"), norms, mixer_name="mixer")

    def architecture(self, prefix: str) -> Architecture:
        h, heads, kv, dim = self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size
        recurrent = self.layer(Projected(h, self.mamba_num_heads, dim, self.mamba_d_state, 1, self.mamba_d_conv))
        windows = (None, self.attention_window_size)
        attending = {w: self.layer(Gained(h, heads, kv, dim, fused="qkv_proj", window=w, qk_norm="head")) for w in windows}
        full = set(self.full_attention_idx or ())
        kinds = [LINEAR if self.recurs(i) else FULL for i in range(self.num_hidden_layers)]
        layers = [
            recurrent if kind == LINEAR else attending[None if i in full else self.attention_window_size]
            for i, kind in enumerate(kinds)
        ]
        facts = self.facts(
            attention=hybrid_label(kinds, "Mamba-2", head_sharing(heads, kv)), norm="RMSNorm (pre + post)",
            sliding_window=self.attention_window_size,
        )  # fmt: skip
        return decoder(
            layers, facts, computes=self.computes(), prefix=prefix, layers_name="layers.layers", final_norm=[rms_norm("norm", h)]
        )  # fmt: skip
