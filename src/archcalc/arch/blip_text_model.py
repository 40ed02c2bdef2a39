"""The text model of BLIP: BERT with cross-attention to the image, as a decoder.

Source: transformers 5.23, models/blip/modeling_blip_text.py (`BlipTextLMHeadModel`) and configuration_blip.py (defaults).
"""

from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import DecoderSchema, group, join
from archcalc.arch._qformer import bert_layer
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Architecture, Kind, Shard, Tensor, stack


class Schema(DecoderSchema):
    prefix = ""
    reads_head_dim = False
    inert_keys = ("projection_dim", "label_smoothing")

    vocab_size: Size = 30524
    hidden_size: Size = 768
    encoder_hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 8
    max_position_embeddings: Tokens = 512
    hidden_act: str = "gelu"
    is_decoder: Flag = True
    tie_word_embeddings: Flag = True

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own")

    def architecture(self, prefix: str) -> Architecture:
        h, rows = self.hidden_size, self.vocab_size
        source = self.encoder_hidden_size if self.is_decoder else 0
        layer = bert_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act, inner="self", source=source)
        kind: Kind = "tied" if self.tie_word_embeddings else "param"
        embeddings = (
            table("word_embeddings", rows, h)._replace(shard=Shard(0, rows)),
            table("position_embeddings", self.max_position_embeddings, h),
            *layer_norm("LayerNorm", h),
        )
        head = (
            Tensor("bias", (rows,), "head"),
            *linear("transform.dense", h, h, "head", bias=True),
            *layer_norm("transform.LayerNorm", h),
            *(t._replace(kind=kind) for t in linear("decoder", rows, h, "head", bias=True, shard=Shard(0, rows))),
        )
        groups = (
            group("embedding", prefixed(join(prefix, "bert.embeddings"), embeddings)),
            group("head", prefixed(join(prefix, "cls.predictions"), head)),
        )
        layers = stack(join(prefix, "bert.encoder.layer"), "decoder", [layer] * self.num_hidden_layers)
        facts = self.facts(gated=False, norm="LayerNorm (post)", position=LEARNED, more=(("cross-attention", "in all layers"),))
        return computed(Architecture("blip_text_model", groups, (layers,), facts, crosses=True), self.computes())
