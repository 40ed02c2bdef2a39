"""PEGASUS-X: PEGASUS for long inputs, whose encoder sees blocks and a few learned tokens that see all.

Source: transformers 5.23, models/pegasus_x/modeling_pegasus_x.py and configuration_pegasus_x.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Layers, Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import SINUSOIDAL, Layer, Tensor


class Schema(BartSchema):
    inert_keys = (*BartSchema.inert_keys, "block_size", "stagger_local_blocks")
    logits_bias = False
    norm_label = "LayerNorm (pre)"
    position = SINUSOIDAL

    vocab_size: Size = 96103
    max_position_embeddings: Size = 16384
    encoder_layers: Layers = 16
    decoder_layers: Layers = 16
    num_global_tokens: Size = 32

    def bias(self) -> bool:
        return False

    def encoder_layer(self) -> Layer:
        layer = super().encoder_layer()
        return layer._replace(tensors=(*layer.tensors, *layer_norm("global_self_attn_layer_norm", self.d_model)))

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        if not decodes:
            yield table("embed_global", self.num_global_tokens, self.d_model)
        yield from layer_norm("layer_norm", self.d_model)
