"""EAGLE with DeepSeek-V3's layers: token and hidden state have a norm each before they are joined.

Source: vLLM 0.33, models/deepseek_eagle.py (`DeepseekV2Model`, `EagleDeepseekV3ForCausalLM`).
"""

from collections.abc import Iterable
from typing import Any

from pydantic import Field

from archcalc.arch import cohere, deepseek_v3, llama4_text, minicpm
from archcalc.arch._decoder import group
from archcalc.arch._schema import Count
from archcalc.arch.eagle3 import EMBEDDING_NOTE
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Tensor


def _drafted(a: Architecture, outside: Iterable[Tensor]) -> Architecture:
    """A whole model as a draft: without head and embedding, with what joins the token and the target's hidden state."""
    groups = [
        group(g.part, (t._replace(kind="tied") for t in g.tensors)) if g.part == "embedding" else g
        for g in a.groups
        if g.part != "head"
    ]
    groups.append(group("decoder", outside))
    notes = (*a.notes, EMBEDDING_NOTE, "the head is the target's: not counted")
    return a._replace(groups=tuple(groups), facts=a.facts._replace(tied_embeddings=False), notes=notes)


class Schema(deepseek_v3.Schema):
    prefix = ""

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        outside = (*linear("fc", h, 2 * h, "other"), rms_norm("enorm", h), rms_norm("hnorm", h))
        return _drafted(super().architecture(prefix), outside)


class EagleMistralLarge3(deepseek_v3.Schema):
    """EAGLE for Mistral Large 3: layers of DeepSeek-V3's structure over one projection without a bias.
    Source: vLLM 0.33, models/mistral_large_3_eagle.py (`EagleMistralLarge3Model`); SGLang 0.5.23, srt/models/mistral_large_3_eagle.py."""

    prefix = ""

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        return _drafted(super().architecture(prefix), linear("fc", h, 2 * h, "other"))


class EagleLlama4(llama4_text.Schema):
    """EAGLE with Llama 4's dense layers.
    Source: vLLM 0.33, models/llama4_eagle.py (`LlamaModel`, which takes no layer of experts)."""

    prefix = ""

    moe_layers: list[Count] | None = Field(default=[])

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        return _drafted(super().architecture(prefix), linear("fc", h, 2 * h, "other"))


class EagleCohere(cohere.Schema):
    """EAGLE with Cohere's layers; the projection has a bias.
    Source: vLLM 0.33, models/cohere_eagle.py (`CohereEagleModel`)."""

    prefix = ""

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        return _drafted(super().architecture(prefix), linear("fc", h, 2 * h, "other", bias=True))


class EagleMinicpm(minicpm.Schema):
    """EAGLE with MiniCPM's layers: token and hidden state have a norm each before they are joined.
    Source: vLLM 0.33, models/minicpm_eagle.py (`EagleMiniCPMModel`)."""

    prefix = ""

    def decoder_options(self) -> dict[str, Any]:
        return {"layers_name": "eagle_layers"}

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        outside = (*linear("fc", h, 2 * h, "other"), rms_norm("input_norm1", h), rms_norm("input_norm2", h))
        return _drafted(super().architecture(prefix), outside)
