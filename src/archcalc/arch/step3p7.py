"""Step 3.7 Flash with its vision tower.

Source: transformers 5.23, models/step3p7/modeling_step3p7.py and configuration_step3p7.py (defaults; a nested config's own
`model_type` is dropped), conversion_mapping.py ("step3p7").
"""

from pydantic import Field

from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import encoder
from archcalc.arch._schema import ConfigSchema, Flag
from archcalc.arch.step3p5 import Schema as Text
from archcalc.arch.step3p5_vision import Schema as Vision
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture, Encoder, Shard

RENAMES = (
    ("model.language_model.", "model."),
    ("model.vision_model.", "vision_model."),
    ("model.multi_modal_projector.", "vit_large_projector."),
    (".mlp.experts.down_proj", ".moe.down_proj.weight"),
    (".mlp.gate.e_score_correction_bias", ".moe.router_bias"),
    (".mlp.gate.", ".moe.gate."),
    (".mlp.shared_experts.", ".share_expert."),
    (".mlp.experts.", ".moe."),
)


class Schema(ConfigSchema):
    inert_keys = ("understand_projector_stride", "image_token_len", "patch_token_len")

    text_config: Text = Field(default=Text(), validate_default=True)
    vision_config: Vision = Field(default=Vision(), validate_default=True)
    projector_bias: Flag = False
    tie_word_embeddings: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        text = self.text_config.architecture(f"{prefix}.language_model")
        groups, stacks = self.vision_config.tower(f"{prefix}.vision_model")
        width, hidden = 4 * self.vision_config.hidden_size, text.facts.hidden_size
        name = f"{prefix}.multi_modal_projector"
        projector = linear(name, hidden, width, "other", bias=self.projector_bias, shard=Shard(1, width))
        groups.append(group("vision", projector))
        return with_tower(text, groups, stacks, renames=RENAMES, tied=self.tie_word_embeddings)

    def encoders(self) -> tuple[Encoder, ...]:
        """The whole image, and 36 windows of 504 pixels of one of 3,024; two convolutions halve each side of both twice."""
        vision, source = self.vision_config, "vLLM 0.33, transformers_utils/processors/step3_vl.py `MAX_IMAGE_SIZE`, `patch_size`"
        whole, window = ((side // vision.patch_size) ** 2 for side in (vision.image_size, 504))
        pixels = vision.num_channels * vision.patch_size**2
        return (encoder(vision, whole + 36 * window, whole // 16 + 36 * (window // 16), pixels, source),)
