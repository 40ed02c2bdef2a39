"""Time Series Transformer: an encoder of what was measured, and a decoder of what is expected, as distributions.

Source: transformers 5.24, models/time_series_transformer/modeling_time_series_transformer.py (`TimeSeriesTransformerForPrediction`),
configuration_time_series_transformer.py (defaults, `_number_of_features`) and time_series_utils.py (`args_dim`).
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Layers, Size, per_layer
from archcalc.arch._series import SeriesSchema, distributed, series_layer
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import ConfigError
from archcalc.model import Layer, Tensor, stack


class Schema(SeriesSchema):
    inert_keys = (
        "scaling", "num_parallel_samples", "attention_type", "sampling_factor", "label_length", "moving_average",
        "autocorrelation_factor", "hidden_size", "num_hidden_layers", "num_attention_heads",
    )  # fmt: skip
    last_norm: ClassVar[str] = "final_layer_norm"

    prediction_length: Size | None = None
    context_length: Size | None = None
    distribution_output: Literal["student_t", "normal", "negative_binomial"] = "student_t"
    input_size: Size = 1
    lags_sequence: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 7)
    num_dynamic_real_features: Count = 0
    num_static_categorical_features: Count = 0
    num_static_real_features: Count = 0
    num_time_features: Count = 0
    cardinality: tuple[Count, ...] | None = None
    embedding_dimension: tuple[Count, ...] | None = None
    feature_size: Size | None = None
    d_model: Size = 64
    encoder_layers: Layers = 2
    decoder_layers: Layers = 2
    encoder_attention_heads: Size = 2
    decoder_attention_heads: Size = 2
    encoder_ffn_dim: Size = 32
    decoder_ffn_dim: Size = 32
    activation_function: str = "gelu"

    @property
    def hidden_size(self) -> int:
        return self.d_model

    @property
    def num_attention_heads(self) -> int:
        return self.encoder_attention_heads

    def embedded(self) -> list[tuple[int, int]]:
        """How many values each static category has, and how wide its embedding is."""
        n = self.num_static_categorical_features
        if not n or not self.cardinality:
            return []
        kinds = per_layer(self.cardinality, n, "cardinality", "num_static_categorical_features")
        width = self.embedding_dimension or [min(50, (kind + 1) // 2) for kind in kinds]
        return list(zip(kinds, per_layer(width, n, "embedding_dimension", "num_static_categorical_features"), strict=True))

    def features(self) -> int:
        """What is known of each moment: its lags, the categories, times and numbers beside, and the scale and place of the series."""
        if self.feature_size:
            return self.feature_size
        beside = self.num_dynamic_real_features + self.num_time_features + self.num_static_real_features
        return self.input_size * (len(self.lags_sequence) + 2) + sum(width for _, width in self.embedded()) + beside

    def moments(self) -> int:
        if self.prediction_length is None:
            raise ConfigError("prediction_length is missing", "state how many moments are predicted", "prediction_length")
        return (self.context_length or self.prediction_length) + self.prediction_length

    def layer(self, heads: int, width: int, *, decodes: bool) -> Layer:
        more = self.decoding() if decodes else None
        return series_layer(self.d_model, heads, width, self.activation_function, self.last_norm, more)

    def decoding(self) -> Iterable[Tensor]:
        """Further tensors of a decoder's layer."""
        return ()

    def extras(self) -> Iterable[Tensor]:
        """Further tensors outside the layers."""
        return ()

    def outside(self) -> Iterator[Tensor]:
        h = self.d_model
        for i, (kinds, width) in enumerate(self.embedded()):
            yield table(f"embedder.embedders.{i}", kinds, width)
        for half in ("encoder", "decoder"):
            yield from linear(f"{half}.value_embedding.value_projection", h, self.features(), "embedding")
            yield table(f"{half}.embed_positions", self.moments(), h)
            yield from layer_norm(f"{half}.layernorm_embedding", h)
        yield from self.extras()

    def body(self, prefix: str, named: str) -> Pieces:
        encodes = self.layer(self.encoder_attention_heads, self.encoder_ffn_dim, decodes=False)
        decodes = self.layer(self.decoder_attention_heads, self.decoder_ffn_dim, decodes=True)
        stacks = [
            stack(join(prefix, "encoder.layers"), "other", [encodes] * self.encoder_layers),
            stack(join(prefix, "decoder.layers"), "other", [decodes] * self.decoder_layers),
        ]
        return [group("other", below(prefix, self.outside()))], stacks

    def projected(self) -> int:
        """What the distribution is read from."""
        return self.d_model

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForPrediction"):
            return distributed("parameter_projection", self.projected(), self.input_size, self.distribution_output)
        return super().head_of(name)
