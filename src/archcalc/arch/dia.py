"""Dia: an encoder that reads bytes of text, and a decoder that speaks nine streams of codes at once.

Source: transformers 5.24, models/dia/modeling_dia.py (`DiaForConditionalGeneration`) and configuration_dia.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import DecoderSchema, decoder, join
from archcalc.arch._schema import ConfigSchema, Layers, Size, Tokens, nested
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Group, Layer, Tensor, stack


class DiaHalf(DecoderSchema):
    """What both halves of Dia share."""

    name = "dia_half"
    core_keys = ()

    head_dim: Size = 128

    def attention(self) -> GroupedQueryAttention:
        return GroupedQueryAttention(self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_dim)

    def ffn(self) -> GatedFeedForward:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, fused="gate_up_proj")


class DiaEncoder(DiaHalf):
    """The encoder of Dia.
    Source: transformers 5.24, models/dia/modeling_dia.py (`DiaEncoder`) and configuration_dia.py (defaults)."""

    vocab_size: Size = 256
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 16
    max_position_embeddings: Tokens = 1024

    def layer(self) -> Layer:
        norms = (rms_norm("pre_sa_norm", self.hidden_size), rms_norm("post_sa_norm", self.hidden_size))
        return encoder_layer(self.attention(), self.ffn(), norms, attention_name="self_attention")


class DiaDecoder(DiaHalf):
    """The decoder of Dia.
    Source: transformers 5.24, models/dia/modeling_dia.py (`DiaDecoder`) and configuration_dia.py (defaults)."""

    prefix = "model.decoder"

    vocab_size: Size = 1028
    hidden_size: Size = 2048
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 18
    num_attention_heads: Size = 16
    num_key_value_heads: Size = 4
    cross_num_attention_heads: Size = 16
    cross_num_key_value_heads: Size = 16
    cross_head_dim: Size = 128
    cross_hidden_size: Size = 1024
    num_channels: Layers = 9
    max_position_embeddings: Tokens = 3072

    def cross(self) -> list[Tensor]:
        """Attention to what the encoder made."""
        h, width, queries = self.hidden_size, self.cross_hidden_size, self.cross_num_attention_heads * self.cross_head_dim
        kv = self.cross_num_key_value_heads * self.cross_head_dim
        sides = (("q_proj", queries, h), ("k_proj", kv, width), ("v_proj", kv, width), ("o_proj", h, queries))
        return [t for name, outer, inner in sides for t in linear(f"cross_attention.{name}", outer, inner, "attention")]

    def layer(self) -> Layer:
        norms = [rms_norm(name, self.hidden_size) for name in ("pre_sa_norm", "pre_ca_norm", "pre_mlp_norm")]
        return make_layer(self.attention(), self.ffn(), norms, mixer_name="self_attention", extra=self.cross())

    def architecture(self, prefix: str) -> Architecture:
        rows = self.vocab_size * self.num_channels
        facts = self.facts(vocab_size=rows, attention=f"{self.facts().attention} + cross-attention", head_dim=self.head_dim)
        return decoder(
            [self.layer()] * self.num_hidden_layers, facts, prefix=prefix, embed="embeddings.embed",
            final_norm=[rms_norm("norm", self.hidden_size)], head="logits_dense", computes=self.computes(), crosses=True,
        )  # fmt: skip


class Schema(ConfigSchema):
    inert_keys = ("delay_pattern",)

    encoder_config: Annotated[DiaEncoder, nested("dia_encoder", fixed=True), DEFAULT]
    decoder_config: Annotated[DiaDecoder, nested("dia_decoder", fixed=True), DEFAULT]

    def architecture(self, prefix: str) -> Architecture:
        e, a = self.encoder_config, self.decoder_config.architecture(join(prefix, "decoder"))
        root = join(prefix, "encoder")
        outside = prefixed(root, (table("embedding", e.vocab_size, e.hidden_size), rms_norm("norm", e.hidden_size)))
        layers = stack(f"{root}.layers", "other", [e.layer()] * e.num_hidden_layers)
        more = (("encoder", f"{e.num_hidden_layers} layers of {e.hidden_size}"),)
        return a._replace(
            groups=(*a.groups, Group("other", tuple(outside))), stacks=(*a.stacks, layers), facts=a.facts._replace(more=more)
        )
