"""Falcon Mamba: Mamba with norms that have no weights.

Source: transformers 5.23, models/falcon_mamba/modeling_falcon_mamba.py and configuration_falcon_mamba.py (defaults).
"""

from archcalc.arch import mamba


class Schema(mamba.Schema):
    pass
