"""Mamba-2: one state-space mixer a layer and nothing else.

Source: transformers 5.23, models/mamba2/modeling_mamba2.py and configuration_mamba2.py (defaults, `validate_architecture`).
"""

from archcalc.arch import mamba
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks.mamba import Mamba2
from archcalc.errors import ConfigError


class Schema(mamba.Schema):
    inert_keys = (*mamba.Schema.inert_keys, "norm_before_gate")

    vocab_size: Size = 32768
    hidden_size: Size = 4096
    num_hidden_layers: Layers = 64
    state_size: Size = 128
    num_heads: Size = 128
    head_dim: Size = 64
    n_groups: Size = 8
    tie_word_embeddings: Flag = False

    def mixer(self) -> Mamba2:
        h, heads, dim, bias = self.hidden_size, self.num_heads, self.head_dim, self.use_bias
        if self.expand * h != heads * dim:
            raise ConfigError(
                f"num_heads ({heads}) x head_dim ({dim}) is not expand ({self.expand}) x hidden_size ({h})",
                "correct one",
                "num_heads",
            )
        return Mamba2(h, heads, dim, self.state_size, self.n_groups, self.conv_kernel, bias, bias, self.use_conv_bias)

    def more(self) -> tuple[tuple[str, str], ...]:
        heads = f"{self.num_heads} x {self.head_dim}, state {self.state_size}, {self.n_groups} groups"
        return ("Mamba-2 heads", heads), ("convolution", f"{self.conv_kernel} tokens")
