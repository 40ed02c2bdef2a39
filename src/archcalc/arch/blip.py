"""BLIP: BERT as a decoder that attends to a ViT's patches; or two towers with a projection of each, or an encoder of questions too.

Source: transformers 5.24, models/blip/modeling_blip.py (`BlipForConditionalGeneration`, `BlipModel`, `BlipForImageTextRetrieval`,
`BlipForQuestionAnswering`) and configuration_blip.py (defaults; the head
is tied where either config says so).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._heads import otherwise, task_of
from archcalc.arch._schema import Flag, Size, nested
from archcalc.arch.blip_text_model import Schema as Text
from archcalc.arch.blip_vision_model import Schema as Vision
from archcalc.blocks._tensor import linear, prefixed
from archcalc.model import Architecture, Tensor


class Schema(CompositeSchema):
    lowers = False
    prefix = ""
    inert_keys = ("logit_scale_init_value", "label_smoothing")
    ties = "text"
    own_heads = True

    text_config: Annotated[Text, nested("blip_text_model", fixed=True), DEFAULT]
    vision_config: Annotated[Vision, nested("blip_vision_model", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True
    projection_dim: Size = 512
    image_text_hidden_size: Size = 256
    architectures: list[str] | None = None

    def body(self, name: str) -> Architecture:
        """The text model without its head."""
        text = self.decoder(name)
        cut = f"{name}.bert."
        groups = (
            g._replace(tensors=tuple(t._replace(name=t.name.replace(cut, f"{name}.")) for t in g.tensors))
            for g in text.groups
            if g.part != "head"
        )
        stacks = (s._replace(prefix=s.prefix.replace(cut, f"{name}.")) for s in text.stacks)
        return text._replace(groups=tuple(groups), stacks=tuple(stacks), facts=text.facts._replace(tied_embeddings=False))

    def decoder(self, name: str) -> Architecture:
        tied = bool(self.tie_word_embeddings) or self.text_config.tie_word_embeddings
        update = {"encoder_hidden_size": self.vision_config.hidden_size, "tie_word_embeddings": tied}
        return self.text_config.model_copy(update=update).architecture(name)

    def text(self, prefix: str) -> Architecture:
        if self.task == "bare":
            return self.body(join(prefix, "text_model"))
        return self.body(join(prefix, "text_encoder")) if self.task == "other" else self.decoder(join(prefix, "text_decoder"))

    @property
    def task(self) -> str:
        return task_of(self.architectures)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        seen, read, more = self.vision_config.hidden_size, self.text_config.hidden_size, []
        if self.task == "bare":
            more += [Tensor("logit_scale", (), "other"), *linear("text_model.pooler.dense", read, read, "other", bias=True)]
            more += linear("visual_projection", self.projection_dim, seen, "other")
            more += linear("text_projection", self.projection_dim, read, "other")
        elif self.task == "other":
            more += linear("vision_proj", self.image_text_hidden_size, seen, "other", bias=True)
            more += linear("text_proj", self.image_text_hidden_size, read, "other", bias=True)
            more += linear("itm_head", 2, read, "other", bias=True)
        elif self.task == "questions":
            asked = self.body(join(prefix, "text_encoder"))
            groups += [g._replace(part="other") for g in asked.groups]
            quiet = [s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in asked.stacks]
            stacks += quiet
        return [*groups, *([group("other", prefixed(prefix, more) if prefix else more)] if more else [])], stacks

    def architecture(self, prefix: str) -> Architecture:
        a, named = super().architecture(prefix), (self.architectures or [""])[0]
        if self.task in ("", "unknown", "bare", "questions") or named == "BlipForImageTextRetrieval":
            return a
        return otherwise(a, named)
