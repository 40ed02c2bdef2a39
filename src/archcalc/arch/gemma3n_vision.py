"""MobileNetV5 300M, the vision tower of Gemma 3n: its published table of stages, written shorter.

Source: timm 1.0, timm/models/mobilenetv5.py (`_gen_mobilenet_v5`, `MobileNetV5Encoder`); transformers 5.23,
models/gemma3n/configuration_gemma3n.py (defaults) and models/timm_wrapper/modeling_timm_wrapper.py.
"""

from typing import Any

from pydantic import Field

from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.mobilenet import FusedInverted, Inverted, MobileAttention
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import patch_conv
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Encoder, Group, Stack, stack

STEM, OUT = 64, 2048
STAGES: tuple[tuple[FusedInverted | Inverted | MobileAttention, ...], ...] = (
    (FusedInverted(3, 4, 128),) * 3,
    (Inverted(3, 5, 6, 256), *(Inverted(5, 0, 4, 256), Inverted(3, 0, 4, 256)) * 2),
    (
        Inverted(5, 5, 6, 640), *(Inverted(5, 0, 4, 640),) * 7, Inverted(0, 0, 1, 640),
        *(MobileAttention(12, 64, 3, 640), Inverted(0, 0, 2, 640)) * 14,
    ),
    (Inverted(5, 5, 6, 1280), *(MobileAttention(16, 96, 0, 1280), Inverted(0, 0, 2, 1280)) * 19),
)  # fmt: skip


class Schema(TowerSchema):
    inert_keys = ("do_pooling", "label_names", "num_classes", "vocab_offset")

    architecture_name: str = Field("mobilenetv5_300m_enc", validation_alias="architecture")
    model_args: dict[str, Any] | None = None
    hidden_size: Size = 2048
    vocab_size: Size = 128

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        if self.architecture_name != "mobilenetv5_300m_enc":
            raise UnsupportedError(f"vision_config.architecture is {self.architecture_name!r}: only mobilenetv5_300m_enc is known")
        if self.model_args:
            raise UnsupportedError(
                f"vision_config.model_args is {json_text(self.model_args)}: changes to the timm model are not modelled"
            )
        prefix, inner, stacks = join(prefix, "timm_model"), STEM, []
        for i, stage in enumerate(STAGES):
            layers = []
            made: dict[Any, Any] = {}
            for block in stage:
                key = (block, inner)
                if key not in made:
                    made[key] = block.layer(inner)
                layers.append(made[key])
                inner = block.channels
            stacks.append(stack(join(prefix, f"blocks.{i}"), "vision", layers))
        # The last two stages are fused: side by side, through one more inverted residual.
        fused = sum(stage[-1].channels for stage in STAGES[-2:])
        outside = (
            *patch_conv("conv_stem.conv", STEM, 3, 3, 3),
            rms_norm("conv_stem.bn", STEM),
            *prefixed("msfa.ffn", Inverted(0, 0, 2, OUT).tensors(fused)),
            rms_norm("msfa.norm", OUT),
        )
        return [group("vision", prefixed(prefix, outside))], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of 768 pixels on each side: the stem halves it, the first stage widens it fourfold and halves it again."""
        source = "google/gemma-3n-E4B-it, preprocessor_config.json `size`; vLLM 0.33, models/gemma3n_mm.py `TOKENS_PER_IMAGE`"
        return (Encoder("image", (768 // 2) ** 2, 256, 3 * 2 * 2, STEM, 4 * STEM // 4, source),)
