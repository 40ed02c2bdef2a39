"""The keys of multi-head latent attention, under transformers' names, and what a config with them says of itself.

Source: transformers 5.23, models/deepseek_v3/configuration_deepseek_v3.py; DeepSeek-V2, arXiv:2405.04434, section 2.1.
"""

from typing import ClassVar

from archcalc.arch._decoder import DecoderSchema
from archcalc.arch._schema import Flag, Size
from archcalc.blocks.latent import LatentAttention


class LatentSchema(DecoderSchema):
    """A decoder whose layers use MLA; defaults are DeepSeek-V3's."""

    core_keys: ClassVar[tuple[str, ...]] = (*DecoderSchema.core_keys, "kv_lora_rank")
    inert_keys: ClassVar[tuple[str, ...]] = ("qk_head_dim",)

    kv_lora_rank: Size = 512
    q_lora_rank: Size | None = 1536
    qk_rope_head_dim: Size = 64
    v_head_dim: Size = 128
    qk_nope_head_dim: Size = 128
    attention_bias: Flag = False

    @property
    def kv_heads(self) -> int:
        """A fact only: one latent serves all heads, so nothing has to divide."""
        return self.num_key_value_heads or self.num_attention_heads

    @property
    def head_size(self) -> int:
        return self.v_head_dim

    def attention(self, indexed: bool = False) -> LatentAttention:
        return LatentAttention(
            self.hidden_size, self.num_attention_heads, self.kv_lora_rank, self.qk_nope_head_dim, self.qk_rope_head_dim,
            self.v_head_dim, self.q_lora_rank, self.attention_bias,
        )  # fmt: skip

    def more(self) -> tuple[tuple[str, str], ...]:
        return (
            ("latent", f"KV rank {self.kv_lora_rank} + rotary key {self.qk_rope_head_dim}"),
            ("query rank", str(self.q_lora_rank) if self.q_lora_rank else "full"),
            ("query/key head", f"{self.qk_nope_head_dim} + {self.qk_rope_head_dim} rotary"),
        )
