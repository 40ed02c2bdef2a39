"""Command R and Aya: attention and FFN beside each other behind one LayerNorm without bias, scaled logits.

Source: transformers 5.23, models/cohere/modeling_cohere.py and configuration_cohere.py (defaults).
"""

from collections.abc import Iterable

from archcalc.arch._cohere import CohereSchema
from archcalc.arch._schema import Flag
from archcalc.blocks.norm import gain
from archcalc.model import Tensor


class Schema(CohereSchema):
    use_qk_norm: Flag | None = False

    def normalized(self) -> tuple[tuple[str, str], ...]:
        return (("QK-norm", "LayerNorm, a gain for each head"),) if self.use_qk_norm else ()

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.use_qk_norm:
            # Each head has a gain of its own.
            yield gain("self_attn.q_norm.weight", (self.num_attention_heads, self.head_size), "layer")
            yield gain("self_attn.k_norm.weight", (self.kv_heads, self.head_size), "layer")
