"""The encoder of Omnilingual ASR: Wav2Vec 2.0's, with biases and norms at each convolution.

Source: transformers 5.24, models/omniasr/modeling_omniasr.py (`OmniASRAudioModel`) and configuration_omniasr.py (defaults).
"""

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.model import stack


class Schema(Wav2Vec2Schema):
    root = ""

    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096
    conv_bias: Flag = True

    def normed(self, index: int) -> bool:
        return True

    def tower(self, prefix: str) -> Pieces:
        h, inner = self.hidden_size, self.hidden_size // self.num_conv_pos_embedding_groups
        outside = [
            *prefixed("subsampling", (*self.convolutions(), *self.projection())),
            *conv("encode_positions.conv", h, inner, self.num_conv_pos_embeddings),
            *layer_norm("layer_norm", h),
        ]
        layers = stack(join(prefix, "layers"), "audio", map(self.layer, range(self.num_hidden_layers)))
        return [group("audio", prefixed(prefix, outside) if prefix else outside)], [layers]
