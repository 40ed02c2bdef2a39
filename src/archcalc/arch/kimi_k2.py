"""Kimi K2: DeepSeek-V3's structure with more experts and fewer heads, without MTP.

Source: transformers 5.23, models/deepseek_v3/ (the published configs name DeepSeek-V3's classes).
"""

from archcalc.arch import deepseek_v3


class Schema(deepseek_v3.Schema):
    pass
