"""The decoders of GPT's first years: LayerNorm, a plain FFN four times as wide, as many keys as queries, a tied head.

Source: transformers 5.23, models/gpt2/modeling_gpt2.py; relatives override what differs.
"""

from archcalc.arch._plain import Derived, PlainSchema
from archcalc.arch._schema import Flag


class ClassicSchema(PlainSchema):
    """Below `transformer`, its layers as `h`."""

    prefix = "model"
    prefix = "transformer"
    reads_head_dim = False
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    last_norm = "ln_f"
    gated = False
    grouped = False

    intermediate_size: Derived = 0
    tie_word_embeddings: Flag = True

    @property
    def ffn_size(self) -> int:
        return 4 * self.hidden_size
