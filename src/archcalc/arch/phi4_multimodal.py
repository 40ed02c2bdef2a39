"""Phi-4-multimodal: Phi-4-mini with SigLIP and a conformer. The LoRAs that its repository adds are not counted.

Source: transformers 5.23, models/phi4_multimodal/modeling_phi4_multimodal.py and configuration_phi4_multimodal.py (defaults).
"""

from typing import Annotated

from archcalc.arch import phi3
from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, with_tower
from archcalc.arch._encoder import pooled, tiled
from archcalc.arch._schema import Size, Tokens, nested
from archcalc.arch.phi4_multimodal_audio import Schema as Audio
from archcalc.arch.siglip_vision_model import Phi4MultimodalVision as Vision
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.vision import projector
from archcalc.model import Architecture, Encoder, Tensor


class Schema(phi3.Schema):
    inert_keys = (*phi3.Schema.inert_keys, "embd_layer", "img_processor", "audio_processor", "vision_lora", "speech_lora")
    whole_heads = False

    vision_config: Annotated[Vision, nested("phi4_multimodal_vision", fixed=True), DEFAULT]
    audio_config: Annotated[Audio, nested("phi4_multimodal_audio", fixed=True), DEFAULT]
    vocab_size: Size = 200064
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072

    def architecture(self, prefix: str) -> Architecture:
        h, width, name = self.hidden_size, self.vision_config.hidden_size, f"{prefix}.embed_tokens_extend"
        image = [
            Tensor("global_img_feature_extensor", (1, 1, width), "embedding"),
            Tensor("sub_img_feature_extensor", (1, 1, 1, width), "embedding"),
            *projector(("img_projection_up", "img_projection_down"), (width, h, h)),
        ]
        audio: list[Tensor] = []
        for kind in ("speech", "vision_speech"):
            heard = self.audio_config.hidden_size * self.audio_config.downsample_rate
            audio += projector((f"up_proj_for_{kind}", f"down_proj_for_{kind}"), (heard, h, h))
        groups, stacks = self.vision_config.tower(f"{name}.image_embed.img_processor")
        more_groups, more_stacks = self.audio_config.tower(f"{name}.audio_embed.encoder")
        groups += [group("vision", prefixed(f"{name}.image_embed", image)), *more_groups]
        groups.append(group("audio", prefixed(f"{name}.audio_embed", audio)))
        return with_tower(super().architecture(prefix), groups, stacks + more_stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """36 tiles and the whole image, two by two patches a token."""
        source = "transformers 5.24, models/phi4_multimodal/image_processing_phi4_multimodal.py `dynamic_hd`, and the overview"
        return tiled(pooled(super().encoders(), 4), 37, None, source)
