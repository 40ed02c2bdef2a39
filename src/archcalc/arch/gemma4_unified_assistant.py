"""Gemma 4 Unified's draft: that of Gemma 4 over the other text model.

Source: transformers 5.24, models/gemma4_unified_assistant/modeling_gemma4_unified_assistant.py and
configuration_gemma4_unified_assistant.py (defaults).
"""

from typing import Annotated

from archcalc.arch import gemma4_assistant
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import Size, nested
from archcalc.arch.gemma4_text import Gemma4UnifiedText as Text


class Schema(gemma4_assistant.Schema):
    text_config: Annotated[Text, nested("gemma4_unified_text"), DEFAULT]
    backbone_hidden_size: Size = 3840
