"""The text tower of SigLIP 2: SigLIP's.

Source: transformers 5.23, models/siglip2/modeling_siglip2.py (`Siglip2TextModel`).
"""

from archcalc.arch.siglip_text_model import Schema

__all__ = ["Schema"]
