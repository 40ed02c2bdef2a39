"""Florence 2: BART, whose encoder reads an image's patches with the prompt.

Source: transformers 5.23, models/florence2/modeling_florence2.py and configuration_florence2.py (defaults; the outer config's flag ties
the head, the text model's own its embeddings).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._bart import BartSchema
from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import Flag, nested
from archcalc.arch.florence_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Architecture, Group, Tensor


class Schema(VisionSchema):
    inert_keys = ("projection_dim", "ignore_index")

    text_config: Annotated[BartSchema, nested("bart", "florence2_language"), DEFAULT]
    vision_config: Annotated[Vision, nested("florence_vision", fixed=True), DEFAULT]
    tie_word_embeddings: Flag | None = True

    def text(self, prefix: str) -> Architecture:
        # With both halves, whatever class the nested config names.
        text = self.text_config.model_copy(update={"architectures": None}).standalone()
        old, new = "model.", f"{prefix}.{self.text_name}."

        def below(t: Tensor) -> Tensor:
            return t._replace(name=new + t.name.removeprefix(old)) if t.name.startswith(old) else t

        # What is added to the logits belongs to BART's own head.
        groups = (Group(g.part, tuple(below(t) for t in g.tensors if t.kind != "copy")) for g in text.groups)
        stacks = tuple(s._replace(prefix=new + s.prefix.removeprefix(old)) for s in text.stacks)
        return text._replace(groups=tuple(g for g in groups if g.tensors), stacks=stacks)

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        vision = self.vision_config
        rows, half = vision.max_position_embeddings, width // 2
        yield from linear("image_projection", vision.projection_dim, width, "other")
        yield from layer_norm("image_proj_norm", vision.projection_dim)
        yield table("image_position_embed.row_embeddings", rows, half)
        yield table("image_position_embed.column_embeddings", rows, width - half)

    def tower_width(self) -> int:
        return self.vision_config.embed_dim[-1]
