"""EmbeddingGemma 2: Gemma 4's towers beside an encoder that makes one vector of text, pictures and sound.

Source: transformers 5.23, models/embedding_gemma2/modeling_embedding_gemma2.py and configuration_embedding_gemma2.py (defaults: no
tower unless its config is there).
"""

from typing import Annotated

from archcalc.arch import gemma4
from archcalc.arch._composite import DEFAULT
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.model import Architecture


class Schema(gemma4.Schema):
    inert_keys = ("tie_word_embeddings", "eoa_token_index")

    text_config: Annotated[ConfigSchema, nested("embedding_gemma2_text"), DEFAULT]

    def tied(self) -> bool | None:
        return None

    def architecture(self, prefix: str = "") -> Architecture:
        return super().architecture(prefix)
