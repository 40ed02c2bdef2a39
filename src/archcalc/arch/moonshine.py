"""Moonshine: convolutions over the waveform itself, an encoder, and a decoder with rotary positions and a SwiGLU.

Source: transformers 5.23, models/moonshine/modeling_moonshine.py (`MoonshineForConditionalGeneration`) and
configuration_moonshine.py (defaults; building the encoder overwrites the decoder's number of heads, so both must have the same).
"""

from collections.abc import Iterator

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Group, Layer, Tensor, stack


class Schema(DecoderSchema):
    core_keys = ("hidden_size", "vocab_size")
    inert_keys = ("pad_head_dim_to_multiple_of",)
    whole_heads = False

    vocab_size: Size = 32768
    hidden_size: Size = 288
    intermediate_size: Size = 1152
    encoder_num_hidden_layers: Layers = 6
    num_hidden_layers: Layers = named(6, "decoder_num_hidden_layers", "num_hidden_layers")
    encoder_num_attention_heads: Size = 8
    num_attention_heads: Size = named(8, "decoder_num_attention_heads", "num_attention_heads")
    encoder_num_key_value_heads: Size | None = None
    num_key_value_heads: Size | None = named(None, "decoder_num_key_value_heads", "num_key_value_heads")
    encoder_hidden_act: str = "gelu"
    hidden_act: str = named("silu", "decoder_hidden_act", "hidden_act")
    max_position_embeddings: Tokens = 512
    attention_bias: Flag = False
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True)

    def attention(self) -> GroupedQueryAttention:
        heads, kv_heads = self.encoder_num_attention_heads, self.encoder_num_key_value_heads or self.encoder_num_attention_heads
        if (heads, kv_heads) != (self.num_attention_heads, self.kv_heads):
            raise UnsupportedError(
                "encoder and decoder differ in their number of heads: the reference implementation confuses the two"
            )
        return GroupedQueryAttention(self.hidden_size, heads, kv_heads, self.head_size, bias=self.attention_bias)

    def norms(self, *names: str) -> Iterator[Tensor]:
        return (t for name in names for t in layer_norm(name, self.hidden_size, bias=False))

    def encoder_layer(self) -> Layer:
        ffn = FeedForward(self.hidden_size, self.intermediate_size, self.encoder_hidden_act)
        norms = tuple(self.norms("input_layernorm", "post_attention_layernorm"))
        return encoder_layer(self.attention(), ffn, norms)

    def decoder_layer(self) -> Layer:
        ffn = GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, True, "fc1", ("", "", "fc2"))
        norms = self.norms("input_layernorm", "post_attention_layernorm", "final_layernorm")
        return make_layer(self.attention(), ffn, (*norms, *prefixed("encoder_attn", self.attention().tensors())))

    def front(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from conv("conv1", h, 1, 127, bias=False)
        yield from conv("conv2", 2 * h, h, 7)
        yield from conv("conv3", h, 2 * h, 3)
        yield from layer_norm("groupnorm", h)
        yield from self.norms("layer_norm")

    def architecture(self, prefix: str) -> Architecture:
        n = self.encoder_num_hidden_layers
        facts = self.facts(
            attention=f"{self.facts().attention} + cross-attention", norm="LayerNorm (pre)", more=(("encoder", f"{n} layers"),)
        )
        a = decoder(
            [self.decoder_layer()] * self.num_hidden_layers, facts, computes=self.computes(), crosses=True,
            prefix=f"{prefix}.decoder",
            final_norm=self.norms("norm"), head="proj_out",
        )  # fmt: skip
        outside = Group("audio", tuple(prefixed(f"{prefix}.encoder", self.front())))
        layers = stack(f"{prefix}.encoder.layers", "audio", [self.encoder_layer()] * n)
        return a._replace(groups=(*a.groups, outside), stacks=(*a.stacks, layers))
