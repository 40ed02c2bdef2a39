"""Intern-S1 Pro: Qwen3-VL with experts, without deep stacking; rotary positions mix their frequencies by learned matrices.

What reads time series is not counted.

Source: vLLM 0.33, models/interns1_pro.py (`InternS1ProForConditionalGeneration`) and layers/rotary_embedding/fope.py (`cos_coef`,
`sin_coef`); SGLang 0.5.23, srt/models/interns1pro.py (`deepstack_visual_indexes` is empty where it is not stated).
"""

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from archcalc.arch import qwen3_5, qwen3_moe, qwen3_vl_moe_vision
from archcalc.arch._decoder import group
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks._tensor import prefixed
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Architecture, Tensor


class Interns1ProVision(qwen3_vl_moe_vision.Schema):
    """The vision tower of Intern-S1 Pro: Qwen3-VL's, whose last layer alone feeds the text.
    Source: SGLang 0.5.23, srt/models/interns1pro.py."""

    deepstack_visual_indexes: tuple[int, ...] = ()


class Interns1ProText(qwen3_moe.Qwen3VlMoeText):
    """The text model of Intern-S1 Pro: Qwen 3's with experts, routed in groups, and FoPE.
    Source: vLLM 0.33, models/interns1_pro.py (`InternS1ProMoeDecoderLayer`) and layers/rotary_embedding/fope.py."""

    inert_keys = (*qwen3_moe.Qwen3VlMoeText.inert_keys, "router_n_groups")

    def frequencies(self) -> int:
        """How many frequencies are mixed; 0 where positions turn as usual."""
        extra = self.model_extra or {}
        held = extra.get("rope_scaling") or extra.get("rope_parameters") or {}
        stated = held if isinstance(held, Mapping) else {}
        if all(stated.get(key) is None for key in ("fope_init_factor", "fope_sep_head", "num_inv_freq")):
            return 0
        number = stated.get("num_inv_freq")
        if number is not None and (not isinstance(number, int) or number > self.head_size // 2):
            raise UnsupportedError(
                f"rope_scaling.num_inv_freq is {json_text(number)}: at most half of a head ({self.head_size // 2}) is known"
            )
        return number or self.head_size // 2

    def architecture(self, prefix: str) -> Architecture:
        a, n = super().architecture(prefix), self.frequencies()
        if not n:
            return a
        tensors = (Tensor(f"rotary_emb.{name}", (self.kv_heads, n, n), "attention") for name in ("sin_coef", "cos_coef"))
        position = a.facts.position.also(", frequencies mixed (FoPE)")
        groups = (*a.groups, group("decoder", prefixed(prefix, tensors)))
        return a._replace(groups=groups, facts=a.facts._replace(position=position))


class Schema(qwen3_5.Schema):
    inert_keys = ("ts_config", "ts_token_id", "ts_start_id", "ts_end_id")

    text_config: Annotated[ConfigSchema, nested("interns1_pro_text", fixed=True), Field(default={}, validate_default=True)]
    vision_config: Annotated[TowerSchema, nested("interns1_pro_vision", fixed=True), Field(default={}, validate_default=True)]

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, "what reads time series is not counted"))
