"""Jina Embeddings v3: XLM-RoBERTa with rotary positions.

Source: transformers 5.23, models/jina_embeddings_v3/modeling_jina_embeddings_v3.py (`JinaEmbeddingsV3ForMaskedLM`) and
configuration_jina_embeddings_v3.py (defaults).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch import _heads, roberta
from archcalc.arch._plain import named
from archcalc.arch._schema import Layers, Size, rope_label
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Layer, Tensor


class Schema(roberta.Schema):
    keeps_past = False
    reads_encoder = False
    reads_head_dim = True
    whole_heads = False
    layers_name = "layers"
    offset = 0
    head_first = True

    vocab_size: Size = 250002
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096
    max_position_embeddings: Size = 8194
    type_vocab_size: Size = 1

    def tables(self) -> Iterator[Tensor]:
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        norms = (*layer_norm("post_attention_layernorm", h), *layer_norm("post_mlp_layernorm", h))
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, True, True)
        return encoder_layer(attention, FeedForward(h, self.intermediate_size, self.hidden_act), norms)

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {})}


class JinaColbertV2(Schema):
    """Jina ColBERT v2: XLM-RoBERTa with rotary positions whose tokens one linear layer turns into short vectors.
    Source: vLLM 0.33, models/colbert.py (`ColBERTJinaRobertaModel`)."""

    inert_keys = (*Schema.inert_keys, "lora_adaptations", "emb_pooler", "matryoshka_dimensions")

    colbert_dim: Size = named(128, "colbert_dim", "dim", "projection_dim")

    def architecture(self, prefix: str) -> Architecture:
        head = _heads.Head(lambda s: linear("linear", self.colbert_dim, s.width, "head"))
        a = self.built(head, _heads.Sizes(self.colbert_dim, self.hidden_size, {}), prefix)
        return a._replace(facts=a.facts._replace(more=(("head", f"vectors of {self.colbert_dim}"),)))
