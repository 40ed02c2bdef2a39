"""Hunyuan 0.5B to 7B: Llama's layer with QK-norm.

Source: transformers 5.23, models/hunyuan_v1_dense/modeling_hunyuan_v1_dense.py and configuration_hunyuan_v1_dense.py (defaults).
"""

from typing import ClassVar

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer


class Schema(PlainSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "attention_head_dim", "cla_share_factor", "im_end_id", "im_newline_id", "im_start_id", "norm_type", "org_vocab_size",
        "position_embedding_xdrope", "qk_norm", "text_end_id", "text_start_id", "use_cla", "use_qk_norm", "use_rotary_pos_emb",
        "add_classification_head", "class_num", "dense_list", "mlp_bias", "pool_type",
    )  # fmt: skip
    whole_heads = False

    vocab_size: Size = 290943
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, names = self.attention_bias, ("query_layernorm", "key_layernorm")
        return self.gqa(bias=bias, output_bias=bias, qk_norm="head", norm_names=names)


class HunyuanVlText(Schema):
    """The text model of Hunyuan-OCR: Hunyuan's dense decoder, tied.
    Source: transformers 5.23, models/hunyuan_vl/modeling_hunyuan_vl.py (`HunYuanVLTextModel`) and configuration_hunyuan_vl.py (defaults).
    """

    vocab_size: Size = named(290943, "vocab_size", "org_vocab_size")
    head_dim: Size | None = named(None, "head_dim", "attention_head_dim")
    tie_word_embeddings: Flag = True
