"""Gemma 3, the text model (1B and 270M stand alone): five sliding layers to a full one, QK-norm.

Source: transformers 5.23, models/gemma3/modeling_gemma3.py and configuration_gemma3.py (defaults).
"""

from archcalc.arch import gemma2
from archcalc.arch._schema import Flag, Size, Tokens


class Schema(gemma2.Schema):
    qk_norm = "head"

    vocab_size: Size = 262_208
    max_position_embeddings: Tokens = 131_072
    final_logit_softcapping: float | None = None
    attn_logit_softcapping: float | None = None
    sliding_window_pattern: Size = 6
    use_bidirectional_attention: Flag | None = False

    def window(self) -> int | None:
        """Attending both ways (EmbeddingGemma), a token sees half of the window on either side, and itself."""
        if self.sliding_window is not None and self.use_bidirectional_attention:
            return self.sliding_window // 2 + 1
        return self.sliding_window

    def sees_both_ways(self) -> bool:
        """Source: transformers 5.24, models/gemma3/modeling_gemma3.py `Gemma3TextModel.forward`."""
        return bool(self.use_bidirectional_attention) or super().sees_both_ways()

    def period(self) -> int:
        return self.sliding_window_pattern


class Rnj1(Schema):
    """Rnj-1: Gemma 3's layers; those that slide see chunks.
    Source: vLLM 0.33, models/rnj1.py (`Rnj1ForCausalLM`, `Rnj1DecoderLayer`)."""
