"""The encoder of T5Gemma 2: Gemma 3's, with SigLIP and its projector.

Source: transformers 5.23, models/t5gemma2/modeling_t5gemma2.py (`T5Gemma2Encoder`) and configuration_t5gemma2.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, width_of
from archcalc.arch._decoder import group
from archcalc.arch._encoder import pooled, stated
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.gemma3_text import T5gemma2Text as Text
from archcalc.blocks.norm import rms_norm
from archcalc.model import Encoder, Group, Tensor


class Schema(TowerSchema):
    inert_keys = ("mm_tokens_per_image", "tie_word_embeddings")

    text_config: Annotated[Text, nested("t5gemma2_text", fixed=True), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_tower")
        name, width = f"{prefix}.multi_modal_projector", width_of(self.vision_config)
        projector = (
            Tensor(f"{name}.mm_input_projection_weight", (width, self.text_config.hidden_size), "other"),
            rms_norm(f"{name}.mm_soft_emb_norm", width),
        )
        words, layers = self.text_config.body(f"{prefix}.text_model")
        # An encoder keeps nothing of the past.
        layers = [s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in layers]
        words = [Group("other", g.tensors) if g.part == "decoder" else g for g in words]
        return [*words, *groups, group("vision", projector)], layers + stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, pooled to a fixed number of tokens."""
        return pooled(self.vision_config.encoders(), tokens=stated(self, "mm_tokens_per_image", 256))
