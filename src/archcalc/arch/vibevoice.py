"""VibeVoice: a text model that speaks: it reads its own sound by two encoders, and a small diffusion model gives the next sound.

Source: transformers 5.24, models/vibevoice/modeling_vibevoice.py (`VibeVoiceForConditionalGeneration`) and configuration_vibevoice.py
(defaults; the diffusion head takes its widths from the text model and the tokenizer).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT, CompositeSchema, Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, nested
from archcalc.arch._vibevoice import restated
from archcalc.blocks._tensor import linear, make_layer, prefixed
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Tensor, stack

ENCODER = "vibevoice_acoustic_tokenizer_encoder"


class VibevoiceDiffusion(ConfigSchema):
    """The diffusion head of VibeVoice: FFNs whose norms the step and the text model's output shift and scale.
    Source: transformers 5.24, models/vibevoice/modeling_vibevoice.py (`VibeVoiceDiffusionHead`) and configuration_vibevoice.py
    (defaults)."""

    inert_keys = (
        "hidden_size", "latent_size", "diffusion_max_period", "speech_vae_dim", "diffusion_type", "prediction_type",
        "ddpm_batch_mul", "ddpm_beta_schedule", "ddpm_num_inference_steps", "ddpm_num_steps",
    )  # fmt: skip

    num_hidden_layers: Layers = 4
    intermediate_size: Size = 4608
    hidden_act: str = "silu"
    frequency_embedding_size: Size = 256
    mlp_bias: Flag = False

    def layer(self, h: int) -> Layer:
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.mlp_bias)
        return make_layer(None, ffn, (rms_norm("norm", h), *linear("linear", 3 * h, h, "other")), ffn_name="ffn")

    def outside(self, h: int, latent: int) -> Iterator[Tensor]:
        yield from linear("noisy_images_proj", h, latent, "other")
        yield from linear("cond_proj", h, h, "other")
        yield from linear("timestep_proj.fc1", h, self.frequency_embedding_size, "other")
        yield from linear("timestep_proj.fc2", h, h, "other")
        yield from linear("final_layer.linear_1", 2 * h, h, "other")
        yield from linear("final_layer.linear_2", latent, h, "other")


class Schema(CompositeSchema):
    ties = "stated"
    inert_keys = ("diffusion_loss_weight", "audio_bos_token_id", "audio_eos_token_id")

    text_config: Annotated[ConfigSchema, nested("qwen2"), DEFAULT]
    audio_config: Annotated[TowerSchema, nested("vibevoice_acoustic_tokenizer"), DEFAULT]
    semantic_model_config: Annotated[TowerSchema, nested(ENCODER, absent={"hidden_size": 128}), DEFAULT]
    diffusion_head_config: Annotated[VibevoiceDiffusion, nested("vibevoice_diffusion", fixed=True), DEFAULT]

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """As first published: tokenizers told by other keys, the text model as `decoder_config`."""
        return restated(config) if "acoustic_tokenizer_config" in config else config

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        h, head = text.facts.hidden_size, self.diffusion_head_config
        groups, others = [], [Tensor(f"latent_{name}_factor", (), "other") for name in ("scaling", "bias")]
        sides = (
            ("audio_tower", "multi_modal_projector", self.audio_config),
            ("semantic_tokenizer_encoder", "semantic_connector", self.semantic_model_config),
        )
        latents = [int(getattr(tower, "hidden_size", 0)) for _, _, tower in sides]
        for (name, connector, tower), latent in zip(sides, latents, strict=True):
            groups += tower.tower(join(prefix, name))[0]
            others += linear(f"{connector}.linear_1", h, latent, "other", bias=True)
            others += (rms_norm(f"{connector}.act", h), *linear(f"{connector}.linear_2", h, h, "other", bias=True))
        root = join(prefix, "diffusion_head")
        groups.append(group("audio", prefixed(prefix, others)))
        groups.append(group("other", prefixed(root, head.outside(h, latents[0]))))
        return groups, [stack(f"{root}.layers", "other", [head.layer(h)] * head.num_hidden_layers)]
