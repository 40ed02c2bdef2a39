"""Parameters: sums over the tensor list, and nothing else."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from archcalc.model import PARTS, ROLES, Architecture, Part, Role, Tensor


class Component(NamedTuple):
    """The parameters of one role in one part, each once, and how many of them a token visits."""

    part: Part
    role: Role
    total: int
    active: int


def active_elements(tensor: Tensor) -> int:
    """The elements a token visits: of routed experts only the chosen ones."""
    if tensor.experts is None:
        return tensor.elements
    return tensor.elements // tensor.experts.total * tensor.experts.active


def components(architecture: Architecture) -> list[Component]:
    """Every part and role that holds parameters, MTP layers included, in the order of `PARTS` and `ROLES`."""
    total: dict[tuple[Part, Role], int] = {}
    active: dict[tuple[Part, Role], int] = {}
    for part, tensor, layers in architecture.each_tensor():
        if tensor.counted:
            key = part, tensor.role
            elements = prod(tensor.shape)
            visited = elements if tensor.experts is None else elements // tensor.experts.total * tensor.experts.active
            total[key] = total.get(key, 0) + elements * layers
            active[key] = active.get(key, 0) + visited * layers
    return [
        Component(part, role, total[part, role], active[part, role])
        for part in (*PARTS, "mtp")
        for role in ROLES
        if (part, role) in total
    ]
