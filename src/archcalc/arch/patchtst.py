"""PatchTST: an encoder over patches of each channel of a time series.

Source: transformers 5.24, models/patchtst/modeling_patchtst.py (`PatchTSTModel`, `PatchTSTForPrediction` and the others) and
configuration_patchtst.py (defaults); Nie et al. 2022, arXiv:2211.14730.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size, divided
from archcalc.arch._series import NAMES, SeriesSchema, distributed
from archcalc.arch._vit import below
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Layer, Tensor, stack


class Schema(SeriesSchema):
    alone = "a time series model: it writes no text and keeps no cache"
    inert_keys = (
        "pre_norm", "scaling", "do_mask_input", "mask_type", "random_mask_ratio", "num_forecast_mask_patches",
        "channel_consistent_masking", "unmasked_channel_indices", "mask_value", "num_parallel_samples",
        "positional_encoding_type",
    )  # fmt: skip

    num_input_channels: Layers = 1
    context_length: Size = 32
    distribution_output: Literal["student_t", "normal", "negative_binomial"] = "student_t"
    loss: str | None = "mse"
    patch_length: Size = 1
    patch_stride: Size = 1
    num_hidden_layers: Layers = 3
    d_model: Size = 128
    num_attention_heads: Size = 4
    share_embedding: Flag = True
    channel_attention: Flag = False
    ffn_dim: Size = 512
    norm_type: Literal["batchnorm", "layernorm"] = "batchnorm"
    bias: Flag = True
    activation_function: str = "gelu"
    use_cls_token: Flag = False
    share_projection: Flag = True
    pooling_type: str | None = "mean"
    prediction_length: Size = 24
    num_targets: Size = 1

    @property
    def hidden_size(self) -> int:
        return self.d_model

    def patches(self) -> int:
        return (max(self.context_length, self.patch_length) - self.patch_length) // self.patch_stride + 1

    def layer(self) -> Layer:
        h, n = self.d_model, self.num_attention_heads
        attention = GroupedQueryAttention(
            h, n, n, divided(h, n, "d_model", "num_attention_heads"), True, True, rope=False, names=NAMES
        )
        numbers = (1, 2, 3) if self.channel_attention else (1, 3)
        end = ".batchnorm" if self.norm_type == "batchnorm" else ""
        norms = [t for i in numbers for t in layer_norm(f"norm_sublayer{i}{end}", h)]
        ffn = FeedForward(h, self.ffn_dim, self.activation_function, self.bias, names=("0", "3"))
        return encoder_layer(attention, ffn, norms, ffn_name="ff")

    def outside(self) -> Iterator[Tensor]:
        h = self.d_model
        names = [""] if self.share_embedding else [f".{i}" for i in range(self.num_input_channels)]
        for end in names:
            yield from linear(f"embedder.input_embedding{end}", h, self.patch_length, "embedding", bias=True)
        if self.use_cls_token:
            yield Tensor("positional_encoder.cls_token", (1, 1, 1, h), "embedding")
        yield Tensor("positional_encoder.position_enc", (self.patches() + self.use_cls_token, h), "embedding")

    def body(self, prefix: str, named: str) -> Pieces:
        layers = stack(join(prefix, "encoder.layers"), "other", [self.layer()] * self.num_hidden_layers)
        return [group("other", below(join(prefix, "encoder"), self.outside()))], [layers]

    def predicted(self, name: str, width: int, out: int) -> Iterable[Tensor]:
        """What is predicted, or how it is distributed."""
        if self.loss == "mse":
            return linear(name, out, width, "head", bias=True)
        return distributed(name, width, out, self.distribution_output)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        h, channels = self.d_model, self.num_input_channels
        if name.endswith("ForPretraining"):
            return linear("head.linear", self.patch_length, h, "head", bias=True)
        if name.endswith("ForClassification"):
            return linear("head.linear", self.num_targets, channels * h, "head", bias=True)
        if name.endswith("ForRegression"):
            return self.predicted("head.projection", channels * h, self.num_targets)
        if name.endswith("ForPrediction"):
            width = h if self.pooling_type or self.use_cls_token else h * self.patches()
            names = ["projection"] if self.share_projection else [f"projections.{i}" for i in range(channels)]
            return [t for one in names for t in self.predicted(f"head.{one}", width, self.prediction_length)]
        return super().head_of(name)
