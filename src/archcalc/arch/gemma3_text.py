"""Gemma 3, the text model (1B and 270M stand alone): five sliding layers to a full one, QK-norm.

Source: transformers 5.23, models/gemma3/modeling_gemma3.py and configuration_gemma3.py (defaults).
"""

from archcalc.arch import gemma2
from archcalc.arch._composite import Pieces
from archcalc.arch._schema import Flag, Size, Tokens
from archcalc.model import Group, Layer, Tensor


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


# Gemma 3's names of the norms around attention.
NORMS = {"input_layernorm": "pre_self_attn_layernorm", "post_attention_layernorm": "post_self_attn_layernorm"}


def renamed(t: Tensor) -> Tensor:
    """A tensor of Gemma's layer as T5Gemma's calls it."""
    name = t.name.removesuffix(".weight")
    return t._replace(name=f"{NORMS[name]}.weight") if name in NORMS else t


class T5gemma2Text(Schema):
    """The text encoder of T5Gemma 2: Gemma 3's layer, attending both ways.
    Source: transformers 5.23, models/t5gemma2/modeling_t5gemma2.py (`T5Gemma2TextEncoder`) and configuration_t5gemma2.py
    (defaults)."""

    def layer(self, window: int | None) -> Layer:
        layer = super().layer(window)
        return layer._replace(tensors=tuple(map(renamed, layer.tensors)))

    def body(self, prefix: str, *, tied: bool = False) -> Pieces:
        """Embedding, layers and final norm, without a head; `tied` where another embedding is used."""
        a, h = self.architecture(prefix), self.hidden_size
        groups = [g for g in a.groups if g.part != "head"]
        # A vector of its own for the end of an image.
        end = Tensor(f"{prefix}.embed_tokens.eoi_embedding", (h,), "embedding")
        words = [t._replace(kind="tied" if tied else "param") for g in groups if g.part == "embedding" for t in (*g.tensors, end)]
        return [Group("embedding", tuple(words)), *(g for g in groups if g.part != "embedding")], list(a.stacks)
