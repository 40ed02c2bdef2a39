"""mBART: BART with norms before the blocks and one at the end.

Source: transformers 5.23, models/mbart/modeling_mbart.py and configuration_mbart.py (defaults).
"""

from archcalc.arch._bart import BartSchema
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size


class Schema(BartSchema):
    last_norm = True
    norm_label = "LayerNorm (pre)"


class PpFormulanetText(Schema):
    """The decoder of PP-FormulaNet: mBART's, alone.
    Source: transformers 5.23, models/pp_formulanet/modeling_pp_formulanet.py (`PPFormulaNetTextModel`) and configuration_pp_formulanet.py
    (defaults)."""

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
