"""Low-rank adapters: which modules they go on, and their elements."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from archcalc.errors import UnsupportedError, UsageError
from archcalc.model import Architecture, Part, Role, Tensor
from archcalc.records import NamedTuple


def leaf(name: str) -> str:
    """The module a weight belongs to: `self_attn.q_proj.weight` is `q_proj`."""
    return name.removesuffix(".weight").rpartition(".")[2]


def is_matrix(t: Tensor) -> bool:
    """Whether the tensor is the weight of a linear module (`nn.Linear`, Conv1D): what adapters and nf4 are put on."""
    return (
        len(t.shape) == 2
        and t.name.endswith(".weight")
        and t.role in ("attention", "mlp", "shared_experts", "other")
        and not t.convolves
    )


TARGET_SETS = ("all-linear", "attention", "mlp", "qv", "head", "embedding")

ADAPTED = ("decoder", "vision", "audio", "embedding", "head")
"""The parts that adapters go on where their modules have the names; on the last two where they are named alone."""
ENDS = ("embedding", "head")
PARAMETER = "parameter:"
"""What stands before a name of PEFT's `target_parameters`, the end of a fused tensor's."""
SAVED = "saved:"
"""What stands before a module of which a copy is trained."""


class _Module(NamedTuple):
    """A module that adapters can go on: the keys that PEFT sees are `prefix.N.name`, or the name alone outside the layers."""

    part: Part
    name: str
    role: Role
    prefix: str = ""
    layers: tuple[int, ...] = ()

    def keys(self) -> list[str]:
        return [f"{self.prefix}.{i}.{self.name}" for i in self.layers] or [self.name]

    @property
    def chosen(self) -> str:
        return f"{self.part}.{self.name}"


_PATTERN = frozenset("*+?()[]|^$\\")


def split_targets(text: str) -> tuple[str, ...]:
    """Names between commas; text with a pattern's signs is one regular expression, as PEFT takes a string.

    >>> split_targets("q_proj, self_attn.v_proj")
    ('q_proj', 'self_attn.v_proj')
    >>> split_targets(r".*layers\\.[0-9]{1,2}\\.mlp\\..*")
    ('.*layers\\\\.[0-9]{1,2}\\\\.mlp\\\\..*',)
    """
    if _PATTERN.intersection(text):
        return (text,)
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _matched(target: str, modules: Iterable[_Module]) -> set[str]:
    """The modules that a target means: those whose key is it or ends in `.` and it; for a regular expression those that it matches
    whole.

    Source: PEFT 0.21, tuners/tuners_utils.py `check_target_module_exists`, `match_target_against_key`.
    """
    if _PATTERN.intersection(target):
        from archcalc.quant._regex import Budget, CostError, Pattern

        try:
            pattern = Pattern(rf"(?:{target})\Z", Budget())
        except re.error as error:
            raise UsageError(
                f"LoRA target {target!r} is no regular expression: {error}", "name modules, such as q_proj,v_proj"
            ) from None

        def meant(key: str) -> bool:
            try:
                return pattern.match(key)
            except CostError:
                raise UsageError(f"LoRA target {target!r} takes too long to match", "name modules, such as q_proj,v_proj") from None
    else:

        def meant(key: str) -> bool:
            return key == target or key.endswith(f".{target}")

    found: set[str] = set()
    for module in modules:
        keys = module.keys()
        hits = sum(map(meant, keys))
        if 0 < hits < len(keys):
            raise UsageError(
                f"LoRA target {target!r} means {module.name} in {hits} of {len(keys)} layers: adapters in some alone are not modelled",
                f"leave the layer out, as in {module.name}",
            )
        if hits:
            found.add(module.chosen)
    return found


def targeted(
    a: Architecture, targets: Sequence[str], saved: Sequence[str] = (), missing: list[str] | None = None
) -> frozenset[str]:
    """The modules that adapters go on, as `PART.NAME`, and those `saved` whose copies are trained; raises `UsageError` where a name
    matches nothing, or with a list for the `missing` names where none does.

    As PEFT 0.21 reads names: suffixes of module names, or one regular expression; `all-linear` is every linear module but the head, which
    goes by its name, or as `head`, and so does the embedding.
    transformers 5 fuses routed experts, and where published checkpoints hold them apart, their names there (`gate_proj`, `w1`) mean the
    fused tensor and no other module of that name; gate and up go together, at twice the rank; the router goes by its name too
    (utils/transformers_weight_conversion.py `_convert_peft_config_moe`). `experts` is the fused tensors at the plain rank (PEFT's
    `target_parameters`). Those are given here as `experts.NAME` and `parameters.NAME`.
    """
    tensors: list[Tensor] = []
    modules: dict[tuple[str, str], _Module] = {}
    routers: dict[tuple[str, str], _Module] = {}

    def add(t: Tensor, part: Part, prefix: str, layers: Sequence[int]) -> None:
        tensors.append(t)
        name = t.name.removesuffix(".weight")
        if is_matrix(t) or (t.role == "router" and len(t.shape) == 2):
            into = routers if t.role == "router" else modules
            before = into.get((prefix, name))
            held = before.layers if before else ()
            into[prefix, name] = _Module(part, name, t.role, prefix, tuple(sorted({*held, *layers})))

    for s in a.stacks:
        if s.part in ADAPTED:
            for kind, layer in enumerate(s.kinds):
                for t in layer.tensors:
                    add(t, s.part, s.prefix, s.indices(kind))
    ends = _ends(a)
    for g in a.groups:
        if g.part in ADAPTED and g.part not in ENDS:
            for t in g.tensors:
                add(t, g.part, "", ())
    fused = {t.name.rpartition(".")[2]: pieces for t in tensors if (pieces := unfused(t)) is not None}
    apart = {name: tensor for tensor, names in fused.items() for name in names}
    linear_routers = all((routing := layer.routing()) is None or routing.linear for s in a.stacks for layer in s.kinds)
    routed = list(routers.values()) if apart or linear_routers else []
    linear = list(modules.values())
    plain = [m for m in linear if leaf(m.name) not in apart]
    pieces_of: set[str] = set()
    out: set[str] = set()
    for target in targets:
        match: set[str] = set()
        of_experts: set[str] = set()
        if target == "all-linear":
            match, of_experts = {m.chosen for m in (*plain, *routed)}, set(apart)
        elif target == "attention":
            match = {m.chosen for m in plain if m.role == "attention"}
        elif target == "mlp":
            match, of_experts = {m.chosen for m in plain if m.role in ("mlp", "shared_experts")}, set(apart)
        elif target == "qv":
            match = {m.chosen for m in plain if leaf(m.name) in ("q_proj", "v_proj")}
        elif target in ENDS:
            match = {m.chosen for m in ends if m.part == target}
        elif target.startswith(PARAMETER):
            end = f".{target.removeprefix(PARAMETER)}"
            match = {
                f"parameters.{name}"
                for t in tensors
                if (name := t.name.rpartition(".")[2]) in fused and unfused(t) is not None and f".{t.name}".endswith(end)
            }
        elif target == "experts" and fused:
            match = {f"parameters.{name}" for name in fused}
        elif target in apart:
            of_experts = {target}
        else:
            match = _matched(target, (*linear, *routed, *ends))
        if not match and not of_experts:
            if target.startswith(PARAMETER):
                raise UsageError(
                    f"LoRA target parameter {target.removeprefix(PARAMETER)!r} is no fused tensor of routed experts, and others are not "
                    "modelled",
                    f"the model's are {', '.join(sorted(fused))}" if fused else "the model has none: name modules instead",
                )
            if missing is not None and len(missing) + 1 < len(set(targets)):
                missing.append(target)
                continue
            known = ", ".join(sorted({leaf(m.name) for m in (*plain, *routed)} | set(apart)))
            raise UsageError(
                f"LoRA target {target!r} matches no linear module of the model",
                f"its linear modules are {known}; or {', '.join((*TARGET_SETS, *(['experts'] if fused else [])))}",
            )
        out |= match
        pieces_of |= of_experts
    for tensor, pieces in fused.items():
        given = [name for name in pieces if name in pieces_of]
        if given and len(given) < len(pieces):
            left = ", ".join(name for name in pieces if name not in pieces_of)
            raise UsageError(
                f"LoRA targets {', '.join(given)} without {left}: the reference implementation fuses them into {tensor}",
                f"add {left}",
            )
        if given:
            out.add(f"experts.{tensor}")
    for name in saved:
        whole = {m.chosen for m in ends if m.part == name} or _matched(name, ends)
        if not whole:
            raise UsageError(
                f"modules to save: {name!r} is neither the embedding nor the head, and copies of others are not modelled",
                f"they are {', '.join(sorted(leaf(m.name) for m in ends))}",
            )
        out |= {f"{SAVED}{chosen}" for chosen in whole}
    return frozenset(out)


def _ends(a: Architecture) -> list[_Module]:
    """The embedding and the head, tied or not."""
    return [
        _Module(g.part, t.name.removesuffix(".weight"), t.role)
        for g in a.groups
        if g.part in ENDS
        for t in g.tensors
        if len(t.shape) == 2 and t.name.endswith(".weight") and a.facts.vocab_size in t.shape
    ]


def unfused(t: Tensor) -> tuple[str, ...] | None:
    """The names that published checkpoints have for the pieces of fused experts (empty where they are fused there too); None for
    the rest."""
    if t.experts is None or len(t.shape) != 3:
        return None
    return tuple(dict.fromkeys(leaf(piece) for piece in t.stored))


def adapted(t: Tensor, part: Part, targets: frozenset[str]) -> int:
    """By how much the rank of the adapter beside a tensor is multiplied; 0 for none."""
    pieces = unfused(t)
    if pieces is not None:
        name = t.name.rpartition(".")[2]
        return len(pieces) if f"experts.{name}" in targets else int(f"parameters.{name}" in targets)
    takes = is_matrix(t) or (len(t.shape) == 2 and (t.role == "router" or part in ENDS))
    return int(takes and f"{part}.{t.name.removesuffix('.weight')}" in targets)


def magnitudes(t: Tensor, part: Part, tp: int = 1, *, transposed: bool = False) -> int:
    """Elements of DoRA's magnitudes beside a matrix, one for each output (Liu et al. 2024, arXiv:2402.09353, section 4.1; PEFT 0.21,
    tuners/lora/dora.py `DoraLinearLayer`); `transposed` where it is stored [in, out]. Raises `UnsupportedError` for fused experts, which
    PEFT refuses (tuners/lora/layer.py `ParamWrapper`)."""
    if t.experts is not None:
        raise UnsupportedError(
            f"DoRA: PEFT has none for {t.name}, a tensor that holds many matrices", "target other modules, such as attention"
        )
    axis = 1 if transposed or part == "embedding" else 0
    if t.shard is not None and tp > 1 and t.shard.axis == axis:
        return -(-t.shape[axis] // min(tp, t.shard.units))
    return t.shape[axis]


def adapter_elements(t: Tensor, rank: int, tp: int = 1) -> int:
    """Elements of a rank-`rank` adapter beside a matrix (Hu et al. 2021, arXiv:2106.09685, section 4.1): `rank * (in + out)`, for
    fused experts that of each. Under tensor parallelism the factor on the split side is split with it."""
    if t.experts is not None:
        return t.experts.total * rank * (t.shape[1] + t.shape[2])
    sides = list(t.shape)
    if t.shard is not None and tp > 1:
        sides[t.shard.axis] = -(-sides[t.shard.axis] // min(tp, t.shard.units))
    return rank * sum(sides)
