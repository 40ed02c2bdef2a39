"""Idefics 2: Mistral with SigLIP and a resampler.

Source: transformers 5.23, models/idefics2/modeling_idefics2.py and configuration_idefics2.py (defaults; the resampler's width is always
the text model's).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._encoder import pooled
from archcalc.arch._schema import TowerSchema, nested
from archcalc.arch.idefics2_perceiver import Schema as Perceiver
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Encoder, Tensor


class Schema(VisionSchema):
    inert_keys = ("image_seq_len",)
    text_name = "text_model"
    tower_name = "vision_model"
    projector_name = "connector.modality_projection"

    text_config: Annotated[DecoderSchema, nested("mistral", absent={"max_position_embeddings": 32768}), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("idefics2_vision", fixed=True), DEFAULT]
    perceiver_config: Annotated[Perceiver, nested("idefics2_perceiver", fixed=True), DEFAULT]

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        for t in GatedFeedForward(width, self.text_config.intermediate_size, self.text_config.hidden_act).tensors():
            out = t.name.startswith("down_proj")
            yield t._replace(role="other", shape=(hidden, t.shape[1]) if out else t.shape)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        resampler = self.perceiver_config.model_copy(update={"hidden_size": text.facts.hidden_size})
        if resampler.num_key_value_heads > resampler.resampler_n_heads:
            raise UnsupportedError("perceiver_config.num_key_value_heads is larger than resampler_n_heads")
        more_groups, more_stacks = resampler.tower(f"{prefix}.connector.perceiver_resampler")
        return groups + more_groups, stacks + more_stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """One image, read by the latents."""
        return pooled(super().encoders(), tokens=self.perceiver_config.resampler_n_latents)
