"""The text model of Inkling 2 Mini: Inkling 2 whose middle layers run several times over, each time over a past of their own.

Gates mix what the blocks of one pass made into the queries, keys, values and FFNs of the next.

Source: transformers 5.24, models/inkling2_loop/modeling_inkling2_loop.py (`Inkling2LoopModel`) and configuration_inkling2_loop.py
(defaults, `loop_config`), conversion_mapping.py ("inkling2_loop_text").
"""

from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch import inkling2_text
from archcalc.arch._decoder import join
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Group, Layer, Tensor, stack

RENAMES = (
    *(
        (f".{ours}_message_gate.", f".controllers.{theirs}.")
        for ours, theirs in (("q", "attn"), ("k", "k"), ("v", "v"), ("mlp", "mlp"))
    ),
    *inkling2_text.NAMES,
)
_OLD = {
    "core_start": "loop_layer_index_start", "core_end": "loop_layer_index_end", "num_passes": "loop_num_passes",
    "gate_rank": "loop_gate_rank",
}  # fmt: skip


class Schema(inkling2_text.Schema):
    inert_keys = (*inkling2_text.Schema.inert_keys, "loop_config")

    hidden_size: Size = 2304
    intermediate_size: Size = Field(1152, validation_alias=AliasChoices("intermediate_size", "moe_intermediate_size"))
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 24
    swa_num_attention_heads: Size = 24
    n_routed_experts: Size = Field(128, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    loop_layer_index_start: Size = 6
    loop_layer_index_end: Size = 18
    loop_num_passes: Layers = 3
    loop_gate_rank: Size = 64
    n_layers_per_attn_res_block: Size = 6

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        loop = config.get("loop_config")
        return {**config, **{_OLD[key]: value for key, value in loop.items() if key in _OLD}} if isinstance(loop, dict) else config

    def looped(self, layer: Layer) -> Layer:
        """The layer with its gates, and with the past of each pass."""
        h, rank, passes = self.hidden_size, self.loop_gate_rank, self.loop_num_passes
        gates: list[Tensor] = []
        for name in ("q", "k", "v", "mlp"):
            gates += prefixed(f"{name}_message_gate", linear("down_proj", rank, 2 * h, "other"))
            for gate in ("forget_gate_proj", "message_gate_proj"):
                gates += (t._replace(dtype="F32") for t in linear(f"{name}_message_gate.{gate}", h, rank, "other"))
        return layer._replace(tensors=(*layer.tensors, *gates), caches=layer.caches * passes, attends=layer.attends * passes)

    def architecture(self, prefix: str) -> Architecture:
        start, end, block = self.loop_layer_index_start, self.loop_layer_index_end, self.n_layers_per_attn_res_block
        for key, value in (("loop_layer_index_start", start), ("loop_layer_index_end", end)):
            if value % block or not start < end <= self.num_hidden_layers:
                why = f"{key} is {value}: multiples of {block} in order, up to the {self.num_hidden_layers} layers, were expected"
                raise ConfigError(why, "correct it", key)
        a = super().architecture(prefix)
        once = a.stacks[0]
        layers = [once.kinds[kind] for kind in once.pattern]
        layers[start:end] = [self.looped(layer) for layer in layers[start:end]]
        query = Tensor(join(prefix, "message_input.query"), (end - start, 4, self.hidden_size), "other")
        loops = ("recurrence", f"{self.loop_num_passes} passes through layers {start} to {end - 1}")
        return a._replace(
            renames=RENAMES, groups=(*a.groups, Group("decoder", (query,))),
            notes=("FLOPs count the matrices of a layer once, however often it runs",),
            stacks=(stack(once.prefix, "decoder", layers), *a.stacks[1:]), facts=a.facts._replace(more=(*a.facts.more, loops)),
        )  # fmt: skip
