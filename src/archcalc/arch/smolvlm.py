"""SmolVLM: Idefics 3 with a smaller text model.

Source: transformers 5.23, models/smolvlm/modeling_smolvlm.py and configuration_smolvlm.py (defaults).
"""

from archcalc.arch import idefics3


class Schema(idefics3.Schema):
    pass
