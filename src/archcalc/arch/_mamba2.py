"""The keys of Mamba-2 layers as Bamba, Granite 4 and Falcon-H1 state them.

Source: transformers 5.23, models/bamba/configuration_bamba.py (defaults, `validate_architecture`).
"""

from typing import ClassVar, Literal

from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import Flag, Size, divided
from archcalc.blocks.mamba import Mamba2
from archcalc.errors import ConfigError


class Mamba2Schema(DecoderSchema):
    """A decoder with Mamba-2 layers among others."""

    whole_heads = False
    inert_keys: ClassVar[tuple[str, ...]] = ("mamba_chunk_size", "num_logits_to_keep", "time_step_limit")

    mamba_n_heads: Size = 128
    mamba_n_groups: Size = 1
    mamba_d_state: Size = 256
    mamba_d_head: Size | Literal["auto"] = "auto"
    mamba_d_conv: Size = 4
    mamba_expand: Size = 2
    mamba_conv_bias: Flag = True
    mamba_proj_bias: Flag = False

    def inner(self) -> int:
        """Channels of the mixer."""
        return self.mamba_expand * self.hidden_size

    def mamba(self, *, output_bias: bool | None = None, gated_norm: bool = True) -> Mamba2:
        inner, heads, bias = self.inner(), self.mamba_n_heads, self.mamba_proj_bias
        head_dim = divided(inner, heads, "the width of the Mamba mixer", "mamba_n_heads")
        if self.mamba_d_head not in ("auto", head_dim):
            raise ConfigError(
                f"mamba_d_head is {self.mamba_d_head}, and {heads} heads (mamba_n_heads) of it are not {inner} channels wide",
                f'{head_dim} or "auto"', "mamba_d_head",
            )  # fmt: skip
        return Mamba2(
            self.hidden_size, heads, head_dim, self.mamba_d_state, self.mamba_n_groups, self.mamba_d_conv, bias,
            bias if output_bias is None else output_bias, self.mamba_conv_bias, gated_norm,
        )  # fmt: skip

    def mamba_facts(self) -> tuple[tuple[str, str], ...]:
        mamba = self.mamba()
        return (
            ("Mamba-2 heads", f"{mamba.heads} x {mamba.head_dim}, state {mamba.state}, {mamba.groups} groups"),
            ("convolution", f"{mamba.kernel} tokens"),
        )
