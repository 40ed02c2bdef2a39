"""AltCLIP: CLIP whose text tower is XLM-RoBERTa, projected from its first token.

Source: transformers 5.24, models/altclip/modeling_altclip.py (`AltCLIPModel`, `AltCLIPTextModel`, `AltCLIPVisionModel`) and
configuration_altclip.py (defaults); Chen et al. 2022, arXiv:2211.06679.
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch import clip, clip_vision_model, roberta
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join
from archcalc.arch._dual import DualSchema, bert_tower
from archcalc.arch._schema import Flag, Layers, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Tensor


class AltclipTextModel(roberta.Schema):
    """The text tower of AltCLIP.
    Source: transformers 5.24, models/altclip/modeling_altclip.py (`AltCLIPTextModel`) and configuration_altclip.py (defaults)."""

    keeps_past = False
    reads_encoder = False
    core_keys = ()
    inert_keys = (*roberta.Schema.inert_keys, "pooler_fn", "learn_encoder")
    layers_name = "encoder.layers"

    vocab_size: Size = 250002
    hidden_size: Size = 1024
    num_hidden_layers: Layers = 24
    num_attention_heads: Size = 16
    intermediate_size: Size = 4096
    max_position_embeddings: Size = 514
    type_vocab_size: Size = 1
    project_dim: Size = 768
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        a, h = bert_tower(self, join(prefix, "roberta"), pooled=False), self.hidden_size
        beside = (
            *linear(join(prefix, "transformation"), self.project_dim, h, "other", bias=True),
            *layer_norm(join(prefix, "pre_LN"), h),
        )
        return a._replace(groups=(*a.groups, group("decoder", beside)))


class Schema(DualSchema):
    text_config: Annotated[AltclipTextModel, nested("altclip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[clip_vision_model.Schema, nested("clip_vision_model", fixed=True), DEFAULT]
    projection_dim: Size = 768

    def extra_tensors(self, text: Any, vision: Any) -> Iterator[Tensor]:
        return clip.shared(self.projection_dim, text.project_dim, vision.hidden_size)
