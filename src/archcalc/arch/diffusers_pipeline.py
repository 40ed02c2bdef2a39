"""A pipeline of diffusers: the sum of its parts, each of its own type. It denoises, and keeps no cache.

Source: diffusers 0.42, pipelines/pipeline_utils.py (`DiffusionPipeline`: model_index.json names the parts).
"""

from typing import Any

from archcalc.arch._schema import ConfigSchema, stored_dtype
from archcalc.arch._vlm import under
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Facts, Group, Position, Stack

ABSENT = "absent_class"
"""The key that a part without its config.json has its class below."""


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
        for name, part in read.items():
            held = under(part, name)
            # All are parts: none of them keeps a past.
            groups += (g._replace(part="other") for g in held.groups)
            stacks += (s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in held.stacks)
            unmodelled += (f"{name}.{key}" for key in part.unmodelled_keys)
        left = [f"{name} ({self.class_of(name)})" for name in there if name not in read]
        notes = [
            "the sum of a pipeline's parts, which keep no cache: "
            + ", ".join(f"{name} ({a.model_type})" for name, a in read.items())
        ]
        if left:
            notes.append("not counted, as no adapter reads it: " + ", ".join(left))
        if gone:
            listed = ", ".join(f"{name} ({what})" for name, what in gone.items())
            notes.append(f"not counted, as the folder lacks its config.json: {listed}")
        first = next((a for a in read.values() if not a.facts.vocab_size), next(iter(read.values())))
        position = Position("unknown", "not stated")
        facts = Facts(first.facts.hidden_size, 0, None, "bidirectional", first.facts.heads, first.facts.heads, first.facts.head_dim,
                      "not stated", "not stated", position)  # fmt: skip
        whole = all(a.status == "counted" for a in read.values()) and not left and not gone
        return Architecture(
            "diffusers_pipeline", tuple(groups), tuple(stacks), facts, dtype=stored_dtype(*self.parts.values()),
            unmodelled_keys=tuple(unmodelled), notes=tuple(notes), status="counted" if whole else "partial",
        )  # fmt: skip

    def class_of(self, name: str) -> str:
        config = self.parts[name]
        classes = config.get("architectures")
        found = (
            config.get("_class_name") or (classes[0] if isinstance(classes, list) and classes else None) or config.get("model_type")
        )
        return str(found or "no class named")
