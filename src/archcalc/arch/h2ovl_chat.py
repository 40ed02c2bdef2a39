"""H2OVL: InternVL's structure.

Source: vLLM 0.33, models/h2ovl.py (`H2OVLChatModel`, a subclass of what reads InternVL).
"""

from archcalc.arch import internvl_chat
from archcalc.model import Architecture


class Schema(internvl_chat.Schema):
    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture(prefix)._replace(model_type="h2ovl_chat")
