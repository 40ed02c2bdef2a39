"""JoyAI-LLM Flash: DeepSeek-V3's layers.

Source: mlx-lm 0.32, mlx_lm/utils.py (`MODEL_REMAPPING`: read as deepseek_v3).
"""

from __future__ import annotations

from archcalc.arch import deepseek_v3


class Schema(deepseek_v3.Schema):
    name = "joyai_llm_flash"
