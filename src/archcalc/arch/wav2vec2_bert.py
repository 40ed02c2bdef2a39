"""w2v-BERT 2.0: conformers over a spectrogram.

Source: transformers 5.24, models/wav2vec2_bert/modeling_wav2vec2_bert.py (`Wav2Vec2BertModel` and its classes) and
configuration_wav2vec2_bert.py (defaults); Seamless Communication 2023, arXiv:2312.05187.
"""

from collections.abc import Iterator
from typing import Literal

from archcalc.arch._composite import Pieces
from archcalc.arch._conformer import LINEAR, conformer_layer
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Few, Fraction, Layers, Size
from archcalc.arch._speech_heads import SpeechHeads
from archcalc.arch._vit import below
from archcalc.arch._wav2vec2 import INERT
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, vit_attention
from archcalc.model import Architecture, Layer, Tensor, stack


class Schema(SpeechHeads):
    prefix = ""
    inert_keys = (*INERT, "max_source_positions", "rotary_embedding_base", "adapter_act")
    alone = "a model without text: it keeps no cache"

    vocab_size: Size | None = None
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096
    feature_projection_input_dim: Size = 160
    hidden_act: str = "swish"
    mask_time_prob: Fraction = 0.05
    mask_feature_prob: Fraction = 0.0
    classifier_proj_size: Size = 768
    num_adapter_layers: Few = 1
    adapter_kernel_size: Size = 3
    use_intermediate_ffn_before_adapter: bool = False
    position_embeddings_type: Literal["rotary", "relative", "relative_key"] | None = "relative_key"
    left_max_position_embeddings: Count = 64
    right_max_position_embeddings: Count = 8
    conv_depthwise_kernel_size: Size = 31

    def distances(self) -> Iterator[Tensor]:
        h, n = self.hidden_size, self.num_attention_heads
        if self.position_embeddings_type == "relative_key":
            rows = self.left_max_position_embeddings + self.right_max_position_embeddings + 1
            yield Tensor("distance_embedding.weight", (rows, h // n), "attention")
        elif self.position_embeddings_type == "relative":
            yield from linear("linear_pos", h, h, "attention")
            yield from (Tensor(name, (n, h // n), "attention") for name in ("pos_bias_u", "pos_bias_v"))

    def layer(self) -> Layer:
        return conformer_layer(
            self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act, self.conv_depthwise_kernel_size,
            "depthwise_layer_norm", self.distances(),
        )  # fmt: skip

    def feed_forward(self, h: int) -> FeedForward:
        return FeedForward(h, self.intermediate_size, "relu", names=("intermediate_dense", "output_dense"))

    def adapter(self, h: int) -> Layer:
        """A layer that thins out what the encoder made."""
        extra = [t for name in ("residual", "self_attn", "ffn") for t in layer_norm(f"{name}_layer_norm", h)]
        for name in ("residual_conv", "self_attn_conv"):
            extra += conv(name, 2 * h, h, self.adapter_kernel_size, role="other")
        return encoder_layer(vit_attention(h, self.num_attention_heads, names=LINEAR), self.feed_forward(h), extra, ffn_name="ffn")

    def tower(self, prefix: str) -> Pieces:
        h, bins, out = self.hidden_size, self.feature_projection_input_dim, self.output_hidden_size or self.hidden_size
        outside = [
            *layer_norm("feature_projection.layer_norm", bins),
            *linear("feature_projection.projection", h, bins, "embedding", bias=True),
        ]
        if self.mask_time_prob > 0 or self.mask_feature_prob > 0:
            outside.append(Tensor("masked_spec_embed", (h,), "embedding"))
        stacks = [stack(join(prefix, "encoder.layers"), "audio", [self.layer()] * self.num_hidden_layers)]
        if self.add_adapter:
            if out != h:
                outside += (*linear("adapter.proj", out, h, "other", bias=True), *layer_norm("adapter.proj_layer_norm", out))
            stacks.append(stack(join(prefix, "adapter.layers"), "audio", [self.adapter(out)] * self.num_adapter_layers))
        if self.use_intermediate_ffn_before_adapter:
            outside += prefixed("intermediate_ffn", self.feed_forward(h).tensors())
        return [group("audio", below(prefix, outside))], stacks

    def architecture(self, prefix: str) -> Architecture:
        named = self.class_name()
        return super().architecture("" if not named or named.endswith("Model") else "wav2vec2_bert")
