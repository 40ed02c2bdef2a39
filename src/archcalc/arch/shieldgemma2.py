"""ShieldGemma 2: Gemma 3, read as a classifier of images.

Source: transformers 5.23, models/shieldgemma2/modeling_shieldgemma2.py and configuration_shieldgemma2.py (tied where either config
says so).
"""

from archcalc.arch import gemma3
from archcalc.arch._schema import Flag
from archcalc.model import Architecture


class Schema(gemma3.Schema):
    core_keys = ()
    inert_keys = ("mm_tokens_per_image", "yes_token_index", "no_token_index")

    tie_word_embeddings: Flag | None = False

    def architecture(self, prefix: str) -> Architecture:
        tied = bool(self.tie_word_embeddings) or bool(getattr(self.text_config, "tie_word_embeddings", True))
        return super(Schema, self.model_copy(update={"tie_word_embeddings": tied})).architecture(prefix)
