"""Step 1: GQA with ALiBi of its own slopes, a gated FFN.

Source: stepfun-ai/Step-Audio-TTS-3B, modeling_step1.py and configuration_step1.py; vLLM 0.33, models/step1.py.
"""

from typing import Any

from archcalc.arch._plain import BiasedSchema, named
from archcalc.arch._schema import Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.model import ALIBI


class Schema(BiasedSchema):
    num_key_value_heads: Size | None = named(1, "num_attention_groups", "num_key_value_heads")
    max_position_embeddings: Tokens = named(4096, "max_seq_len", "max_position_embeddings")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return super().attention(window, 1)

    def more(self) -> dict[str, Any]:
        return {"position": ALIBI}
