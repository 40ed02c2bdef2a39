"""The text encoder of T5Gemma 2: Gemma 3's layer, attending both ways.

Source: transformers 5.23, models/t5gemma2/modeling_t5gemma2.py (`T5Gemma2TextEncoder`) and configuration_t5gemma2.py (defaults).
"""

from archcalc.arch import gemma3_text
from archcalc.arch._composite import Pieces
from archcalc.model import Group, Layer, Tensor

# Gemma 3's names of the norms around attention.
NORMS = {"input_layernorm": "pre_self_attn_layernorm", "post_attention_layernorm": "post_self_attn_layernorm"}


def renamed(t: Tensor) -> Tensor:
    """A tensor of Gemma's layer as T5Gemma's calls it."""
    name = t.name.removesuffix(".weight")
    return t._replace(name=f"{NORMS[name]}.weight") if name in NORMS else t


class Schema(gemma3_text.Schema):
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
