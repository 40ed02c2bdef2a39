"""CLAP: RoBERTa for text and a Swin for spectrograms, each projected into one space.

Source: transformers 5.24, models/clap/modeling_clap.py (`ClapModel`, `ClapTextModelWithProjection`, `ClapAudioModelWithProjection`) and
configuration_clap.py (defaults); Wu et al. 2022, arXiv:2211.06687.
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch import clap_audio_model, roberta
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join
from archcalc.arch._dual import DualSchema, bert_tower
from archcalc.arch._schema import Flag, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Tensor


class ClapTextModel(roberta.Schema):
    """The text tower of CLAP: RoBERTa.
    Source: transformers 5.24, models/clap/modeling_clap.py (`ClapTextModel`) and configuration_clap.py (defaults)."""

    keeps_past = False
    reads_encoder = False
    core_keys = ()
    inert_keys = (
        *roberta.Schema.inert_keys, "projection_dim", "projection_hidden_act", "projection_hidden_size",
    )  # fmt: skip

    max_position_embeddings: Size = 514
    type_vocab_size: Size = 1
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        return bert_tower(self, prefix, pooled=True)


class Schema(DualSchema):
    inert_keys = (*DualSchema.inert_keys, "audio_config_dict", "projection_hidden_act", "hidden_size", "num_hidden_layers")

    text_config: Annotated[ClapTextModel, nested("clap_text_model", fixed=True), DEFAULT]
    vision_config: None = None
    audio_config: Annotated[clap_audio_model.Schema, nested("clap_audio_model", fixed=True), DEFAULT]
    projection_dim: Size = 512

    def extra_tensors(self, text: object, vision: object) -> Iterator[Tensor]:
        for name in ("logit_scale_a", "logit_scale_t"):
            yield Tensor(name, (), "other")
        for name, width in (("text", self.text_config.hidden_size), ("audio", self.audio_config.projected)):
            yield from linear(f"{name}_projection.linear1", self.projection_dim, width, "other", bias=True)
            yield from linear(f"{name}_projection.linear2", self.projection_dim, self.projection_dim, "other", bias=True)

    def headed(self, named: str) -> None:
        return None

    def both(self, prefix: str) -> Architecture:
        a = self.text_config.architecture(join(prefix, "text_model"))
        groups, stacks = self.audio_config.body(join(prefix, "audio_model"), "")
        own = group("other", self.extra_tensors(None, None))
        return a._replace(groups=(*a.groups, *groups, own), stacks=(*a.stacks, *stacks))
