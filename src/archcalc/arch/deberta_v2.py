"""DeBERTa V2 and V3: DeBERTa with distances in buckets, and a convolution beside the first layer if asked for.

Source: transformers 5.23, models/deberta_v2/modeling_deberta_v2.py (`DebertaV2ForMaskedLM`) and configuration_deberta_v2.py (defaults).
"""

from collections.abc import Iterable, Iterator

from archcalc.arch import deberta
from archcalc.arch._schema import Count, Flag, Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Shard, Tensor


class Schema(deberta.Schema):
    inert_keys = (*deberta.Schema.inert_keys, "conv_act", "attention_head_size")

    vocab_size: Size = 128100
    hidden_size: Size = 1536
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 24
    intermediate_size: Size = 6144
    position_buckets: int = -1
    share_att_key: Flag = False
    norm_rel_ebd: deberta.Kinds = ()
    conv_kernel_size: Count = 0
    conv_groups: Size = 1

    def distances(self) -> int:
        return self.position_buckets if self.position_buckets > 0 else super().distances()

    def extra_tensors(self) -> Iterable[Tensor]:
        h, kernel = self.hidden_size, self.conv_kernel_size
        yield from super().extra_tensors()
        if "layer_norm" in self.norm_rel_ebd:
            yield from layer_norm("encoder.LayerNorm", h)
        if kernel:
            yield Tensor("encoder.conv.conv.weight", (h, h // self.conv_groups, kernel), "other")
            yield Tensor("encoder.conv.conv.bias", (h,), "other")
            yield from layer_norm("encoder.conv.LayerNorm", h)

    def projections(self) -> Iterator[Tensor]:
        names = ["query_proj", "key_proj", "value_proj"]
        if self.relative_attention and not self.share_att_key:
            names += ["pos_key_proj"] if "c2p" in self.pos_att_type else []
            names += ["pos_query_proj"] if "p2c" in self.pos_att_type else []
        for name in names:
            yield from linear(
                name, self.hidden_size, self.hidden_size, "attention", bias=True, shard=Shard(0, self.num_attention_heads)
            )
