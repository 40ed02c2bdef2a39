"""PP-Chart2Table: GOT-OCR 2 under another name. Source: transformers 5.23, models/pp_chart2table/configuration_pp_chart2table.py."""

from archcalc.arch import got_ocr2


class Schema(got_ocr2.Schema):
    pass
