"""Chameleon: Llama with QK-norm that reads and writes images as tokens, and the tokenizer that makes them.

Source: transformers 5.23, models/chameleon/modeling_chameleon.py and configuration_chameleon.py (defaults).
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import with_tower
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens, nested
from archcalc.arch.chameleon_vqgan import Schema as Tokenizer
from archcalc.blocks.norm import gain
from archcalc.model import Architecture, Tensor


class Schema(PlainSchema):
    inert_keys = ("model_parallel_size", "vocabulary_map")

    vocab_size: Size = 65536
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 32
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag | None = False
    mlp_bias: Flag = False
    swin_norm: Flag | None = False
    vq_config: Annotated[Tokenizer, nested("chameleon_vqgan", fixed=True), DEFAULT]

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    def biases(self) -> tuple[bool, bool]:
        return bool(self.attention_bias), bool(self.attention_bias)

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def extra(self, variant: int) -> Iterable[Tensor]:
        for name, heads in (("q_norm", self.num_attention_heads), ("k_norm", self.kv_heads)):
            yield gain(f"self_attn.{name}.weight", (heads, self.head_size), "layer-apart")
            yield Tensor(f"self_attn.{name}.bias", (heads, self.head_size), "norm")

    def more(self) -> dict[str, Any]:
        return {
            "norm": f"RMSNorm ({'post' if self.swin_norm else 'pre'})",
            "more": (("QK-norm", "LayerNorm, a gain for each head"),),
        }

    def architecture(self, prefix: str) -> Architecture:
        groups, stacks = self.vq_config.tower(f"{prefix}.vqmodel")
        return with_tower(super().architecture(prefix), groups, stacks)
