"""MiniCPM-V 4.7: MiniCPM-V 4.6 with positions over the whole canvas.

Source: transformers 5.23, models/minicpmv4_7/modeling_minicpmv4_7.py and configuration_minicpmv4_7.py (defaults).
"""

from archcalc.arch import minicpmv4_6


class Schema(minicpmv4_6.Schema):
    pass
