"""MRA: BERT whose attention is computed block by block at several resolutions. Positions start at 2.

Source: transformers 5.24, models/mra/modeling_mra.py (`MraForMaskedLM`) and configuration_mra.py (defaults); Zeng et al. 2022,
arXiv:2207.10284.
"""

from archcalc.arch import yoso
from archcalc.arch._schema import Size


class Schema(yoso.Schema):
    inert_keys = (
        *yoso.Schema.inert_keys, "block_per_row", "approx_mode", "initial_prior_first_n_blocks", "initial_prior_diagonal_n_blocks",
    )  # fmt: skip
    root = "mra"
    way = "approximated in blocks"

    max_position_embeddings: Size = 512

    def convolution(self) -> int | None:
        return None
