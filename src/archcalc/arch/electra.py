"""ELECTRA: BERT with an embedding narrower than the layers.

Source: transformers 5.23, models/electra/modeling_electra.py (`ElectraForCausalLM`) and configuration_electra.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import bert
from archcalc.arch._schema import Size, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Layer, Shard, Tensor


class Schema(bert.Schema):
    whole_heads = False
    pooler = ""
    root = "electra"

    embedding_size: Size = 128
    hidden_size: Size = 256
    num_attention_heads: Size = 4
    intermediate_size: Size = 1024

    @property
    def embedding_width(self) -> int:
        return self.embedding_size

    def extra_tensors(self) -> Iterable[Tensor]:
        if self.embedding_size != self.hidden_size:
            yield from linear("embeddings_project", self.hidden_size, self.embedding_size, "other", bias=True)

    def head(self) -> Iterator[Tensor]:
        width, v = self.embedding_size, self.vocab_size
        yield from layer_norm("generator_predictions.LayerNorm", width)
        yield from linear("generator_predictions.dense", width, self.hidden_size, "head", bias=True)
        yield Tensor("generator_lm_head.weight", (v, width), "head", Shard(0, v), kind=self.tied())
        yield Tensor("generator_lm_head.bias", (v,), "head", Shard(0, v))


class Convbert(Schema):
    """ConvBERT: ELECTRA with half of the heads made of convolutions whose kernels depend on the token.
    Source: transformers 5.24, models/convbert/modeling_convbert.py (`ConvBertForMaskedLM`) and configuration_convbert.py
    (defaults); Jiang et al. 2020, arXiv:2008.02496."""

    keeps_past = False
    root = "convbert"

    embedding_size: Size = 768
    hidden_size: Size = 768
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    head_ratio: Size = 2
    conv_kernel_size: Size = 9
    num_groups: Size = 1

    def heads(self) -> int:
        """Heads of softmax attention, whose width stays that of one head among all."""
        return max(self.num_attention_heads // self.head_ratio, 1)

    def mixing(self) -> Iterator[Tensor]:
        """Queries, keys and values of the attention, and the convolutions beside it."""
        h, heads, kernel = self.hidden_size, self.heads(), self.conv_kernel_size
        divided(h, self.num_attention_heads, "hidden_size", "num_attention_heads")
        # A head has half the width of one of so many, whatever the ratio.
        width = h // heads // 2 * heads
        rows = Shard(0, heads)
        for name in ("query", "key", "value"):
            yield from linear(name, width, h, "attention", bias=True, shard=rows)
        yield Tensor("key_conv_attn_layer.bias", (width, 1), "attention", rows)
        yield Tensor("key_conv_attn_layer.depthwise.weight", (h, 1, kernel), "attention")
        yield Tensor("key_conv_attn_layer.pointwise.weight", (width, h, 1), "attention", rows)
        yield from linear("conv_kernel_layer", heads * kernel, width, "attention", bias=True)
        yield from linear("conv_out_layer", width, h, "attention", bias=True, shard=rows)

    def layer(self) -> Layer:
        if self.num_groups != 1:
            raise UnsupportedError(f"num_groups is {self.num_groups}: archcalc knows ConvBERT's FFN in one group alone")
        layer = super().layer()
        own = prefixed("attention.self", self.mixing())
        attends = tuple(a._replace(heads=self.heads()) for a in layer.attends)
        mixer = f"{layer.mixer}, half of it by convolutions over {self.conv_kernel_size} tokens"
        kept = [t for t in layer.tensors if not t.name.startswith(("attention.self.", "crossattention.self."))]
        if self.crosses():
            kept += prefixed("crossattention.self", self.mixing())
        return layer._replace(mixer=mixer, tensors=(*own, *kept), attends=attends)
