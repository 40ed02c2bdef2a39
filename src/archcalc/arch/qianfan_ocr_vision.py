"""The vision tower of Qianfan-OCR: InternViT with biased queries, keys and values.

Source: transformers 5.23, models/qianfan_ocr/modeling_qianfan_ocr.py (`QianfanOCRVisionModel`) and configuration_qianfan_ocr.py
(defaults).
"""

from archcalc.arch import internvl_vision
from archcalc.arch._schema import Flag


class Schema(internvl_vision.Schema):
    inert_keys = (*internvl_vision.Schema.inert_keys, "drop_path_rate")
    layers_name = "layers"

    attention_bias: Flag = True
