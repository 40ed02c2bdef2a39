"""Skywork R1V: InternVL's structure.

Source: vLLM 0.33, models/skyworkr1v.py (`SkyworkR1VChatModel`, a subclass of what reads InternVL).
"""

from archcalc.arch import internvl_chat
from archcalc.model import Architecture


class Schema(internvl_chat.Schema):
    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture(prefix)._replace(model_type="skywork_chat")
