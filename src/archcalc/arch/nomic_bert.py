"""Nomic Embed: BERT with rotary positions, a SwiGLU and no biases in its layers.

Source: transformers 5.23, models/nomic_bert/modeling_nomic_bert.py (`NomicBertForMaskedLM`) and configuration_nomic_bert.py
(defaults), conversion_mapping.py ("nomic_bert": published files fuse queries, keys and values).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size, rope_label
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Layer, Tensor

RENAMES = (
    ("nomic_bert.embeddings.LayerNorm.", "emb_ln."),
    ("nomic_bert.layers.", "encoder.layers."),
    ("nomic_bert.", ""),
    *((f".self_attn.{name}_proj.", ".attn.Wqkv.") for name in "qkv"),
    (".self_attn.o_proj.", ".attn.out_proj."),
    (".mlp.up_proj.", ".mlp.fc11."),
    (".mlp.gate_proj.", ".mlp.fc12."),
    (".mlp.down_proj.", ".mlp.fc2."),
    (".post_attention_layernorm.", ".norm1."),
    (".post_mlp_layernorm.", ".norm2."),
)


class Schema(BertSchema):
    whole_heads = False
    root = "nomic_bert"
    layers_name = "layers"

    vocab_size: Size = 30528
    hidden_act: str = "silu"
    max_position_embeddings: Size = 2048

    def tables(self) -> Iterator[Tensor]:
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        norms = (*layer_norm("post_attention_layernorm", h), *layer_norm("post_mlp_layernorm", h))
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        return encoder_layer(GroupedQueryAttention(h, heads, heads, self.head_size), ffn, norms)

    def head(self) -> Iterator[Tensor]:
        for t in super().head():
            yield t._replace(name=t.name.replace("LayerNorm", "layer_norm"))

    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture(prefix)._replace(renames=RENAMES if self.name == "nomic_bert" else ())

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}), "activation": activation_name(self.hidden_act, gated=True)}
