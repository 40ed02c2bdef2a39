"""nanochat: one dial, the depth; ReLU² FFN, norms without weights, no biases, an untied head.

Source: transformers 5.23, models/nanochat/modeling_nanochat.py and configuration_nanochat.py (defaults); karpathy/nanochat,
nanochat/gpt.py `GPTConfig` (native keys) and scripts/base_train.py (width = 64 * depth, heads of 128).
"""

from typing import Any

from pydantic import model_validator

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Architecture

_NATIVE = {
    "n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_kv_head": "num_key_value_heads", "n_embd": "hidden_size",
    "sequence_len": "max_position_embeddings",
}  # fmt: skip


class Schema(DecoderSchema):
    whole_heads = False
    core_keys = ()

    vocab_size: Size = 50304
    hidden_size: Size = 768
    intermediate_size: Size = 8192
    num_hidden_layers: Layers = 12
    num_attention_heads: Size = 6
    hidden_act: str = "relu2"
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    depth: Layers | None = None

    def computes(self) -> Computes:
        return (
            super()
            .computes()
            ._replace(capped_logits=True, bare="bare-rms", bare_outside=("embedding norm", "final norm"), bare_heads="bare-rms")
        )

    @model_validator(mode="before")
    @classmethod
    def _native(cls, config: Any) -> Any:
        """Native keys under transformers' names: a depth alone sets layers, width and heads; the FFN is four times as wide."""
        if not isinstance(config, dict) or not ("depth" in config or "n_embd" in config):
            return config
        out = {_NATIVE.get(key, key): value for key, value in config.items()}
        if type(depth := config.get("depth")) is int and depth > 0:
            out.setdefault("num_hidden_layers", depth)
            out.setdefault("hidden_size", 64 * depth)
            out.setdefault("num_attention_heads", max(1, (64 * depth + 127) // 128))
        if isinstance(width := out.get("hidden_size"), int):
            out.setdefault("intermediate_size", 4 * width)
        return out

    def architecture(self, prefix: str) -> Architecture:
        h, bias = self.hidden_size, self.attention_bias
        layer = make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias=bias, output_bias=bias),
            FeedForward(h, self.intermediate_size, self.hidden_act, bias=False),
        )
        facts = self.facts(
            gated=False,
            norm="RMSNorm without weights (pre, and after the embedding)",
            more=(("QK-norm", "RMSNorm without weights"),),
        )
        return decoder([layer] * self.num_hidden_layers, facts, computes=self.computes(), prefix=prefix)
