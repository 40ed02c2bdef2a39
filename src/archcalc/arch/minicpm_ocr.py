"""MiniCPM-OCR: MiniCPM-V 4.6 with a tied head.

Source: transformers 5.23, models/minicpm_ocr/modeling_minicpm_ocr.py and configuration_minicpm_ocr.py (defaults).
"""

from archcalc.arch import minicpmv4_6
from archcalc.arch._schema import Flag


class Schema(minicpmv4_6.Schema):
    tie_word_embeddings: Flag | None = True
