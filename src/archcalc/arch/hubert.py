"""HuBERT: Wav2Vec 2.0's encoder.

Source: transformers 5.24, models/hubert/modeling_hubert.py (`HubertModel`, `HubertForCTC`) and configuration_hubert.py (defaults); Hsu et
al. 2021, arXiv:2106.07447.
"""

from collections.abc import Iterator

from archcalc.arch._schema import Flag, divided
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.arch._whisper import conv
from archcalc.blocks.norm import layer_norm
from archcalc.model import Tensor


class Schema(Wav2Vec2Schema):
    root = "hubert"

    feat_proj_layer_norm: Flag = True
    conv_pos_batch_norm: Flag = False

    def projection(self) -> Iterator[Tensor]:
        normed = self.feat_proj_layer_norm
        return (t for t in super().projection() if normed or not t.name.startswith("layer_norm"))

    def positions(self) -> Iterator[Tensor]:
        if not self.conv_pos_batch_norm:
            yield from super().positions()
            return
        h, groups = self.hidden_size, self.num_conv_pos_embedding_groups
        inner = divided(h, groups, "hidden_size", "num_conv_pos_embedding_groups")
        yield from conv("conv", h, inner, self.num_conv_pos_embeddings)
        yield from layer_norm("batch_norm", h)
