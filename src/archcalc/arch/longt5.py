"""LongT5: T5 whose encoder sees a window, and with `transient-global` also a summary of each block.

Source: transformers 5.23, models/longt5/modeling_longt5.py and configuration_longt5.py (defaults); Guo et al. 2021, arXiv:2112.07916.
"""

from typing import Literal

from archcalc.arch import t5
from archcalc.blocks.norm import rms_norm
from archcalc.model import Layer, Shard, Tensor


class Schema(t5.Schema):
    fp32_modules = ()
    inert_keys = (*t5.Schema.inert_keys, "local_radius", "global_block_size")

    encoder_attention_type: Literal["local", "transient-global"] = "local"

    def layer(self, *, decodes: bool, first: bool) -> Layer:
        layer, n = super().layer(decodes=decodes, first=first), self.num_heads
        if decodes:
            return layer
        name = "LocalSelfAttention" if self.encoder_attention_type == "local" else "TransientGlobalSelfAttention"
        tensors = [t._replace(name=t.name.replace("SelfAttention", name)) for t in layer.tensors]
        if self.encoder_attention_type != "local":
            tensors.append(rms_norm(f"layer.0.{name}.global_input_layer_norm", self.d_model))
            if first:
                shape = (self.relative_attention_num_buckets, n)
                tensors.append(Tensor(f"layer.0.{name}.global_relative_attention_bias.weight", shape, "attention", Shard(1, n)))
        return layer._replace(tensors=tuple(tensors))
