"""The decoder of PP-FormulaNet: mBART's, alone.

Source: transformers 5.23, models/pp_formulanet/modeling_pp_formulanet.py (`PPFormulaNetTextModel`) and configuration_pp_formulanet.py
(defaults).
"""

from archcalc.arch import mbart
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size


class Schema(mbart.Schema):
    inert_keys = (*mbart.Schema.inert_keys, "decoder_layerdrop")
    alone_tied = False

    vocab_size: Size = 50000
    max_position_embeddings: Size = 2560
    d_model: Size = named(512, "d_model", "hidden_size")
    decoder_layers: Layers = 8
    decoder_ffn_dim: Size = 2048
    tie_word_embeddings: Flag = False

    @property
    def alone(self) -> bool:
        return True
