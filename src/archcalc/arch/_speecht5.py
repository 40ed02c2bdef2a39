"""SpeechT5's halves: layers that all classes share, and what each kind of input and output needs.

Source: transformers 5.24, models/speecht5/modeling_speecht5.py (prenets and postnets).
"""

from collections.abc import Iterator

from archcalc.arch._schema import ConfigSchema, Count, Few, Flag, Layers, Size, divided, validate
from archcalc.arch._wav2vec2 import INERT, Wav2Vec2Schema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table, vit_attention
from archcalc.model import Layer, Tensor

FFN = ("intermediate_dense", "output_dense")


class Front(Wav2Vec2Schema):
    """The convolutions over a waveform: Wav2Vec 2.0's."""

    name = "speecht5_front"
    root = ""


class SpeechT5Schema(ConfigSchema):
    """Keys, layers, and what stands before and behind them."""

    own_heads = True
    inert_keys = (
        *INERT, "scale_embedding", "max_speech_positions", "max_text_positions",
        "conv_dim", "conv_kernel", "conv_bias", "feat_extract_norm", "num_conv_pos_embeddings", "num_conv_pos_embedding_groups",
        "mask_time_prob", "mask_feature_prob",
    )  # fmt: skip
    other_names = {
        "num_attention_heads": "encoder_attention_heads", "num_hidden_layers": "encoder_layers",
    }  # fmt: skip

    vocab_size: Size = 81
    hidden_size: Size = 768
    encoder_layers: Layers = 12
    encoder_attention_heads: Size = 12
    encoder_ffn_dim: Size = 3072
    decoder_layers: Layers = 6
    decoder_attention_heads: Size = 12
    decoder_ffn_dim: Size = 3072
    hidden_act: str = "gelu"
    num_mel_bins: Size = 80
    speech_decoder_prenet_layers: Few = 2
    speech_decoder_prenet_units: Size = 256
    speaker_embedding_dim: Count = 512
    speech_decoder_postnet_layers: Few = 5
    speech_decoder_postnet_units: Size = 256
    speech_decoder_postnet_kernel: Size = 5
    reduction_factor: Size = 2
    encoder_max_relative_position: Size = 160
    tie_word_embeddings: Flag = True
    architectures: list[str] | None = None

    def ffn(self, width: int) -> FeedForward:
        return FeedForward(self.hidden_size, width, self.hidden_act, names=FFN)

    def encoder_layer(self) -> Layer:
        h = self.hidden_size
        norms = (*layer_norm("layer_norm", h), *layer_norm("final_layer_norm", h))
        attention = vit_attention(h, self.encoder_attention_heads)
        return encoder_layer(attention, self.ffn(self.encoder_ffn_dim), norms, attention_name="attention", ffn_name="feed_forward")

    def decoder_layer(self) -> Layer:
        h, n = self.hidden_size, self.decoder_attention_heads
        cross = CrossAttention(h, n, divided(h, n, "hidden_size", "decoder_attention_heads"))
        norms = (t for name in ("self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm") for t in layer_norm(name, h))
        extra = (*norms, *prefixed("encoder_attn", cross.tensors()))
        return make_layer(vit_attention(h, n), self.ffn(self.decoder_ffn_dim), extra, ffn_name="feed_forward")

    def hears(self) -> Iterator[Tensor]:
        front = validate(Front, {**self.model_dump(), "num_attention_heads": self.encoder_attention_heads, "num_hidden_layers": 1})
        if front.mask_time_prob > 0 or front.mask_feature_prob > 0:
            yield Tensor("masked_spec_embed", (self.hidden_size,), "embedding")
        yield from prefixed("feature_encoder", front.convolutions())
        yield from prefixed("feature_projection", front.projection())
        yield from prefixed("pos_conv_embed", front.positions())

    def reads(self) -> Iterator[Tensor]:
        yield table("embed_tokens", self.vocab_size, self.hidden_size)
        yield Tensor("encode_positions.alpha", (), "embedding")

    def continues(self) -> Iterator[Tensor]:
        """Before a decoder of frames: those so far, and whose voice it is."""
        h, units = self.hidden_size, self.speech_decoder_prenet_units
        for i in range(self.speech_decoder_prenet_layers):
            yield from linear(f"layers.{i}", units, units if i else self.num_mel_bins, "embedding", bias=True)
        yield from linear("final_layer", h, units, "embedding", bias=True)
        yield Tensor("encode_positions.alpha", (), "embedding")
        yield from linear("speaker_embeds_layer", h, self.speaker_embedding_dim + h, "embedding", bias=True)

    def speaks(self) -> Iterator[Tensor]:
        """Behind a decoder of frames: several at once, whether it ends, and convolutions that mend them."""
        h, bins, units, last = (
            self.hidden_size,
            self.num_mel_bins,
            self.speech_decoder_postnet_units,
            self.speech_decoder_postnet_layers,
        )
        yield from linear("feat_out", bins * self.reduction_factor, h, "head", bias=True)
        yield from linear("prob_out", self.reduction_factor, h, "head", bias=True)
        for i in range(last):
            inner, outer = units if i else bins, units if i < last - 1 else bins
            yield from conv(f"layers.{i}.conv", outer, inner, self.speech_decoder_postnet_kernel, bias=False, role="head")
            yield from layer_norm(f"layers.{i}.batch_norm", outer)
