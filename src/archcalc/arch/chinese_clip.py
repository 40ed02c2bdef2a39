"""Chinese CLIP: CLIP with BERT for text.

Source: transformers 5.24, models/chinese_clip/modeling_chinese_clip.py (`ChineseCLIPModel`) and configuration_chinese_clip.py (defaults);
Yang et al. 2022, arXiv:2211.01335.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch import bert, clip, clip_vision_model
from archcalc.arch._composite import DEFAULT
from archcalc.arch._dual import DualSchema, bert_tower
from archcalc.arch._schema import Flag, Size, nested
from archcalc.model import Architecture, Tensor


class ChineseClipTextModel(bert.Schema):
    """The text tower of Chinese CLIP: BERT without a head or a pooler.
    Source: transformers 5.24, models/chinese_clip/modeling_chinese_clip.py (`ChineseCLIPTextModel`)."""

    keeps_past = False
    reads_encoder = False
    prefix = "text_model"
    core_keys = ()
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        return bert_tower(self, prefix, pooled=False)


class Schema(DualSchema):
    text_config: Annotated[ChineseClipTextModel, nested("chinese_clip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[clip_vision_model.Schema, nested("clip_vision_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        return clip.shared(self.projection_dim, text.hidden_size, vision.hidden_size)
