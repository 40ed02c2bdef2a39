"""VITS and MMS-TTS: text into sound in one model: an encoder, flows, a predictor of durations and a vocoder.

Source: transformers 5.24, models/vits/modeling_vits.py (`VitsModel`; its posterior encoder, which training alone needs, is among its
weights) and configuration_vits.py (defaults); Kim et al. 2021, arXiv:2106.06103.
"""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._hifigan import conv1d, hifigan
from archcalc.arch._schema import Count, Flag, Layers, Size, divided
from archcalc.arch._vit import AloneSchema, below
from archcalc.arch._vits import durations, speaker, wavenet
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.errors import ConfigError
from archcalc.model import Encoder, Layer, Tensor, stack

Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]


class Schema(AloneSchema):
    alone = "a model that turns text into sound: it keeps no cache"
    root = ""
    inert_keys = (
        "leaky_relu_slope", "duration_predictor_tail_bound", "wavenet_dilation_rate", "speaking_rate", "noise_scale",
        "noise_scale_duration", "sampling_rate",
    )  # fmt: skip

    vocab_size: Size = 38
    hidden_size: Size = 192
    num_hidden_layers: Layers = 6
    num_attention_heads: Size = 2
    window_size: Count = 4
    use_bias: Flag = True
    ffn_dim: Size = 768
    ffn_kernel_size: Size = 3
    flow_size: Size = 192
    spectrogram_bins: Size = 513
    hidden_act: str = "relu"
    use_stochastic_duration_prediction: Flag = True
    num_speakers: Size = 1
    speaker_embedding_size: Count = 0
    upsample_initial_channel: Size = 512
    upsample_rates: Sizes = (8, 8, 2, 2)
    upsample_kernel_sizes: Sizes = (16, 16, 4, 4)
    resblock_kernel_sizes: Sizes = (3, 7, 11)
    resblock_dilation_sizes: tuple[Sizes, ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    depth_separable_channels: Size = 2
    depth_separable_num_layers: Layers = 3
    duration_predictor_flow_bins: Size = 10
    duration_predictor_kernel_size: Size = 3
    duration_predictor_num_flows: Layers = 4
    duration_predictor_filter_channels: Size = 256
    prior_encoder_num_flows: Layers = 4
    prior_encoder_num_wavenet_layers: Layers = 4
    posterior_encoder_num_wavenet_layers: Layers = 16
    wavenet_kernel_size: Size = 5

    def layer(self) -> Layer:
        h, n, kernel = self.hidden_size, self.num_attention_heads, self.ffn_kernel_size
        dim = divided(h, n, "hidden_size", "num_attention_heads")
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        attention = GroupedQueryAttention(h, n, n, dim, self.use_bias, self.use_bias, rope=False, names=names)
        relative = [Tensor(f"attention.emb_rel_{one}", (1, 2 * self.window_size + 1, dim), "attention") for one in "kv"]
        extra = [
            *(relative if self.window_size else ()),
            *conv1d("feed_forward.conv_1", self.ffn_dim, h, kernel, "mlp"),
            *conv1d("feed_forward.conv_2", h, self.ffn_dim, kernel, "mlp"),
        ]
        norms = (*layer_norm("layer_norm", h), *layer_norm("final_layer_norm", h))
        return encoder_layer(attention, None, norms, attention_name="attention", extra=extra)

    def outside(self) -> Iterator[Tensor]:
        h, flow = self.hidden_size, self.flow_size
        yield table("text_encoder.embed_tokens", self.vocab_size, h)
        yield from conv1d("text_encoder.project", 2 * flow, h, 1)
        for i in range(self.prior_encoder_num_flows):
            yield from conv1d(f"flow.flows.{i}.conv_pre", h, flow // 2, 1)
            yield from wavenet(self, f"flow.flows.{i}.wavenet", self.prior_encoder_num_wavenet_layers)
            yield from conv1d(f"flow.flows.{i}.conv_post", flow // 2, h, 1)
        yield from prefixed("decoder", hifigan(self, flow, last_bias=False))
        yield from speaker(self, "decoder", self.upsample_initial_channel)
        yield from durations(self)
        if self.num_speakers > 1:
            if not self.speaker_embedding_size:
                raise ConfigError(
                    f"speaker_embedding_size is 0, and num_speakers {self.num_speakers}", "state it", "speaker_embedding_size"
                )
            yield table("embed_speaker", self.num_speakers, self.speaker_embedding_size)
        yield from conv1d("posterior_encoder.conv_pre", h, self.spectrogram_bins, 1)
        yield from wavenet(self, "posterior_encoder.wavenet", self.posterior_encoder_num_wavenet_layers)
        yield from conv1d("posterior_encoder.conv_proj", 2 * flow, h, 1)

    def body(self, prefix: str, named: str) -> Pieces:
        layers = stack(join(prefix, "text_encoder.encoder.layers"), "other", [self.layer()] * self.num_hidden_layers)
        return [group("other", below(prefix, self.outside()))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()
