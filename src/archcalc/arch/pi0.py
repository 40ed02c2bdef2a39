"""π0: PaliGemma without its head, and a smaller Gemma that denoises a robot's actions beside it.

Source: transformers 5.23, models/pi0/modeling_pi0.py (`PI0ForConditionalGeneration`) and configuration_pi0.py (defaults).
"""

from typing import Annotated, Any

from archcalc.arch import paligemma
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import DecoderSchema, join, with_tower
from archcalc.arch._heads import task_of
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Group

# What absent nested configs stand for.
VLM: dict[str, Any] = {
    "text_config": paligemma.TEXT, "vision_config": {**paligemma.SIGLIP, "intermediate_size": 4304}, "projection_dim": 2048,
}  # fmt: skip
DIT = {
    "hidden_size": 1024, "num_hidden_layers": 18, "intermediate_size": 4096, "num_attention_heads": 8, "num_key_value_heads": 1,
    "head_dim": 256,
}  # fmt: skip


class Schema(ConfigSchema):
    prefix = ""
    inert_keys = (
        "chunk_size", "num_inference_steps", "time_sampling_beta_alpha", "time_sampling_beta_beta", "time_sampling_scale",
        "time_sampling_offset", "min_period", "max_period", "loss_reduction", "tie_word_embeddings",
    )  # fmt: skip

    vlm_config: Annotated[ConfigSchema, nested("paligemma", absent=VLM), DEFAULT]
    dit_config: Annotated[DecoderSchema, nested("gemma", absent=DIT), DEFAULT]
    architectures: list[str] | None = None
    max_state_dim: Size = 32
    max_action_dim: Size = 32

    def architecture(self, prefix: str) -> Architecture:
        vlm = self.vlm_config.architecture(join(prefix, "model.vlm"))
        vlm = vlm._replace(groups=tuple(g for g in vlm.groups if g.part != "head"))
        update = {"vocab_size": vlm.facts.vocab_size}
        dit = self.dit_config.model_copy(update=update).architecture(join(prefix, "model.dit"))
        h, actions, name = dit.facts.hidden_size, self.max_action_dim, join(prefix, "embed_action_time")
        outside = [
            *linear(f"{name}.action_in_proj", h, actions, "embedding", bias=True),
            *linear(f"{name}.state_proj", h, self.max_state_dim, "embedding", bias=True),
            *linear(f"{name}.action_time_mlp_in", h, 2 * h, "other", bias=True),
            *linear(f"{name}.action_time_mlp_out", h, h, "other", bias=True),
            *linear(join(prefix, "action_out_proj"), actions, h, "head", bias=True),
        ]
        if task_of(self.architectures) == "bare":
            outside = []
        outside += [t for g in dit.groups if g.part != "head" for t in g.tensors]
        # The actions see the prompt's keys and values, and keep none of their own.
        stacks = [s._replace(part="other", kinds=tuple(k._replace(caches=()) for k in s.kinds)) for s in dit.stacks]
        return with_tower(vlm, [Group("other", tuple(outside))], stacks)
