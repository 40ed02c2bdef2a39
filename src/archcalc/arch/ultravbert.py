"""UltraVBERT: UltraBERT with SigLIP, whose patches are merged, projected by one linear layer and normalized.

Source: transformers 5.24, models/ultravbert/modeling_ultravbert.py (`UltraVBertForMaskedLM`) and configuration_ultravbert.py
(defaults).
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch import modernvbert
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, TowerSchema, nested
from archcalc.blocks.norm import rms_norm
from archcalc.model import Tensor


class Schema(modernvbert.Schema):
    inert_keys = (*modernvbert.Schema.inert_keys, "initializer_cutoff_factor", "classifier_dropout")
    head_names = (("head.decoder.", "lm_head."), ("head.", "projection_head."))

    text_config: Annotated[ConfigSchema, nested("ultrabert"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]

    def projection(self, wide: int, hidden: int) -> Iterable[Tensor]:
        yield from super().projection(wide, hidden)
        yield rms_norm("norm", hidden)
