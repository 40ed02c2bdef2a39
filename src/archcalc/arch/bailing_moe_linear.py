"""Ring-linear 2.0: lightning attention in all but the last layer of each group, Ling 2's mixtures.

Source: mlx-lm 0.32, models/bailing_moe_linear.py; inclusionAI/Ring-mini-linear-2.0, modeling_bailing_moe_linear_v2.py (names).
"""

from collections.abc import Iterator, Sequence
from typing import Any

from archcalc.arch import bailing_moe
from archcalc.arch._alternating import FULL, LINEAR, hybrid_label
from archcalc.arch._schema import Size
from archcalc.blocks._tensor import Mixer, linear
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.linear import LightningAttention
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Shard, Tensor


class NamedLightning(LightningAttention):
    """The same with QK-norm if asked for, under this type's names."""

    normed: bool = False
    bias: bool = False
    output_bias: bool = False

    def tensors(self) -> Iterator[Tensor]:
        width, by_head = self.heads * self.head_dim, Shard(0, self.heads)
        yield from linear("query_key_value", 3 * width, self.hidden, "attention", bias=self.bias, shard=by_head)
        yield from linear("g_proj", width, self.hidden, "attention", shard=by_head)
        yield rms_norm("g_norm", width)._replace(shard=by_head)
        for name in ("query_layernorm", "key_layernorm") if self.normed else ():
            yield rms_norm(name, self.head_dim)
        yield from linear("dense", self.hidden, width, "attention", bias=self.output_bias, shard=Shard(1, self.heads))


class Schema(bailing_moe.Schema):
    core_keys = (*bailing_moe.Schema.core_keys, "layer_group_size")
    inert_keys = (*bailing_moe.Schema.inert_keys, "group_norm_size", "linear_silu")

    layer_group_size: Size
    kv_lora_rank: Size | None = None

    def kinds(self) -> list[str]:
        """Layers behind the last whole group see everything too."""
        n, size = self.num_hidden_layers, self.layer_group_size
        return [FULL if (i + 1) % size == 0 or i >= n // size * size else LINEAR for i in range(n)]

    def variants(self) -> Sequence[int]:
        return [int(kind == LINEAR) for kind in self.kinds()]

    def attention(self, window: int | None, variant: int) -> Mixer:
        if self.kv_lora_rank:
            raise UnsupportedError("kv_lora_rank is stated: archcalc knows lightning attention beside GQA here, not beside MLA")
        if not variant:
            return super().attention(window, 0)
        h, heads = self.hidden_size, self.num_attention_heads
        return NamedLightning(h, heads, h // heads, self.use_qk_norm, self.use_bias or self.use_qkv_bias, self.use_bias)

    def more(self) -> dict[str, Any]:
        sharing = head_sharing(self.num_attention_heads, self.kv_heads)
        return {**super().more(), "attention": hybrid_label(self.kinds(), "lightning attention", sharing)}
