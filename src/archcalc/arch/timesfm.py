"""TimesFM: a decoder over patches of a time series.

Source: transformers 5.24, models/timesfm/modeling_timesfm.py (`TimesFmModel`, `TimesFmModelForPrediction`) and configuration_timesfm.py
(defaults); Das et al. 2023, arXiv:2310.10688. It sees a fixed number of patches at once, and keeps no cache.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.arch._series import SeriesSchema
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Layer, Role, Tensor, stack


class Schema(SeriesSchema):
    alone = "a time series model: it writes no text and keeps no cache"
    root = "decoder"
    inert_keys = (
        "tolerance", "pad_val", "use_positional_embedding", "min_timescale", "max_timescale", "num_key_value_heads",
        "attention_bias", "decode_index", "activation", "use_continuous_quantile_head", "force_flip_invariance",
        "infer_is_positive",
    )  # fmt: skip

    patch_length: Size = 32
    context_length: Size = 512
    horizon_length: Size = 128
    freq_size: Size = 3
    num_hidden_layers: Layers = 50
    hidden_size: Size = 1280
    intermediate_size: Size = 1280
    head_dim: Size = 80
    num_attention_heads: Size = 16
    quantiles: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

    def residual(self, name: str, inner: int, inside: int, outer: int, role: Role, *, bias: bool) -> Iterator[Tensor]:
        """Two linear layers and one beside them (`TimesFmResidualBlock`)."""
        yield from linear(f"{name}.input_layer", inside, inner, role, bias=bias)
        yield from linear(f"{name}.output_layer", outer, inside, role, bias=bias)
        yield from linear(f"{name}.residual_layer", outer, inner, role, bias=bias)

    def attention(self) -> GroupedQueryAttention:
        n = self.num_attention_heads
        return GroupedQueryAttention(self.hidden_size, n, n, self.head_dim, True, True, rope=False)

    def layer(self) -> Layer:
        h = self.hidden_size
        ffn = FeedForward(h, self.intermediate_size, "relu", names=("gate_proj", "down_proj"))
        norms = (rms_norm("input_layernorm", h), *layer_norm("mlp.layer_norm", h))
        return encoder_layer(self.attention(), ffn, norms, extra=[Tensor("self_attn.scaling", (self.head_dim,), "attention")])

    def outside(self) -> Iterator[Tensor]:
        # A patch stands beside what of it is known.
        yield from self.residual(
            "input_ff_layer", 2 * self.patch_length, self.intermediate_size, self.hidden_size, "embedding", bias=True
        )
        yield table("freq_emb", self.freq_size, self.hidden_size)

    def body(self, prefix: str, named: str) -> Pieces:
        layers = stack(join(prefix, "layers"), "other", [self.layer()] * self.num_hidden_layers)
        return [group("other", below(prefix, self.outside()))], [layers]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForPrediction"):
            out = self.horizon_length * (1 + len(self.quantiles))
            return self.residual("horizon_ff_layer", self.hidden_size, self.intermediate_size, out, "head", bias=True)
        return super().head_of(name)


class Timesfm25(Schema):
    """TimesFM 2.5: rotary positions, norms around each block, and a head of its own for the quantiles.
    Source: transformers 5.24, models/timesfm2_5/modeling_timesfm2_5.py (`TimesFm2_5ModelForPrediction`) and
    configuration_timesfm2_5.py (defaults)."""

    root = "model"

    context_length: Size = 16384
    num_hidden_layers: Layers = 20
    output_quantile_len: Size = 1024
    num_key_value_heads: Size | None = None
    attention_bias: Flag = False
    use_bias: Flag = False

    def attention(self) -> GroupedQueryAttention:
        n, bias = self.num_attention_heads, self.attention_bias
        return GroupedQueryAttention(self.hidden_size, n, self.num_key_value_heads or n, self.head_dim, bias, bias, qk_norm="head")

    def layer(self) -> Layer:
        h = self.hidden_size
        names = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
        ffn = FeedForward(h, self.intermediate_size, "silu", self.use_bias)
        extra = [Tensor("self_attn.scaling", (self.head_dim,), "attention")]
        return encoder_layer(self.attention(), ffn, [rms_norm(name, h) for name in names], extra=extra)

    def outside(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from self.residual("input_ff_layer", 2 * self.patch_length, h, h, "embedding", bias=True)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForPrediction"):
            h, n = self.hidden_size, 1 + len(self.quantiles)
            point = self.residual("output_projection_point", h, h, self.horizon_length * n, "head", bias=False)
            width = self.output_quantile_len * n
            return (*point, *self.residual("output_projection_quantiles", h, h, width, "head", bias=False))
        return super(Schema, self).head_of(name)
