"""Intern-S1: InternVL's structure over Qwen 3.

Source: internlm/Intern-S1-mini, modeling_interns1.py and configuration_interns1.py; vLLM 0.33, models/interns1.py
(`InternS1MultiModalProjector`) and models/interns1_vit.py.
"""

from typing import Annotated

from archcalc.arch import internvl
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, Flag, nested


class Schema(internvl.Schema):
    core_keys = ("text_config",)
    renames = ()

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    tie_word_embeddings: Flag | None = False
