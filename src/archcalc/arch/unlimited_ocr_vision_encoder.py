"""CLIP as Unlimited-OCR has it: SAM's output in place of patches, and no norm behind the layers.

Source: transformers 5.23, models/unlimited_ocr/modeling_unlimited_ocr.py (`UnlimitedOcrVisionEncoder`) and
configuration_unlimited_ocr.py (defaults).
"""

from archcalc.arch import clip_vision_model
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Layers, Size
from archcalc.model import Group

ABSENT = (".embeddings.patch_embedding.weight", ".post_layernorm.weight", ".post_layernorm.bias")


class Schema(clip_vision_model.Schema):
    hidden_size: Size = 1024
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    patch_size: Size = 14

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        return [Group(g.part, tuple(t for t in g.tensors if not t.name.endswith(ABSENT))) for g in groups], stacks
