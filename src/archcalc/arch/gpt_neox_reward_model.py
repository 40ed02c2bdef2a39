"""A reward model on GPT-NeoX: one output in place of the head.

Source: LAION-AI/Open-Assistant, model/model_training/models/reward_model.py (`GPTNeoXRewardModel`).
"""

from typing import Any

from archcalc.arch import gpt_neox
from archcalc.arch._decoder import group
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture


class Schema(gpt_neox.Schema):
    inert_keys = (*gpt_neox.Schema.inert_keys, "pooling")

    def placed(self) -> dict[str, Any]:
        return {**super().placed(), "head": "", "renames": ()}

    def architecture(self, prefix: str = "gpt_neox") -> Architecture:
        a = super().architecture(prefix)
        return a._replace(groups=(*a.groups, group("head", linear("out_proj", 1, self.hidden_size, "head", bias=True))))
