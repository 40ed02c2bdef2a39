"""The text model of Hunyuan-OCR: Hunyuan's dense decoder, tied.

Source: transformers 5.23, models/hunyuan_vl/modeling_hunyuan_vl.py (`HunYuanVLTextModel`) and configuration_hunyuan_vl.py (defaults).
"""

from archcalc.arch import hunyuan_v1_dense
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Size


class Schema(hunyuan_v1_dense.Schema):
    vocab_size: Size = named(290943, "vocab_size", "org_vocab_size")
    head_dim: Size | None = named(None, "head_dim", "attention_head_dim")
    tie_word_embeddings: Flag = True
