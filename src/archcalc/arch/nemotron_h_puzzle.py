"""Nemotron-H Puzzle: Nemotron-H whose layers were searched: each states what it holds of its own, such as fewer experts.

Source: SGLang 0.5, srt/configs/nemotron_h.py (`NemotronHPuzzleConfig.get_nemotron_h_config_for_layer`: a block's keys stand over the
model's; `mtp_block_configs` for the layers of MTP); vLLM 0.33, models/nemotron_h.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc.arch import nemotron_h
from archcalc.arch._alternating import FULL, LINEAR
from archcalc.arch._nemotron import MLP, MOE
from archcalc.arch._schema import per_layer
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Layer, Moe, Stack

_KINDS = {"mamba": LINEAR, "attention": FULL, "moe": MOE, "mlp": MLP}
_OWN = frozenset(
    "intermediate_size moe_intermediate_size moe_latent_size moe_shared_expert_intermediate_size n_routed_experts n_shared_experts"
    " num_experts_per_tok num_attention_heads num_key_value_heads head_dim mamba_num_heads mamba_head_dim ssm_state_size n_groups".split()
)


class Schema(nemotron_h.Schema):
    core_keys = (*nemotron_h.Schema.core_keys, "block_configs")

    block_configs: list[dict[str, Any]]
    mtp_block_configs: list[dict[str, Any]] | None = None

    def kinds(self) -> list[str]:
        named = [_kind(block, f"block_configs.{i}") for i, block in enumerate(self.block_configs)]
        if self.hybrid_override_pattern is not None or self.layers_block_type is not None:
            stated = super().kinds()
            per_layer(named, len(stated), "block_configs", "the pattern of layers")
            if stated != named:
                raise ConfigError(
                    "block_configs and the pattern of layers name different layers", "correct one of the two", "block_configs"
                )
        return named

    def of(self, block: Mapping[str, Any], key: str) -> Schema:
        """The model as one block has it."""
        own = {name: value for name, value in block.items() if name != "block_type" and value is not None}
        if unknown := own.keys() - _OWN:
            raise UnsupportedError(f"{key} holds {min(unknown)}: only {', '.join(sorted(_OWN))} are known there")
        for name, value in own.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(
                    f"{key}.{name} is {json_text(value)}: a positive integer was expected", f"correct {key}.{name}", f"{key}.{name}"
                )
        return self.model_copy(update=own)

    def layers(self, kinds: list[str]) -> list[Layer]:
        blocks = zip(self.block_configs, kinds, strict=True)
        return [self.of(block, f"block_configs.{i}").layer(kind) for i, (block, kind) in enumerate(blocks)]

    def moe(self, layers: int) -> Moe | None:
        usual = super().moe(layers)
        most = max((block.get("n_routed_experts") or self.n_routed_experts for block in self.block_configs), default=0)
        return usual._replace(experts=most) if usual else None

    def mtp(self) -> list[Stack]:
        if not self.mtp_block_configs:
            return super().mtp()
        kinds = [_kind(block, f"mtp_block_configs.{i}") for i, block in enumerate(self.mtp_block_configs)]
        shapes = [self.of(block, f"mtp_block_configs.{i}") for i, block in enumerate(self.mtp_block_configs)]
        if (
            any(shape.layer(kind) != self.layer(kind) for shape, kind in zip(shapes, kinds, strict=True))
            or kinds != self.mtp_kinds()
        ):
            raise UnsupportedError(
                "mtp_block_configs states layers of MTP that differ from the model's own: archcalc does not model them"
            )
        return super().mtp()


def _kind(block: Mapping[str, Any], key: str) -> str:
    name = block.get("block_type")
    if name not in _KINDS:
        raise ConfigError(f"{key}.block_type is {name!r}", f"one of {', '.join(_KINDS)}", f"{key}.block_type")
    return _KINDS[str(name)]
