"""FNet: BERT with a Fourier transform in place of attention.

Source: transformers 5.24, models/fnet/modeling_fnet.py (`FNetForMaskedLM`) and configuration_fnet.py (defaults); Lee-Thorp et al. 2021,
arXiv:2105.03824.
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Layer, Tensor


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    inert_keys = (*BertSchema.inert_keys, "tpu_short_seq_length", "use_tpu_fourier_optimizations")
    root = "fnet"

    vocab_size: Size = 32000
    num_attention_heads: Size = 1  # there are none
    hidden_act: str = "gelu_new"
    type_vocab_size: Size = 4

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        yield from linear("projection", self.hidden_size, self.hidden_size, "embedding", bias=True)

    def layer(self) -> Layer:
        h, ffn = self.hidden_size, FeedForward(
            self.hidden_size, self.intermediate_size, self.hidden_act, names=("intermediate.dense", "output.dense")
        )  # fmt: skip
        norms = (*layer_norm("fourier.output.LayerNorm", h), *layer_norm("output.LayerNorm", h))
        return make_layer(None, ffn, norms, ffn_name="")._replace(mixer="Fourier transform", mixer_width=2 * h)

    def more(self) -> dict[str, Any]:
        return {"attention": "none: a Fourier transform over tokens and width", "heads": 0, "kv_heads": 0, "head_dim": 0}
