"""Moonshine as it streams: an encoder that sees a window of frames, and a decoder with a width of its own.

Source: transformers 5.24, models/moonshine_streaming/modeling_moonshine_streaming.py (`MoonshineStreamingForConditionalGeneration`) and
configuration_moonshine_streaming.py (defaults; it has none for the decoder's `num_key_value_heads`).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder, group
from archcalc.arch._schema import Flag, Layers, Size, Tokens, TowerSchema, nested
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import gain, layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Encoder, Layer, Tensor, stack


class MoonshineStreamingEncoder(TowerSchema):
    """The encoder of Moonshine as it streams.
    Source: transformers 5.24, models/moonshine_streaming/modeling_moonshine_streaming.py (`MoonshineStreamingEncoder`)."""

    inert_keys = ("sliding_windows",)

    hidden_size: Size = 320
    intermediate_size: Size = 1280
    num_hidden_layers: Layers = 6
    num_attention_heads: Size = 8
    num_key_value_heads: Size = 8
    head_dim: Size | None = None
    hidden_act: str = "gelu"
    attention_bias: Flag = False
    sample_rate: Size = 16000
    frame_ms: float = 5.0

    def layer(self) -> Layer:
        h, n = self.hidden_size, self.num_attention_heads
        bias = self.attention_bias
        attention = GroupedQueryAttention(h, n, self.num_key_value_heads, self.head_dim or h // n, bias, bias)
        norms = [gain(f"{name}.gamma", (h,), "layer") for name in ("input_layernorm", "post_attention_layernorm")]
        return encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms)

    def front(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield Tensor("embedder.comp.log_k", (), "embedding")
        yield from conv("embedder.conv1", 2 * h, h, 5)
        yield from conv("embedder.conv2", h, 2 * h, 5)
        yield from linear("embedder.linear", h, round(self.sample_rate * self.frame_ms / 1000), "embedding")
        yield gain("final_norm.gamma", (h,), "layer")

    def tower(self, prefix: str) -> Pieces:
        layers = stack(f"{prefix}.layers", "audio", [self.layer()] * self.num_hidden_layers)
        return [group("audio", prefixed(prefix, self.front()))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        return ()


class Schema(DecoderSchema):
    core_keys = ("hidden_size", "vocab_size", "num_key_value_heads")
    inert_keys = ("pad_head_dim_to_multiple_of", "decoder_start_token_id")
    whole_heads = False

    encoder_config: Annotated[MoonshineStreamingEncoder, nested("moonshine_streaming_encoder", fixed=True), DEFAULT]
    vocab_size: Size = 32768
    hidden_size: Size = 320
    intermediate_size: Size = 1280
    num_hidden_layers: Layers = 6
    num_attention_heads: Size = 8
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def layer(self) -> Layer:
        h = self.hidden_size
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, self.attention_bias)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, True, "fc1", ("", "", "fc2"))
        names = ("input_layernorm", "post_attention_layernorm", "final_layernorm")
        norms = (t for name in names for t in layer_norm(name, h, bias=False))
        return make_layer(attention, ffn, (*norms, *prefixed("encoder_attn", attention.tensors())))

    def architecture(self, prefix: str) -> Architecture:
        h, e = self.hidden_size, self.encoder_config
        facts = self.facts(
            attention=f"{self.facts().attention} + cross-attention", norm="LayerNorm (pre)",
            more=(("encoder", f"{e.num_hidden_layers} layers of {e.hidden_size}"),),
        )  # fmt: skip
        # Positions of what the encoder made.
        others = [table("pos_emb", self.max_position_embeddings, e.hidden_size)]
        if e.hidden_size != h:
            others += linear("proj", h, e.hidden_size, "other")
        a = decoder(
            [self.layer()] * self.num_hidden_layers, facts, computes=self.computes(), crosses=True,
            prefix=f"{prefix}.decoder", final_norm=layer_norm("norm", h, bias=False), head="proj_out", extra=others,
        )  # fmt: skip
        groups, stacks = e.tower(f"{prefix}.encoder")
        return a._replace(groups=(*a.groups, *groups), stacks=(*a.stacks, *stacks))
