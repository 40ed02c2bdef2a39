"""Ling and Ring 2 under the name that some of their configs have.

Source: inclusionAI/Ling-mini-2.0, configuration_bailing_moe_v2.py; vLLM 0.33, models/bailing_moe.py (`BailingMoeV2ForCausalLM`).
"""

from __future__ import annotations

from typing import ClassVar

from archcalc.arch import bailing_moe


class Schema(bailing_moe.Schema):
    name: ClassVar[str] = "bailing_moe_v2"
