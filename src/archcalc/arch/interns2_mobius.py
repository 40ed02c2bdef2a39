"""Intern-S2 Mobius: Qwen 3.5 with experts, whose layers share a few banks of them; what reads time series is not counted.

Source: vLLM 0.33, models/interns2_mobius.py (`InternS2MobiusModel`, `InternS2MobiusDecoderLayer`, `InternS2MobiusMTP`); SGLang 0.5.23,
srt/models/interns2_mobius.py and srt/configs/interns2_mobius.py (`num_blocks`).
"""

from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5, qwen3_5_text
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, TowerSchema, nested
from archcalc.blocks._tensor import prefixed
from archcalc.model import Architecture, Experts, Layer, Stack, Tensor


def _routed(t: Tensor) -> bool:
    return t.experts is not None or t.role == "router"


class Interns2MobiusText(qwen3_5_text.Qwen35MoeText):
    """The text model of Intern-S2 Mobius: each layer has a shared expert of its own, and a bank of routed ones with others.
    Source: vLLM 0.33, models/interns2_mobius.py (`InternS2MobiusMetaMoeBlock`, `InternS2MobiusSharedExpertBlock`)."""

    num_blocks: Layers = 4
    layer_scale: Flag = False

    def apart(self, layer: Layer) -> Layer:
        """A layer without its routed experts."""
        scales = tuple(Tensor(f"{name}_layer_scale", (1, 1, self.hidden_size), "other") for name in ("attn", "ffn"))
        return layer._replace(
            tensors=(*(t for t in layer.tensors if not _routed(t)), *(scales if self.layer_scale else ())),
        )

    def bank(self, t: Tensor) -> Tensor:
        """A bank's tensor: a token visits it in each layer that shares it."""
        if t.experts is None:
            return t
        visits = -(-self.num_hidden_layers // self.num_blocks) * t.experts.active
        return t._replace(experts=Experts(t.experts.total, min(visits, t.experts.total)))

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks: list[Stack] = []
        banks: list[Tensor] = []
        for s in a.stacks:
            if s.part != "decoder":
                stacks.append(s)
                continue
            held = [self.bank(t) for t in s.kinds[0].tensors if _routed(t)]
            for i in range(self.num_blocks):
                named = (
                    t._replace(name=t.name.removeprefix("mlp."), stored=tuple(name.removeprefix("mlp.") for name in t.stored))
                    for t in held
                )
                banks += prefixed(join(prefix, f"meta_mlp.{i}"), named)
            stacks.append(s._replace(kinds=tuple(map(self.apart, s.kinds))))
        more = (*a.facts.more, ("banks of experts", f"{self.num_blocks}, shared by the layers"))
        return a._replace(
            stacks=tuple(stacks),
            groups=(*a.groups, group("decoder", banks)),
            facts=a.facts._replace(more=more),
        )


class Schema(qwen3_5.Schema):
    inert_keys = ("ts_config", "ts_token_id", "ts_start_id", "ts_end_id")

    text_config: Annotated[ConfigSchema, nested("interns2_mobius_text", fixed=True), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("qwen3_5_moe_vision", "interns2_mobius"), Field(default={}, validate_default=True)]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what reads time series is not counted"))
