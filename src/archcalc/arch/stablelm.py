"""StableLM 2 and 3B: Llama's layer with LayerNorm, a quarter of each head turns, QK-norm and one norm in parallel if asked for.

Source: transformers 5.23, models/stablelm/modeling_stablelm.py and configuration_stablelm.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PARALLEL, PlainSchema, named
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks.norm import gain
from archcalc.model import Tensor


class Schema(PlainSchema):
    reads_head_dim = False
    layer_norms = True

    vocab_size: Size = 50304
    hidden_size: Size = 2560
    intermediate_size: Size = 6912
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size = 32
    max_position_embeddings: Tokens = 4096
    partial_rotary_factor: Fraction = 0.25
    use_qkv_bias: Flag = False
    qk_layernorm: Flag = False
    use_parallel_residual: Flag = False

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=self.use_parallel_residual, joined=True)

    def biases(self) -> tuple[bool, bool]:
        return self.use_qkv_bias, False

    def normalized(self) -> tuple[tuple[str, str], ...]:
        return (("QK-norm", "LayerNorm, a gain for each head"),) if self.qk_layernorm else ()

    def norm_names(self) -> Iterable[str]:
        return ("input_layernorm",) if self.use_parallel_residual else self.norms

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.qk_layernorm:
            # A norm for each head, without bias.
            for name, heads in (("q_layernorm", self.num_attention_heads), ("k_layernorm", self.kv_heads)):
                for i in range(heads):
                    yield gain(f"self_attn.{name}.norms.{i}.weight", (self.head_size,), "layer")

    def more(self) -> dict[str, Any]:
        return {
            "norm": PARALLEL if self.use_parallel_residual else "LayerNorm (pre)",
            "position": rope_label(self.model_extra or {}, self.partial_rotary_factor),
        }


class StablelmEpoch(Schema):
    """StableLM 3B as first published (`stablelm_epoch`).
    Source: llama.cpp 0c1e57098, conversion/stablelm.py."""

    inert_keys = ("num_heads", "rotary_scaling_factor", "rope_pct")

    partial_rotary_factor: Fraction = named(0.25, "rope_pct", "partial_rotary_factor")
