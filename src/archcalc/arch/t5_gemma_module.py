"""One half of T5Gemma: Gemma 2's layers, with cross-attention where it decodes.

Source: transformers 5.23, models/t5gemma/modeling_t5gemma.py (`T5GemmaEncoder`, `T5GemmaDecoder`) and configuration_t5gemma.py
(`T5GemmaModuleConfig`, defaults).
"""

from archcalc.arch import gemma2
from archcalc.arch._composite import Pieces
from archcalc.arch._computes import normed
from archcalc.arch.gemma3_text import renamed
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import rms_norm
from archcalc.model import Layer, Part, Shard, Tensor


class Schema(gemma2.Schema):
    def cross(self, source: int) -> list[Tensor]:
        """Attention over the encoder's output, of width `source`, with as few keys and values as the layer's own."""
        h, dim, bias = self.hidden_size, self.head_size, self.attention_bias
        heads, kv = self.num_attention_heads, self.kv_heads
        found = [*linear("q_proj", heads * dim, h, "attention", bias=bias, shard=Shard(0, heads))]
        for name in ("k_proj", "v_proj"):
            found += linear(name, kv * dim, source, "attention", bias=bias, shard=Shard(0, kv))
        return [*found, *linear("o_proj", h, heads * dim, "attention", bias=bias, shard=Shard(1, heads))]

    def half(self, prefix: str, source: int = 0) -> Pieces:
        """Embedding, layers and final norm; a decoder where it reads a `source`."""
        a = self.architecture(prefix)
        part: Part = "other"
        more: list[Tensor] = []
        if source:
            part = "decoder"
            norms = [rms_norm(f"{when}_cross_attn_layernorm", self.hidden_size) for when in ("pre", "post")]
            more = [*prefixed("cross_attn", self.cross(source)), *normed(tuple(norms), self.computes())]

        def rebuilt(layer: Layer) -> Layer:
            return layer._replace(tensors=(*map(renamed, layer.tensors), *more), caches=layer.caches if source else ())

        groups = [g._replace(part=part) if g.part == "decoder" else g for g in a.groups if g.part != "head"]
        return groups, [s._replace(part=part, kinds=tuple(map(rebuilt, s.kinds))) for s in a.stacks]
