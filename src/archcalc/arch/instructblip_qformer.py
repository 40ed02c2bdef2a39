"""The Q-Former of InstructBLIP, which reads the instruction too.

Source: transformers 5.23, models/instructblip/modeling_instructblip.py (`InstructBlipQFormerModel`) and configuration_instructblip.py
(defaults).
"""

from archcalc.arch import blip_2_qformer
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(blip_2_qformer.Schema):
    def reads_text(self) -> bool:
        return True

    def embeddings(self) -> list[Tensor]:
        h = self.hidden_size
        words = table("embeddings.word_embeddings", self.vocab_size, h)
        return [
            words,
            table("embeddings.position_embeddings", self.max_position_embeddings, h),
            *layer_norm("embeddings.layernorm", h),
        ]
