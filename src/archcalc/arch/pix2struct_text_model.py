"""The decoder of Pix2Struct: T5's, with its gated FFN, relative positions in the first layer, and cross-attention in all.

Source: transformers 5.23, models/pix2struct/modeling_pix2struct.py (`Pix2StructTextModel`) and configuration_pix2struct.py (defaults).
"""

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder, join
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Position, Tensor

NAMES = ("query", "key", "value", "output")


class Schema(DecoderSchema):
    prefix = ""
    reads_head_dim = False
    inert_keys = ("relative_attention_max_distance", "d_kv", "encoder_hidden_size")

    vocab_size: Size = 50244
    hidden_size: Size = 768
    intermediate_size: Size = named(2048, "d_ff")
    num_hidden_layers: Layers = named(12, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = named(12, "num_heads", "num_attention_heads")
    relative_attention_num_buckets: Size = 32
    hidden_act: str = named("gelu_new", "dense_act_fn")
    # Relative: nothing bounds the text.
    max_position_embeddings: Tokens = 4096

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-own", softmax="own")

    def layer(self, first: bool) -> Layer:
        h, n = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, n, n, self.head_size, names=NAMES)
        cross = CrossAttention(h, n, self.head_size, bias=False, output_bias=False, names=NAMES)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, names=("wi_0", "wi_1", "wo"))
        extra = [*prefixed("encoder_decoder_attention.attention", cross.tensors())]
        if first:
            rows = self.relative_attention_num_buckets
            extra.append(Tensor("self_attention.attention.relative_attention_bias.weight", (rows, n), "attention"))
        norms = [rms_norm(f"{name}.layer_norm", h) for name in ("self_attention", "encoder_decoder_attention", "mlp")]
        return make_layer(attention, ffn, norms, mixer_name="self_attention.attention", ffn_name="mlp.DenseReluDense", extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        first, rest = self.layer(True), self.layer(False)
        layers = [first, *[rest] * (self.num_hidden_layers - 1)]
        final = [rms_norm("final_layer_norm", self.hidden_size)]
        facts = self.facts(
            context_tokens=None, position=Position("relative", "relative"), more=(("cross-attention", "in all layers"),)
        )
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            crosses=True,
            prefix=prefix,
            layers_name="layer",
            final_norm=final,
            head=join(prefix, "lm_head"),
        )
