"""MiniMax-M1: Text-01's structure.

Source: MiniMaxAI/MiniMax-M1-80k, configuration_minimax_m1.py.
"""

from archcalc.arch import minimax_text_01


class Schema(minimax_text_01.Schema):
    pass
