"""The text model of PaddleOCR-VL: ERNIE 4.5's layer.

Source: transformers 5.23, models/paddleocr_vl/configuration_paddleocr_vl.py (`PaddleOCRTextConfig`, defaults).
"""

from archcalc.arch import ernie4_5


class Schema(ernie4_5.Schema):
    pass
