"""The text model of Llama 3.2 Vision: Llama's layers, between which gated cross-attention layers read the image.

Source: transformers 5.23, models/mllama/modeling_mllama.py (`MllamaTextModel`) and configuration_mllama.py (defaults).
"""

from archcalc.arch._decoder import DecoderSchema, decoder, every
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Tensor

CROSS = (3, 8, 13, 18, 23, 28, 33, 38)
# Rows for the image token and seven that are not used.
EXTRA_ROWS = 8


class Schema(DecoderSchema):
    whole_heads = False

    vocab_size: Size = 128256
    hidden_size: Size = 4096
    intermediate_size: Size = 14336
    num_hidden_layers: Layers = 40
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 8
    max_position_embeddings: Tokens = 131072
    cross_attention_layers: list[Count] | None = None

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def layer(self, cross: bool) -> Layer:
        h, heads, kv_heads = self.hidden_size, self.num_attention_heads, self.kv_heads
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        if not cross:
            return make_layer(GroupedQueryAttention(h, heads, kv_heads, self.head_size), ffn, norms)
        attention = GroupedQueryAttention(h, heads, kv_heads, self.head_size, qk_norm="head", rope=False)
        gates = (
            Tensor("cross_attn_attn_gate", (1,), "other", acts="multiplies"),
            Tensor("cross_attn_mlp_gate", (1,), "other", acts="multiplies"),
        )
        layer = make_layer(attention, ffn, norms, mixer_name="cross_attn", extra=gates)
        # It attends to the image's patches, of which there are as many as the image has tiles for, and to no text.
        return layer._replace(mixer=f"cross-attention to the image ({heads}/{kv_heads} x {self.head_size})", caches=(), attends=())

    def architecture(self, prefix: str) -> Architecture:
        cross = set(CROSS if self.cross_attention_layers is None else self.cross_attention_layers)
        built = {kind: self.layer(kind) for kind in (False, True)}
        layers = [built[i in cross] for i in range(self.num_hidden_layers)]
        reading = [i for i in range(self.num_hidden_layers) if i in cross]
        more = (("cross-attention", f"to the image, {every(reading)}"),) if reading else ()
        # The reference implementation never ties.
        facts = self.facts(tied_embeddings=False, more=more)
        norm, rows = [rms_norm("norm", self.hidden_size)], self.vocab_size + EXTRA_ROWS
        notes = (
            ("caches and FLOPs are those of the text; what cross-attention keeps of an image is not among them",) if reading else ()
        )
        return decoder(
            layers,
            facts,
            computes=self.computes(),
            crosses=bool(reading),
            prefix=prefix,
            final_norm=norm,
            embed_rows=rows,
            head_rows=self.vocab_size,
            notes=notes,
        )
