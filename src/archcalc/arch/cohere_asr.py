"""Cohere Transcribe: Parakeet's encoder and a decoder with LayerNorms, which also attends to what the encoder made.

Source: transformers 5.23, models/cohere_asr/modeling_cohere_asr.py (`CohereAsrForConditionalGeneration`) and
configuration_cohere_asr.py (defaults, those of the encoder among them).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import parakeet_encoder
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Architecture, Layer

NORMS = ("input_layernorm", "post_attention_layernorm", "final_layernorm")


class Encoder(parakeet_encoder.Schema):
    hidden_size: Size = 1280
    num_hidden_layers: Layers = 48
    intermediate_size: Size = 5120
    num_mel_bins: Size = 128


class Schema(DecoderSchema):
    encoder_config: Annotated[Encoder, Field(default={}, validate_default=True)]
    vocab_size: Size = 16384
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 8
    num_attention_heads: Size = 8
    intermediate_size: Size = 4096
    hidden_act: str = "relu"
    max_position_embeddings: Tokens = 1024
    attention_bias: Flag = True

    def layer(self) -> Layer:
        h, bias = self.hidden_size, self.attention_bias
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias, rope=False)
        ffn = FeedForward(h, self.intermediate_size, self.hidden_act)
        norms = (*(t for norm in NORMS for t in layer_norm(norm, h)), *prefixed("encoder_attn", attention.tensors()))
        return make_layer(attention, ffn, norms)

    def architecture(self, prefix: str) -> Architecture:
        h, encoder = self.hidden_size, self.encoder_config
        facts = self.facts(
            gated=False, attention=f"{self.facts().attention} + cross-attention", norm="LayerNorm (pre)", position=LEARNED,
            more=(("encoder", f"{encoder.num_hidden_layers} layers of {encoder.hidden_size}"),),
        )  # fmt: skip
        outside = (
            table("pos_emb", self.max_position_embeddings, h),
            *layer_norm("embedding_layernorm", h),
            *linear("proj", h, encoder.hidden_size, "other", bias=True),
        )
        a = decoder(
            [self.layer()] * self.num_hidden_layers, facts, computes=self.computes(), crosses=True, prefix=f"{prefix}.decoder",
            final_norm=layer_norm("norm", h), head="proj_out", head_bias=True, extra=outside,
        )  # fmt: skip
        groups, stacks = encoder.tower(f"{prefix}.encoder")
        return a._replace(groups=(*a.groups, *groups), stacks=(*a.stacks, *stacks))
