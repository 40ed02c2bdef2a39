"""Wav2Vec 2.0 and its relatives: convolutions over the waveform, one for positions, a transformer, and a head if the class has one.

Source: transformers 5.24, models/wav2vec2/modeling_wav2vec2.py (`Wav2Vec2Model`, `Wav2Vec2ForCTC`) and configuration_wav2vec2.py
(defaults); Baevski et al. 2020, arXiv:2006.11477. Relatives override what differs.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._plain import Derived
from archcalc.arch._schema import Few, Flag, Fraction, Layers, Size, divided, per_layer
from archcalc.arch._speech_heads import SpeechHeads
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, vit_attention
from archcalc.model import Architecture, Layer, Tensor, stack

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


INERT = (
    "activation_dropout", "adapter_stride", "apply_spec_augment", "contrastive_logits_temperature", "conv_stride", "ctc_loss_reduction",
    "ctc_zero_infinity", "diversity_loss_weight", "feat_extract_activation", "feat_extract_dropout",
    "feat_proj_dropout", "feat_quantizer_dropout", "final_dropout", "layerdrop", "mask_feature_length", "mask_feature_min_masks",
    "mask_time_length", "mask_time_min_masks", "num_feat_extract_layers", "num_negatives", "tdnn_dilation", "replace_prob",
    "num_clusters", "tokenizer_class", "mask_channel_length", "mask_channel_min_space", "mask_channel_other", "mask_channel_prob",
    "mask_channel_selection", "mask_time_min_space", "mask_time_other", "mask_time_selection", "num_ctc_classes",
    "gradient_checkpointing",
)  # fmt: skip


class Wav2Vec2Schema(SpeechHeads):
    """An encoder as its hooks say."""

    prefix = ""
    alone = "a model without text: it keeps no cache"
    core_keys = ("hidden_size", "num_hidden_layers", "num_attention_heads")
    inert_keys: ClassVar[tuple[str, ...]] = INERT
    root: ClassVar[str]
    # Whether the vector of masked frames is there even where nothing is masked.
    always_masked: ClassVar[bool] = False

    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    hidden_act: str = "gelu"
    conv_dim: Sizes = (512, 512, 512, 512, 512, 512, 512)
    conv_kernel: Sizes = (10, 3, 3, 3, 3, 2, 2)
    conv_bias: Flag = False
    feat_extract_norm: Literal["group", "layer"] = "group"
    num_conv_pos_embeddings: Layers = 128
    num_conv_pos_embedding_groups: Size = 16
    mask_time_prob: Fraction = 0.05
    mask_feature_prob: Fraction = 0.0
    num_adapter_layers: Few = 3
    adapter_kernel_size: Size = 3
    adapter_attn_dim: Size | None = None
    do_stable_layer_norm: Flag = False
    output_hidden_size: Derived | None = 0

    def normed(self, index: int) -> bool:
        """Whether a convolution has a norm behind it."""
        return index == 0 or self.feat_extract_norm == "layer"

    def convolutions(self) -> Iterator[Tensor]:
        inner = 1
        kernels = per_layer(self.conv_kernel, len(self.conv_dim), "conv_kernel", "conv_dim")
        for i, (outer, kernel) in enumerate(zip(self.conv_dim, kernels, strict=True)):
            yield from conv(f"conv_layers.{i}.conv", outer, inner, kernel, bias=self.conv_bias)
            if self.normed(i):
                yield from layer_norm(f"conv_layers.{i}.layer_norm", outer)
            inner = outer

    def projection(self) -> Iterator[Tensor]:
        yield from layer_norm("layer_norm", self.conv_dim[-1])
        yield from linear("projection", self.hidden_size, self.conv_dim[-1], "other", bias=True)

    def positions(self) -> Iterator[Tensor]:
        """A grouped convolution whose weight is a direction and a length for each tap."""
        h, kernel = self.hidden_size, self.num_conv_pos_embeddings
        inner = divided(h, self.num_conv_pos_embedding_groups, "hidden_size", "num_conv_pos_embedding_groups")
        yield Tensor("conv.bias", (h,), "embedding")
        yield Tensor("conv.parametrizations.weight.original0", (1, 1, kernel), "embedding")
        yield Tensor("conv.parametrizations.weight.original1", (h, inner, kernel), "embedding")

    def extra_tensors(self, index: int) -> Iterable[Tensor]:
        """Further tensors of a layer."""
        if (width := self.adapter_attn_dim) and self.do_stable_layer_norm:  # layers whose norms stand behind have none
            yield from layer_norm("adapter_layer.norm", self.hidden_size)
            yield from linear("adapter_layer.linear_1", width, self.hidden_size, "mlp", bias=True)
            yield from linear("adapter_layer.linear_2", self.hidden_size, width, "mlp", bias=True)

    def layer(self, index: int) -> Layer:
        h, names = self.hidden_size, ("intermediate_dense", "output_dense")
        norms = (*layer_norm("layer_norm", h), *layer_norm("final_layer_norm", h))
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act, names=names)
        return encoder_layer(
            vit_attention(h, self.num_attention_heads), ffn, norms, attention_name="attention", ffn_name="feed_forward",
            extra=self.extra_tensors(index),
        )  # fmt: skip

    def adapter(self) -> Iterator[Tensor]:
        out = self.output_hidden_size or self.hidden_size
        if out != self.hidden_size:
            yield from linear("proj", out, self.hidden_size, "other", bias=True)
            yield from layer_norm("proj_layer_norm", out)
        for i in range(self.num_adapter_layers):
            yield from conv(f"layers.{i}.conv", 2 * out, out, self.adapter_kernel_size, role="other")

    def tower(self, prefix: str) -> Pieces:
        outside = [
            *prefixed("feature_extractor", self.convolutions()),
            *prefixed("feature_projection", self.projection()),
            *prefixed("encoder.pos_conv_embed", self.positions()),
            *layer_norm("encoder.layer_norm", self.hidden_size),
        ]
        if self.always_masked or self.mask_time_prob > 0 or self.mask_feature_prob > 0:
            outside.append(Tensor("masked_spec_embed", (self.hidden_size,), "embedding"))
        if self.add_adapter:
            outside += prefixed("adapter", self.adapter())
        layers = stack(join(prefix, "encoder.layers"), "audio", map(self.layer, range(self.num_hidden_layers)))
        return [group("audio", prefixed(prefix, outside) if prefix else outside)], [layers]

    def architecture(self, prefix: str) -> Architecture:
        named = self.class_name()
        bare = not named or named.endswith("Model")
        return super().architecture("" if bare else self.root)


def contrastive(schema: Wav2Vec2Schema) -> Iterator[Tensor]:
    """What Wav2Vec 2.0 was trained by: the right code of a masked frame is told from wrong ones."""
    yield from schema.quantizer(schema.conv_dim[-1])
    yield from linear("project_hid", schema.proj_codevector_dim, schema.hidden_size, "head", bias=True)
