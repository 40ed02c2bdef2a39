"""The vision tower of PP-Chart2Table. Source: transformers 5.23, models/pp_chart2table/ (the same as got_ocr2's)."""

from archcalc.arch.got_ocr2_vision import Schema

__all__ = ["Schema"]
