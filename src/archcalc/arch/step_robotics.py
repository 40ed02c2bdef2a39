"""Step3-VL 10B: Qwen 3 with Step 3.7's vision tower.

Source: stepfun-ai/Step3-VL-10B, modeling_step_vl.py and configuration_step_vl.py; vLLM 0.33, models/step_vl.py (`PerceptionEncoder`,
`StepVLForConditionalGeneration`: names).
"""

from typing import Annotated

from archcalc.arch import step3p7
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._schema import ConfigSchema, Flag, nested
from archcalc.arch.step3p5_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder, Shard

RENAMES = (
    *step3p7.RENAMES[:3],
    (".embeddings.patch_embedding.", ".conv1."),
    (".layernorm_before.", ".ln_1."),
    (".layernorm_after.", ".ln_2."),
)


class Schema(ConfigSchema):
    core_keys = ("text_config",)
    inert_keys = (*step3p7.Schema.inert_keys, "im_end_token", "im_patch_token", "im_start_token")

    text_config: Annotated[ConfigSchema, nested("qwen3"), DEFAULT]
    vision_config: Annotated[Vision, nested("step3p5_vision", fixed=True), DEFAULT]
    projector_bias: Flag = False
    tie_word_embeddings: Flag | None = None

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_model")
        width, hidden = 4 * self.vision_config.hidden_size, text.facts.hidden_size
        projector = linear(
            f"{prefix}.multi_modal_projector", hidden, width, "other", bias=self.projector_bias, shard=Shard(1, width)
        )  # fmt: skip
        groups.append(group("vision", projector))
        return with_tower(text, groups, stacks, renames=RENAMES, tied=self.tie_word_embeddings)

    def encoders(self) -> tuple[Encoder, ...]:
        return step3p7.Schema(vision_config=self.vision_config).encoders()
