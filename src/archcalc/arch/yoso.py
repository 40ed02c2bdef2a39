"""YOSO: BERT whose attention is estimated by hashing. Positions start at 2.

Source: transformers 5.24, models/yoso/modeling_yoso.py (`YosoForMaskedLM`) and configuration_yoso.py (defaults); Zeng et al. 2021,
arXiv:2111.09714.
"""

from collections.abc import Iterator
from typing import Any, ClassVar

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Count, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Layer, Tensor


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    inert_keys: ClassVar[tuple[str, ...]] = (
        *BertSchema.inert_keys, "use_expectation", "hash_code_len", "num_hash", "use_fast_hash", "lsh_backward",
    )  # fmt: skip
    pooler = ""
    root = "yoso"
    way: ClassVar[str] = "estimated by hashing"

    vocab_size: Size = 50265
    max_position_embeddings: Size = 4096
    type_vocab_size: Size = 1
    conv_window: Count | None = None

    def tables(self) -> Iterator[Tensor]:
        width = self.hidden_size
        yield table("position_embeddings", self.max_position_embeddings + 2, width)
        yield table("token_type_embeddings", self.type_vocab_size, width)
        yield from layer_norm("LayerNorm", width)

    def convolution(self) -> int | None:
        """Tokens that a convolution over the values sees, where there is one."""
        return self.conv_window

    def layer(self) -> Layer:
        layer, kernel, heads = super().layer(), self.convolution(), self.num_attention_heads
        conv = (Tensor("attention.self.conv.weight", (heads, 1, kernel, 1), "attention"),) if kernel else ()
        return layer._replace(mixer=f"{layer.mixer}, {self.way}", tensors=(*layer.tensors, *conv))

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED, "attention": f"MHA, bidirectional, {self.way}"}


class Mra(Schema):
    """MRA: BERT whose attention is computed block by block at several resolutions. Positions start at 2.
    Source: transformers 5.24, models/mra/modeling_mra.py (`MraForMaskedLM`) and configuration_mra.py (defaults); Zeng et al. 2022,
    arXiv:2207.10284."""

    inert_keys = (
        *Schema.inert_keys, "block_per_row", "approx_mode", "initial_prior_first_n_blocks", "initial_prior_diagonal_n_blocks",
    )  # fmt: skip
    root = "mra"
    way = "approximated in blocks"

    max_position_embeddings: Size = 512

    def convolution(self) -> int | None:
        return None


class Nystromformer(Schema):
    """Nyströmformer: BERT whose attention goes through landmarks, beside a convolution over the values. Positions start at 2.
    Source: transformers 5.24, models/nystromformer/modeling_nystromformer.py (`NystromformerForMaskedLM`) and
    configuration_nystromformer.py (defaults); Xiong et al. 2021, arXiv:2102.03902."""

    inert_keys = (*Schema.inert_keys, "segment_means_seq_len", "num_landmarks")
    root = "nystromformer"
    way = "through landmarks"

    vocab_size: Size = 30000
    max_position_embeddings: Size = 510
    type_vocab_size: Size = 2
    hidden_act: str = "gelu_new"
    conv_kernel_size: Count | None = 65

    def convolution(self) -> int | None:
        return self.conv_kernel_size
