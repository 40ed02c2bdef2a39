"""PLaMo 1: attention and FFN in parallel behind one norm; keys and values for every `n_shared_head` query heads.

Source: mlx-lm 0.32, models/plamo.py; pfnet/plamo-13b, modeling_plamo.py (the same).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Size, Tokens


class Schema(PlainSchema):
    norms = ("norm",)
    norm_label = "RMSNorm (pre, one for attention and FFN in parallel)"

    n_shared_head: Size = 8
    max_position_embeddings: Tokens = 4096

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=True)

    @property
    def kv_heads(self) -> int:
        return -(-self.num_attention_heads // self.n_shared_head)

    def decoder_options(self) -> dict[str, Any]:
        return {"layers_name": "layers.layers"}
