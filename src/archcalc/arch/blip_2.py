"""BLIP-2: a frozen language model that reads an image through a Q-Former.

Source: transformers 5.23, models/blip_2/modeling_blip_2.py (`Blip2ForConditionalGeneration`) and configuration_blip_2.py (defaults; the
language model's own flag ties its head).
"""

from typing import Annotated, ClassVar

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces, head_below
from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch.blip_2_qformer import Schema as QFormer
from archcalc.arch.blip_vision_model import Blip2VisionModel as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder, Tensor


class Schema(CompositeSchema):
    prefix = "model"
    prefix = ""
    ties = "text"

    fp32_modules: ClassVar[tuple[str, ...]] = ("query_tokens", "qformer")
    inert_keys = ("image_text_hidden_size", "use_decoder_only_language_model")

    text_config: Annotated[ConfigSchema, nested("opt"), DEFAULT]
    vision_config: Annotated[Vision, nested("blip_2_vision_model", fixed=True), DEFAULT]
    qformer_config: Annotated[QFormer, nested("blip_2_qformer", fixed=True), DEFAULT]
    num_query_tokens: Size = 32

    def text(self, prefix: str) -> Architecture:
        name = join(prefix, "language_model")
        return head_below(self.text_config.architecture(f"{name}.model"), name)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        width = self.vision_config.hidden_size
        former = self.qformer_config.model_copy(update={"encoder_hidden_size": width})
        groups, stacks = self.vision_config.tower(join(prefix, "vision_model"))
        more_groups, more_stacks = former.tower(join(prefix, "qformer"))
        h = former.hidden_size
        outside = [
            Tensor(join(prefix, "query_tokens"), (1, self.num_query_tokens, h), "embedding"),
            *linear(join(prefix, "language_projection"), text.facts.hidden_size, h, "other", bias=True),
        ]
        return [*groups, *more_groups, group("vision", outside)], stacks + more_stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, read by the queries."""
        return pooled(self.vision_config.encoders(), tokens=self.num_query_tokens)
