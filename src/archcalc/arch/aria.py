"""Aria: a mixture of experts with SigLIP, whose patches learned queries read.

Source: transformers 5.23, models/aria/modeling_aria.py and configuration_aria.py (defaults), conversion_mapping.py ("llava").
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch import aria_text
from archcalc.arch._composite import DEFAULT, LLAVA, VisionSchema
from archcalc.arch._schema import ConfigSchema, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Shard, Tensor


class Schema(VisionSchema):
    inert_keys = ("vision_feature_layer", "ignore_index")
    renames = (*LLAVA, *aria_text.RENAMES)

    text_config: Annotated[ConfigSchema, nested("aria_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("idefics3_vision"), DEFAULT]
    max_value_projector_patch_to_query_dict: Size | None = None
    projector_patch_to_query_dict: dict[str, Size] | None = None

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        queries = self.max_value_projector_patch_to_query_dict or max(
            (self.projector_patch_to_query_dict or {"4900": 256}).values()
        )
        rows = Shard(0, width)
        yield Tensor("query", (queries, width), "embedding")
        for name in ("q_proj", "k_proj", "v_proj"):
            yield from linear(f"cross_attn.{name}", width, width, "attention", shard=rows)
        yield Tensor("cross_attn.multihead_attn.in_proj_weight", (3 * width, width), "attention", rows)
        yield Tensor("cross_attn.multihead_attn.in_proj_bias", (3 * width,), "attention", rows)
        yield from linear("cross_attn.multihead_attn.out_proj", width, width, "attention", bias=True, shard=Shard(1, width))
        yield from linear("cross_attn.linear", width, width, "attention", bias=True)
        for name in ("cross_attn.layer_norm", "cross_attn.layer_norm_kv", "layer_norm"):
            yield from layer_norm(name, width)
        yield from projector(("feed_forward.linear_in", "feed_forward.linear_out"), (width, hidden, hidden), bias=False)
