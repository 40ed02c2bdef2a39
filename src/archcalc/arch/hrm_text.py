"""HRM-Text: two stacks run in turn many times over; each pass keeps its own keys and values. Gated attention, norms without weights.

Source: transformers 5.23, models/hrm_text/modeling_hrm_text.py and configuration_hrm_text.py (defaults, `num_layers_per_stack`),
conversion_mapping.py ("hrm_text": checkpoints fuse gate, queries, keys and values).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._computes import Computes, computed
from archcalc.arch._decoder import join
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Passes, Shard, Stack, Tensor, stack

MOST_PASSES = 10_000


class Schema(PlainSchema):
    inert_keys = ("embedding_scale", "prefix_lm")
    grouped = False

    vocab_size: Size = 151808
    hidden_size: Size = 1536
    intermediate_size: Size = 4096
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 12
    head_dim: Size = 128
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False
    H_cycles: Layers = 2
    L_cycles: Layers = 3
    num_layers_per_stack: Layers | None = None
    L_bp_cycles: tuple[int, ...] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(bare="bare-rms")

    def norm(self, name: str) -> Iterable[Tensor]:
        return ()

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def extra(self, variant: int) -> Iterable[Tensor]:
        width, heads = self.num_attention_heads * self.head_dim, self.num_attention_heads
        shard = Shard(0, heads)
        return linear("self_attn.gate_proj", width, self.hidden_size, "attention", bias=self.attention_bias, shard=shard)

    def passes(self, module: str, times: int, prefix: str) -> Stack:
        """One stack, whose layers run `times` times for each token, each time over a past of their own."""
        layer = self.layer(None, False, 0)
        layer = layer._replace(caches=layer.caches * times, attends=layer.attends * times)
        # A saved config states both numbers of layers: those with weights, and those that run.
        layers = [layer] * (self.num_layers_per_stack or self.num_hidden_layers)
        return stack(join(prefix, f"{module}.layers"), "decoder", layers)

    def graded(self) -> tuple[int, int]:
        """Passes of the low and of the high stack that keep what their backward passes need (`HrmTextModel.forward`: the last of each
        cycle's passes, as many as `L_bp_cycles` says of the last cycles and one of those before; all of the high stack)."""
        listed = (2,) if self.L_bp_cycles is None else self.L_bp_cycles
        each = (1,) * max(0, self.H_cycles - len(listed)) + listed
        return sum(max(0, min(n, self.L_cycles)) for n in each[: self.H_cycles]), self.H_cycles

    def more(self) -> dict[str, Any]:
        cycles = f"{self.H_cycles} cycles of {self.L_cycles} passes through the low stack and one through the high one"
        return {"norm": "RMSNorm (pre, no weights)", "more": (("attention output", "gated by its input"), ("recurrence", cycles))}

    def decoder_options(self) -> dict[str, Any]:
        return {"extra": [Tensor("z_L_init", (self.hidden_size,), "other")]}

    def architecture(self, prefix: str) -> Architecture:
        if (times := self.H_cycles * self.L_cycles) > MOST_PASSES:
            raise ConfigError(f"H_cycles x L_cycles is {times:,}: no model passes so often", "correct one of the two", "H_cycles")
        low = self.passes("L_module", times, prefix)
        high = self.passes("H_module", self.H_cycles, prefix)
        a = computed(super().architecture(prefix)._replace(stacks=(low, high)), self.computes())
        graded = self.graded()
        stacks = zip(a.stacks, graded, strict=True)
        # Each pass through a stack ends with a norm of its own.
        return a._replace(
            stacks=tuple(s._replace(kinds=tuple(k._replace(steps=(*k.steps, Passes(n))) for k in s.kinds)) for s, n in stacks),
            steps=a.steps * sum(graded),
        )
