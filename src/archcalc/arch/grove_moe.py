"""GroveMoE: Qwen 3's mixture, and beside every pair of experts a small one that both share.

A token visits the small experts of the pairs of the experts that it visits: at most as many.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/grovemoe.py and src/models/grovemoe.cpp (two experts a group, the small ones as
wide as a head, a bias that nothing reads).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.arch import qwen3_moe
from archcalc.blocks._tensor import fused_experts
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Experts, Shard, Tensor

_PER_GROUP = 2


class Grove(MixtureOfExperts):
    """`small` is the width of the experts that pairs share."""

    small: int = 128

    def tensors(self) -> Iterator[Tensor]:
        yield from MixtureOfExperts.tensors(self)
        h, i = self.hidden, self.small
        pairs = self.experts // _PER_GROUP
        experts = Experts(pairs, min(self.active, pairs))
        names = tuple(f"chunk_experts.{{}}.{name}.weight" for name in self.stored)
        yield fused_experts("chunk_experts.gate_up_proj", experts, (2 * i, h), stored=names[:2], shard=Shard(1, i))
        yield fused_experts("chunk_experts.down_proj", experts, (h, i), stored=names[2:], shard=Shard(2, i))
        yield Tensor("expert_bias", (self.experts,), "router", kind="copy")

    def width(self) -> int:
        return MixtureOfExperts.width(self) + min(self.active, self.experts // _PER_GROUP) * (self.hidden + 3 * self.small)

    def label(self) -> str:
        return f"{MixtureOfExperts.label(self)}, and {self.experts // _PER_GROUP} of {self.small} that pairs share"


class Schema(qwen3_moe.Schema):
    def experts(self) -> MixtureOfExperts:
        return Grove(
            self.hidden_size, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act,
            small=self.head_size,
        )  # fmt: skip
