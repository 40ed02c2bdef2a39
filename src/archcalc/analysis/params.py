"""Parameters: sums over the tensor list, and nothing else."""

from __future__ import annotations

from archcalc.model import PARTS, ROLES, Architecture, Part, Role
from archcalc.report import Component


def components(architecture: Architecture) -> list[Component]:
    """Every part and role that holds parameters, MTP layers included, in the order of `PARTS` and `ROLES`."""
    total: dict[tuple[Part, Role], int] = {}
    active: dict[tuple[Part, Role], int] = {}
    for part, tensor, layers in architecture.each_tensor():
        if tensor.counted:
            key = part, tensor.role
            total[key] = total.get(key, 0) + tensor.elements * layers
            active[key] = active.get(key, 0) + tensor.visited * layers
    return [
        Component(part, role, total[part, role], active[part, role])
        for part in (*PARTS, "mtp")
        for role in ROLES
        if (part, role) in total
    ]
