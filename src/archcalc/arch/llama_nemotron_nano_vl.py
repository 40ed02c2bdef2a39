"""Llama Nemotron Nano VL: Llama with C-RADIO, pixel shuffle and two linear layers between them.

Source: vLLM 0.33, models/nemotron_vl.py (`LlamaNemotronVLChatModel`, `_init_mlp1`).
"""

from typing import Annotated

from archcalc.arch import internvl_chat
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._heads import labels_of, task_of
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch._vlm import under
from archcalc.arch.c_radio import Schema as CRadio
from archcalc.arch.siglip_vision_model import Schema as Siglip
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Architecture


class Schema(internvl_chat.Schema):
    inert_keys = (*internvl_chat.Schema.inert_keys, "vision_config.args", "attn_implementation")

    vision_config: Annotated[CRadio, nested("c_radio", fixed=True)]  # type: ignore[assignment]
    vit_hidden_size: Size = 1280
    projector_hidden_size: Size = 4096

    def architecture(self, prefix: str) -> Architecture:
        text = under(self.llm_config.standalone(), "language_model")
        groups, stacks = self.vision_config.tower("vision_model.radio_model.model")
        joined, inner = self.vit_hidden_size * int(1 / self.downsample_ratio) ** 2, self.projector_hidden_size
        tensors = (*layer_norm("0", joined), *projector(("1", "3"), (joined, inner, text.facts.hidden_size)))
        groups.append(group("vision", prefixed("mlp1", tensors)))
        return with_tower(text, groups, stacks)


class LlamaNemotronVl(internvl_chat.Schema):
    """Llama-Nemotron-Embed-VL and its reranker: Llama that sees both ways, with SigLIP; it caches nothing.
    Source: vLLM 0.33, models/nemotron_vl.py (`LlamaNemotronVLForEmbedding`, `LlamaNemotronVLForSequenceClassification`)."""

    inert_keys = (
        *internvl_chat.Schema.inert_keys, "img_context_token_id", "pooling", "q_max_length", "p_max_length", "use_thumbnail",
    )  # fmt: skip
    own_heads = True

    llm_config: Annotated[ConfigSchema, nested("llama_bidirec")]
    vision_config: Annotated[Siglip, nested("siglip_vision_model", fixed=True)]  # type: ignore[assignment]
    vit_hidden_size: Size = 1152
    projector_hidden_size: Size | None = None
    architectures: list[str] | None = None

    def architecture(self, prefix: str) -> Architecture:
        text = under(self.llm_config.standalone(), "language_model")
        hidden = text.facts.hidden_size
        tower = self.vision_config.model_copy(update={"vision_use_head": False})
        groups, stacks = tower.tower("vision_model.vision_model")
        joined = self.vision_config.hidden_size * int(1 / self.downsample_ratio) ** 2
        tensors = (*layer_norm("0", joined), *projector(("1", "3"), (joined, self.projector_hidden_size or hidden, hidden)))
        groups.append(group("vision", prefixed("mlp1", tensors)))
        if task_of(self.architectures) == "sequence":
            groups.append(group("head", linear("score", labels_of(self.model_extra or {}, 1), hidden, "head")))
        return with_tower(text, groups, stacks)
