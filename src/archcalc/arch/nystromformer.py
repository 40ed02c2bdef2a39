"""Nyströmformer: BERT whose attention goes through landmarks, beside a convolution over the values. Positions start at 2.

Source: transformers 5.24, models/nystromformer/modeling_nystromformer.py (`NystromformerForMaskedLM`) and
configuration_nystromformer.py (defaults); Xiong et al. 2021, arXiv:2102.03902.
"""

from archcalc.arch import yoso
from archcalc.arch._schema import Count, Size


class Schema(yoso.Schema):
    inert_keys = (
        *yoso.Schema.inert_keys, "segment_means_seq_len", "num_landmarks", "inv_coeff_init_option",
    )  # fmt: skip
    root = "nystromformer"
    way = "through landmarks"

    vocab_size: Size = 30000
    max_position_embeddings: Size = 510
    type_vocab_size: Size = 2
    hidden_act: str = "gelu_new"
    conv_kernel_size: Count | None = 65

    def convolution(self) -> int | None:
        return self.conv_kernel_size
