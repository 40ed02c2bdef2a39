"""Differential attention: heads in pairs, whose two maps are subtracted before they meet the values of both.

Source: Ye et al. 2024, arXiv:2410.05258, equation 1; transformers 5.23, models/diffllama/modeling_diffllama.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.model import Attend, Differential, Step, Tensor


class DifferentialAttention(GroupedQueryAttention):
    """Four vectors of a head's width give the weight of the second map."""

    def tensors(self) -> Iterator[Tensor]:
        yield from GroupedQueryAttention.tensors(self)
        for name in ("lambda_q1", "lambda_k1", "lambda_q2", "lambda_k2"):
            yield Tensor(name, (self.head_dim,), "attention", acts="multiplies")

    def steps(self) -> Iterator[Step]:
        yield from GroupedQueryAttention.steps(self)
        yield Differential()

    def attends(self) -> Iterator[Attend]:
        """Every map meets the values of both heads of its pair."""
        yield Attend(self.heads, self.head_dim, 2 * self.head_dim, self.window)

    def width(self) -> int:
        """One output of twice the width a head, before the subtraction."""
        return GroupedQueryAttention.width(self) + self.heads * self.head_dim

    def label(self) -> str:
        return f"differential {GroupedQueryAttention.label(self)}"
