"""The text model of Kosmos-2.5: Kosmos-2's without the norm inside attention, and with an embedding of two segments.

Source: transformers 5.23, models/kosmos2_5/modeling_kosmos2_5.py (`Kosmos2_5TextForCausalLM`) and configuration_kosmos2_5.py (defaults).
"""

from typing import Any

from archcalc.arch import kosmos_2_text_model
from archcalc.arch._computes import Computes
from archcalc.arch._plain import named
from archcalc.arch._schema import Size, Tokens
from archcalc.blocks.vision import table


class Schema(kosmos_2_text_model.Schema):
    reads_head_dim = True
    norm_label = "LayerNorm (pre, and within the FFN)"
    inner_norm = False

    vocab_size: Size = 108481
    max_position_embeddings: Tokens = 4096
    hidden_size: Size = named(1536, "embed_dim", "hidden_size")
    intermediate_size: Size = named(6144, "ffn_dim", "intermediate_size")
    num_attention_heads: Size = named(16, "attention_heads", "num_attention_heads")

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="fp32")

    def decoder_options(self) -> dict[str, Any]:
        return {"extra_embedding": [table("segment_emb", 2, self.hidden_size)]}
