"""Feed-forward blocks of one path: plain (two matrices) and gated (three).

Sources: Vaswani et al. 2017, arXiv:1706.03762, equation 2; Shazeer 2020, arXiv:2002.05202 (GLU variants).
"""

from __future__ import annotations

from collections.abc import Iterator

from archcalc.blocks._tensor import linear, transpose
from archcalc.model import Role, Shard, Tensor
from archcalc.records import Frozen

_GATED = {
    "silu": "SwiGLU", "swish": "SwiGLU", "gelu": "GeGLU", "gelu_new": "GeGLU", "gelu_pytorch_tanh": "GeGLU",
    "gelu_tanh": "GeGLU", "gelu_fast": "GeGLU", "relu": "ReGLU", "sigmoid": "GLU",
}  # fmt: skip
_PLAIN = {
    "silu": "SiLU", "swish": "SiLU", "gelu": "GELU", "gelu_new": "GELU (tanh)", "gelu_pytorch_tanh": "GELU (tanh)",
    "gelu_tanh": "GELU (tanh)", "gelu_fast": "GELU (tanh)", "quick_gelu": "QuickGELU", "relu": "ReLU", "relu2": "ReLU²",
    "tanh": "tanh",
}  # fmt: skip


def activation_name(hidden_act: str, *, gated: bool) -> str:
    """The field's name for an activation: `silu` in a gated FFN is SwiGLU. An unknown one is told by its own name."""
    return _GATED.get(hidden_act, f"{hidden_act} (gated)") if gated else _PLAIN.get(hidden_act, hidden_act)


class GatedFeedForward(Frozen):
    """`down(act(gate(x)) * up(x))`. `fused` names one projection that holds gate and up, [2 * intermediate, hidden].

    With `apart` published checkpoints hold those two apart all the same.
    """

    hidden: int
    intermediate: int
    activation: str = "silu"
    bias: bool = False
    fused: str = ""
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj")
    role: Role = "mlp"
    apart: bool = False

    def tensors(self) -> Iterator[Tensor]:
        gate, up, down = self.names
        rows, columns = Shard(0, self.intermediate), Shard(1, self.intermediate)
        if self.fused:
            for t in linear(self.fused, 2 * self.intermediate, self.hidden, self.role, bias=self.bias, shard=rows):
                end = t.name.removeprefix(self.fused)
                yield t._replace(stored=(f"{gate}{end}", f"{up}{end}")) if self.apart else t
        else:
            yield from linear(gate, self.intermediate, self.hidden, self.role, bias=self.bias, shard=rows)
            yield from linear(up, self.intermediate, self.hidden, self.role, bias=self.bias, shard=rows)
        yield from linear(down, self.hidden, self.intermediate, self.role, bias=self.bias, shard=columns)

    def width(self) -> int:
        """The activated gate, the up projection and their product."""
        return 3 * self.intermediate

    def label(self) -> str:
        return f"{activation_name(self.activation, gated=True)} {self.intermediate}"


class FeedForward(Frozen):
    """`down(act(up(x)))`. `transposed` stores weights [in, out], as GPT-2's Conv1D does."""

    hidden: int
    intermediate: int
    activation: str = "gelu"
    bias: bool = True
    names: tuple[str, str] = ("fc1", "fc2")
    transposed: bool = False
    role: Role = "mlp"

    def tensors(self) -> Iterator[Tensor]:
        up, down = self.names
        first = linear(up, self.intermediate, self.hidden, self.role, bias=self.bias, shard=Shard(0, self.intermediate))
        second = linear(down, self.hidden, self.intermediate, self.role, bias=self.bias, shard=Shard(1, self.intermediate))
        for t in (*first, *second):
            yield transpose(t) if self.transposed else t

    def width(self) -> int:
        """The up projection and its activation."""
        return 2 * self.intermediate

    def label(self) -> str:
        return f"{activation_name(self.activation, gated=False)} {self.intermediate}"
