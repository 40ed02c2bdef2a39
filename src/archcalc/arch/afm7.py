"""AFM 7: Llama's layers with normalized queries and keys; the last ones read what the last of the others cached.

Source: mlx-lm 0.32, mlx_lm/models/afm7.py (`AFMModel`, `KVReuseAttention`; keys and values are rounded to 8 bits by a scale each, and
kept as they are).
"""

from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Mixer
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Tensor, stack

REUSES = 2


class Schema(PlainSchema):
    core_keys = ("vocab_size", "hidden_dim", "num_layers", "num_kv_reuse_layers", "num_heads", "num_kv_heads")
    inert_keys = ()
    reads_head_dim = False
    qk_norm = "head"
    last_norm = "output_norm"

    hidden_size: Size = named(..., "hidden_dim")
    num_hidden_layers: Layers = named(..., "num_layers")
    num_attention_heads: Size = named(..., "num_heads")
    num_key_value_heads: Size = named(..., "num_kv_heads")
    intermediate_size: int = 0
    max_position_embeddings: Tokens | None = None  # type: ignore[assignment]
    hidden_dim_scale_factor: float = 3.25
    num_kv_reuse_layers: Layers
    tie_word_embeddings: Flag = True

    @property
    def ffn_size(self) -> int:
        return int(self.hidden_size * self.hidden_dim_scale_factor)

    def variants(self) -> list[int]:
        return [0] * self.num_hidden_layers

    def attention(self, window: int | None, variant: int) -> Mixer:
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        if variant == REUSES:
            return self.gqa(qk_norm="head", own_kv=False, names=names)
        return self.gqa(qk_norm="head", fused="qkv_proj", names=names)

    def extra(self, variant: int) -> tuple[Tensor, ...]:
        scales = () if variant == REUSES else ("key", "value")
        return tuple(Tensor(f"self_attn.quant_{name}_scale", (), "other") for name in scales)

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "embedding"}

    def architecture(self, prefix: str) -> Architecture:
        again, n = self.num_kv_reuse_layers, self.num_hidden_layers
        if again >= n:
            raise ConfigError(
                f"num_kv_reuse_layers is {again}, and num_layers {n}", "fewer layers reuse than there are", "num_kv_reuse_layers"
            )
        a = super().architecture(prefix)
        (whole,) = a.stacks
        own = stack(whole.prefix, "decoder", [whole.kinds[0]] * (n - again))
        return a._replace(stacks=(own, stack(f"{prefix}.kv_reuse_layers", "decoder", [self.layer(None, False, REUSES)] * again)))
