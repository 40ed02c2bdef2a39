"""Low-rank adapters: which modules they go on, and their elements."""

from __future__ import annotations

from collections.abc import Sequence

from archcalc.errors import UsageError
from archcalc.model import Architecture, Tensor


def leaf(name: str) -> str:
    """The module a weight belongs to: `self_attn.q_proj.weight` is `q_proj`."""
    return name.removesuffix(".weight").rpartition(".")[2]


def is_matrix(t: Tensor) -> bool:
    """Whether the tensor is the weight of a linear module (`nn.Linear`, Conv1D): what adapters and nf4 are put on."""
    return (
        len(t.shape) == 2
        and t.name.endswith(".weight")
        and t.role in ("attention", "mlp", "shared_experts", "other")
        and "conv" not in t.name
    )


TARGET_SETS = ("all-linear", "attention", "mlp", "qv")

ADAPTED = ("decoder", "vision", "audio")
"""The parts that adapters go on where their modules have the names."""


def targeted(a: Architecture, targets: Sequence[str]) -> frozenset[str]:
    """The modules that adapters go on, by leaf name; raises `UsageError` where a name matches nothing.

    As PEFT 0.21 reads names: `all-linear` is every linear module but the head. transformers 5 fuses routed experts, and where
    published checkpoints hold them apart, their names there (`gate_proj`, `w1`) mean the fused tensor and no other module of that
    name; gate and up go together, at twice the rank; the router goes by its name too (utils/transformers_weight_conversion.py
    `_convert_peft_config_moe`). `experts` is the fused tensors at the plain rank (PEFT's `target_parameters`). Those are given
    here as `experts.NAME` and `parameters.NAME`.
    """
    tensors = [t for s in a.stacks if s.part in ADAPTED for layer in s.kinds for t in layer.tensors]
    tensors += [t for g in a.groups if g.part in ADAPTED for t in g.tensors]
    roles = {leaf(t.name): t.role for t in tensors if is_matrix(t)}
    fused = {t.name.rpartition(".")[2]: pieces for t in tensors if (pieces := unfused(t)) is not None}
    apart = {name: tensor for tensor, names in fused.items() for name in names}
    routers = {leaf(t.name) for t in tensors if t.role == "router" and len(t.shape) == 2}
    # A class of its own, and no linear module.
    routers = routers if apart or a.model_type != "gpt_oss" else set()
    plain = {name for name in roles if name not in apart}
    names: set[str] = set()
    out: set[str] = set()
    for target in targets:
        if target == "all-linear":
            match = plain | set(apart) | routers
        elif target == "attention":
            match = {name for name in plain if roles[name] == "attention"}
        elif target == "mlp":
            match = {name for name in plain if roles[name] in ("mlp", "shared_experts")} | set(apart)
        elif target == "qv":
            match = {"q_proj", "v_proj"} & plain
        elif target == "experts" and fused:
            match = {"experts"}
            out |= {f"parameters.{name}" for name in fused}
        else:
            match = {target} & (plain | set(apart) | routers)
        if not match:
            known = ", ".join(sorted(plain | set(apart) | routers))
            raise UsageError(
                f"LoRA target {target!r} matches no linear module of the model",
                f"its linear modules are {known}; or {', '.join((*TARGET_SETS, *(['experts'] if fused else [])))}",
            )
        names |= match - {"experts"}
    for tensor, pieces in fused.items():
        given = [name for name in pieces if name in names]
        if given and len(given) < len(pieces):
            left = ", ".join(name for name in pieces if name not in names)
            raise UsageError(
                f"LoRA targets {', '.join(given)} without {left}: the reference implementation fuses them into {tensor}",
                f"add {left}",
            )
        if given:
            out.add(f"experts.{tensor}")
    return frozenset(out | (names - set(apart)))


def unfused(t: Tensor) -> tuple[str, ...] | None:
    """The names that published checkpoints have for the pieces of fused experts (empty where they are fused there too); None for
    the rest."""
    if t.experts is None or len(t.shape) != 3:
        return None
    return tuple(dict.fromkeys(leaf(piece) for piece in t.stored))


def adapted(t: Tensor, targets: frozenset[str]) -> int:
    """By how much the rank of the adapter beside a tensor is multiplied; 0 for none."""
    name = t.name.rpartition(".")[2] if t.experts else leaf(t.name)
    pieces = unfused(t)
    if pieces is not None:
        return len(pieces) if f"experts.{name}" in targets else int(f"parameters.{name}" in targets)
    return int((is_matrix(t) or (t.role == "router" and len(t.shape) == 2)) and name in targets)


def adapter_elements(t: Tensor, rank: int, tp: int = 1) -> int:
    """Elements of a rank-`rank` adapter beside a matrix (Hu et al. 2021, arXiv:2106.09685, section 4.1): `rank * (in + out)`, for
    fused experts that of each. Under tensor parallelism the factor on the split side is split with it."""
    if t.experts is not None:
        return t.experts.total * rank * (t.shape[1] + t.shape[2])
    sides = list(t.shape)
    if t.shard is not None and tp > 1:
        sides[t.shard.axis] = -(-sides[t.shard.axis] // min(tp, t.shard.units))
    return rank * sum(sides)
