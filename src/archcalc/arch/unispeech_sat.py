"""UniSpeech-SAT: Wav2Vec 2.0's encoder.

Source: transformers 5.24, models/unispeech_sat/modeling_unispeech_sat.py (`UniSpeechSatModel` and its classes) and
configuration_unispeech_sat.py (defaults); Chen et al. 2021, arXiv:2110.05752.
"""

from collections.abc import Iterator

from archcalc.arch._schema import Size
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "unispeech_sat"
    always_masked = True

    num_clusters: Size = 504

    def pretraining(self) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.codevector_dim
        yield from self.quantizer(h)
        yield from linear("project_hid", self.proj_codevector_dim, h, "head", bias=True)
        yield from linear("speaker_proj", width, h, "head", bias=True)
        yield Tensor("label_embeddings_concat", (self.num_clusters, width), "head")
        yield from layer_norm("layer_norm_for_extract", h)
