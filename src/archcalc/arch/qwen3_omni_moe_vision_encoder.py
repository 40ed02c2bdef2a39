"""The vision tower of Qwen3-Omni: Qwen3-VL's, its mergers under other names.

Source: transformers 5.23, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeVisionEncoder`) and
configuration_qwen3_omni_moe.py (defaults).
"""

from __future__ import annotations

from archcalc.arch import qwen3_vl_vision
from archcalc.model import Group, Stack

NAMES = (
    (".deepstack_merger_list.", ".merger_list."), (".norm.", ".ln_q."), (".linear_fc1.", ".mlp.0."), (".linear_fc2.", ".mlp.2."),
)  # fmt: skip


def renamed(name: str) -> str:
    for old, new in NAMES:
        name = name.replace(old, new)
    return name


class Schema(qwen3_vl_vision.Schema):
    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        groups, stacks = super().tower(prefix)
        return [Group(g.part, tuple(t._replace(name=renamed(t.name)) for t in g.tensors)) for g in groups], stacks
