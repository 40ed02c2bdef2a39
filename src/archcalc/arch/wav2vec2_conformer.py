"""Wav2Vec 2.0 with conformers for layers.

Source: transformers 5.24, models/wav2vec2_conformer/modeling_wav2vec2_conformer.py (`Wav2Vec2ConformerModel` and its classes) and
configuration_wav2vec2_conformer.py (defaults); Wang et al. 2020, arXiv:2010.05171.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

from archcalc.arch._conformer import conformer_layer
from archcalc.arch._schema import Size
from archcalc.arch._wav2vec2 import Wav2Vec2Schema, contrastive
from archcalc.blocks._tensor import linear
from archcalc.model import Layer, Tensor


class Schema(Wav2Vec2Schema):
    inert_keys = (*Wav2Vec2Schema.inert_keys, "max_source_positions", "rotary_embedding_base")
    root = "wav2vec2_conformer"

    vocab_size: Size | None = None
    position_embeddings_type: Literal["relative", "rotary"] | None = "relative"
    conv_depthwise_kernel_size: Size = 31

    def distances(self) -> Iterator[Tensor]:
        h, n = self.hidden_size, self.num_attention_heads
        if self.position_embeddings_type == "relative":
            yield from linear("linear_pos", h, h, "attention")
            yield from (Tensor(name, (n, h // n), "attention") for name in ("pos_bias_u", "pos_bias_v"))

    def layer(self, index: int) -> Layer:
        return conformer_layer(
            self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act, self.conv_depthwise_kernel_size,
            "batch_norm", self.distances(),
        )  # fmt: skip

    def pretraining(self) -> Iterable[Tensor]:
        return contrastive(self)
