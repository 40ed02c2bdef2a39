"""IQuest-LoopCoder: Llama's layers, all of them run twice; the second time each reads the first's cache and a window of its own past.

Source: vLLM 0.33, models/iquest_loopcoder.py (`LoopCoderAttention`, `LoopGateProjection`).
"""

from archcalc.arch import llama
from archcalc.arch._decoder import join
from archcalc.arch._schema import Layers, Tokens
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.model import Architecture, Layer, Shard, Stack, stack


class Schema(llama.Schema):
    core_keys = (*llama.Schema.core_keys, "loop_num", "loop_window_size")

    loop_num: Layers = 2
    loop_window_size: Tokens = 64

    def looped(self, layer: Layer) -> Layer:
        """The layer with a window's past for each further loop, in which it attends to both."""
        h, heads, more = self.hidden_size, self.num_attention_heads, self.loop_num - 1
        window = GroupedQueryAttention(h, heads, self.kv_heads, self.head_size, window=self.loop_window_size)
        return layer._replace(
            caches=(*layer.caches, *[*window.caches()] * more),
            attends=(*layer.attends, *[*layer.attends, *window.attends()] * more),
        )

    def gates(self, prefix: str) -> Stack:
        """One for each layer, that weighs the two."""
        gate = linear(
            "gate_proj", self.num_attention_heads, self.head_size, "attention", bias=True, shard=Shard(0, self.num_attention_heads)
        )
        return stack(join(prefix, "gate_projections"), "other", [make_layer(None, None, tuple(gate))] * self.num_hidden_layers)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        stacks = tuple(s._replace(kinds=tuple(map(self.looped, s.kinds))) for s in a.stacks)
        more = (
            "recurrence",
            f"{self.loop_num} loops; after the first, full attention and a window of {self.loop_window_size}, gated",
        )
        return a._replace(
            stacks=(*stacks, *([self.gates(prefix)] if self.loop_num > 1 else [])),
            facts=a.facts._replace(more=(*a.facts.more, more)),
            notes=("FLOPs count the matrices of a layer once, however often it runs",),
        )  # fmt: skip
