"""Mamba: one state-space mixer a layer and nothing else.

Source: transformers 5.23, models/mamba/modeling_mamba.py and configuration_mamba.py (defaults).
"""

from math import ceil
from typing import ClassVar, Literal

from archcalc.arch._decoder import decoder
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size
from archcalc.blocks._tensor import Mixer, make_layer
from archcalc.blocks.mamba import Mamba
from archcalc.blocks.norm import rms_norm
from archcalc.model import NO_POSITIONS, Architecture, Facts


class Schema(ConfigSchema):
    prefix = "backbone"
    core_keys = ("hidden_size", "num_hidden_layers", "vocab_size")
    # `d_inner` and its like are those of the first release.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "d_inner", "d_model", "fused_add_norm", "n_layer", "rescale_prenorm_residual", "residual_in_fp32", "rms_norm", "ssm_cfg",
        "time_step_floor", "time_step_limit", "time_step_max", "time_step_min", "time_step_scale", "use_associative_scan",
        "use_falcon_mambapy", "use_mambapy", "chunk_size",
    )  # fmt: skip

    vocab_size: Size = 50280
    hidden_size: Size = 768
    state_size: Size = 16
    num_hidden_layers: Layers = 32
    expand: Size = 2
    intermediate_size: Size | None = None
    conv_kernel: Size = 4
    use_bias: Flag = False
    use_conv_bias: Flag = True
    hidden_act: str = "silu"
    time_step_rank: Size | Literal["auto"] = "auto"
    tie_word_embeddings: Flag = True

    def mixer(self) -> Mixer:
        h, inner = self.hidden_size, self.intermediate_size or self.expand * self.hidden_size
        return Mamba(h, inner, self.state_size, self.rank(), self.conv_kernel, self.use_bias, self.use_conv_bias)

    def rank(self) -> int:
        return ceil(self.hidden_size / 16) if self.time_step_rank == "auto" else self.time_step_rank

    def more(self) -> tuple[tuple[str, str], ...]:
        inner = self.intermediate_size or self.expand * self.hidden_size
        return (
            ("state", f"{inner} channels x {self.state_size}, step rank {self.rank()}"),
            ("convolution", f"{self.conv_kernel} tokens"),
        )

    def facts(self, attention: str) -> Facts:
        return Facts(
            hidden_size=self.hidden_size, vocab_size=self.vocab_size, context_tokens=None, attention=attention, heads=0, kv_heads=0,
            head_dim=0, norm="RMSNorm (pre)", activation="SiLU" if self.hidden_act == "silu" else self.hidden_act, position=NO_POSITIONS,
            tied_embeddings=self.tie_word_embeddings, more=self.more(),
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        layer = make_layer(self.mixer(), None, (rms_norm("norm", h),), mixer_name="mixer")
        facts = self.facts("Mamba-2" if self.name == "mamba2" else "Mamba")
        layers, norm = [layer] * self.num_hidden_layers, [rms_norm("norm_f", h)]
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, embed="embeddings", final_norm=norm)


class FalconMamba(Schema):
    """Falcon Mamba: Mamba with norms that have no weights.
    Source: transformers 5.23, models/falcon_mamba/modeling_falcon_mamba.py and configuration_falcon_mamba.py (defaults)."""
