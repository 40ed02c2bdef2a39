"""A pipeline of diffusers: the sum of its parts, each of its own type. It denoises, and keeps no cache.

Source: diffusers 0.42, pipelines/pipeline_utils.py (`DiffusionPipeline`: model_index.json names the parts).
"""

from typing import Any

from archcalc.arch._assumed import STATES_NONE, assumed
from archcalc.arch._schema import ConfigSchema
from archcalc.arch._vlm import under
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Facts, Group, Position, Stack, Tensor

ABSENT = "absent_class"
"""The key that a part without its config.json has its class below."""


def _stored_in(a: Architecture, dtype: str) -> Architecture:
    """The architecture with every tensor in a dtype of its own, whatever the rest of a whole is stored in."""

    def own(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(t._replace(dtype=t.dtype or dtype) for t in tensors)

    return a._replace(
        groups=tuple(g._replace(tensors=own(g.tensors)) for g in a.groups),
        stacks=tuple(s._replace(kinds=tuple(k._replace(tensors=own(k.tensors)) for k in s.kinds)) for s in a.stacks),
    )


class Schema(ConfigSchema):
    prefix = ""
    core_keys = ("parts",)
    own_heads = True
    language = False

    parts: dict[str, dict[str, Any]]

    def architecture(self, prefix: str) -> Architecture:
        from archcalc.arch import adapter_name, parse

        gone = {name: config[ABSENT] for name, config in self.parts.items() if ABSENT in config}
        there = {name: config for name, config in self.parts.items() if name not in gone}
        read = {name: parse(config) for name, config in there.items() if adapter_name(config) is not None}
        if not read:
            raise UnsupportedError(
                "no part of this diffusers pipeline is read", "give the config.json of one of them, such as text_encoder"
            )
        groups: list[Group] = []
        stacks: list[Stack] = []
        unmodelled: list[str] = []
        dtypes = {name: part.dtype or assumed(part)[0] for name, part in read.items()}
        sizes: dict[str, int] = {}
        for name, part in read.items():
            sizes[dtypes[name]] = sizes.get(dtypes[name], 0) + sum(t.elements * n for _, t, n in part.each_tensor())
        most = max(sizes, key=lambda dtype: sizes[dtype])
        for name, part in read.items():
            held = under(part if dtypes[name] == most else _stored_in(part, dtypes[name]), name)
            # All are parts: none of them keeps a past.
            groups += (g._replace(part="other") for g in held.groups)
            stacks += (s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in held.stacks)
            unmodelled += (f"{name}.{key}" for key in part.unmodelled_keys)
        left = [f"{name} ({self.class_of(name)})" for name in there if name not in read]
        notes = [
            "the sum of a pipeline's parts, which keep no cache: "
            + ", ".join(f"{name} ({a.model_type})" for name, a in read.items())
        ]
        for name, part in read.items():
            why = assumed(part)[1] if part.dtype is None else next((n for n in part.notes if n.startswith(STATES_NONE)), "")
            notes += [f"{name}: {why}"] if why else []
        packed = [f"{name} ({part.quantization.get('quant_method')})" for name, part in read.items() if part.quantization]
        if packed:
            notes.append(f"quantized, and counted as if it were not: {', '.join(packed)}")
        if left:
            notes.append("not counted, as no adapter reads it: " + ", ".join(left))
        if gone:
            listed = ", ".join(f"{name} ({what})" for name, what in gone.items())
            notes.append(f"not counted, as the folder lacks its config.json: {listed}")
        first = next((a for a in read.values() if not a.facts.vocab_size), next(iter(read.values())))
        position = Position("unknown", "not stated")
        facts = Facts(first.facts.hidden_size, 0, None, "bidirectional", first.facts.heads, first.facts.heads, first.facts.head_dim,
                      "not stated", "not stated", position)  # fmt: skip
        whole = all(a.status == "counted" for a in read.values()) and not (left or gone or packed)
        return Architecture(
            "diffusers_pipeline", tuple(groups), tuple(stacks), facts, dtype=most,
            unmodelled_keys=tuple(unmodelled), notes=tuple(notes), status="counted" if whole else "partial",
        )  # fmt: skip

    def class_of(self, name: str) -> str:
        config = self.parts[name]
        classes = config.get("architectures")
        found = (
            config.get("_class_name") or (classes[0] if isinstance(classes, list) and classes else None) or config.get("model_type")
        )
        return str(found or "no class named")
