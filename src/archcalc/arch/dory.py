"""Dory: layers on the unit sphere (nGPT), of which the middle ones run several times over, each time over a past of their own.

Norms have no weights; gated attention, a learned rate for each channel in place of the residual sum.

Source: transformers 5.24, models/dory/modeling_dory.py and configuration_dory.py (defaults; configs that list attention and FFN as
layers of their own, two to one), conversion_mapping.py ("dory"); nGPT, arXiv:2410.01131.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from archcalc.arch._computes import Computes
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, per_layer
from archcalc.blocks._tensor import linear
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Layer, Shard, Tensor


class Schema(WindowedSchema):
    vocab_size: Size = 131072
    hidden_size: Size = 2560
    intermediate_size: Size = 7168
    num_hidden_layers: Layers = 36
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 256
    max_position_embeddings: Tokens = 8192
    attention_bias: Flag = False
    mlp_bias: Flag = False
    sliding_window: Tokens | None = 1024
    n_input_layers: Count = 8
    n_recurrent_layers: Count | None = None
    n_output_layers: Count = 8
    n_recurrent_loops: Layers = 2
    recurrent_kv_cache_mode: Literal["per_loop", "last_loop"] = "per_loop"

    def computes(self) -> Computes:
        return super().computes()._replace(bare="bare-rms", bare_heads="bare-rms")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        kinds = config.get("layer_types")
        if not isinstance(kinds, list) or "mlp" not in kinds:
            return config
        if isinstance(n := config.get("num_hidden_layers"), int):
            per_layer(kinds, n, "layer_types")
        if any((kind == "mlp") != (i % 2 == 1) for i, kind in enumerate(kinds)):
            raise ConfigError("layer_types does not alternate between attention and mlp", "correct it", "layer_types")
        counts = ("num_hidden_layers", "n_input_layers", "n_recurrent_layers", "n_output_layers")
        halved = {key: config[key] // 2 for key in counts if isinstance(config.get(key), int)}
        # Those that are absent stand for the class's own number, which it halves too.
        halved = {"n_input_layers": 4, "n_output_layers": 4, **halved}
        return {**config, **halved, "layer_types": kinds[::2]}

    def norm(self, name: str) -> Iterable[Tensor]:
        return ()

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def ffn_bias(self) -> bool:
        return self.mlp_bias

    def variants(self) -> Sequence[int]:
        """How many times each layer runs."""
        n, before, after = self.num_hidden_layers, self.n_input_layers, self.n_output_layers
        looped = n - before - after
        if looped < 0 or self.n_recurrent_layers not in (None, looped):
            why = f"n_input_layers, n_recurrent_layers and n_output_layers do not sum to the {n} layers"
            raise ConfigError(why, "correct one", "n_recurrent_layers")
        return [1] * before + [self.n_recurrent_loops] * looped + [1] * after

    def attention(self, window: int | None, variant: int) -> Any:
        return super().attention(window, 0)

    def extra(self, variant: int) -> Iterable[Tensor]:
        h, heads, inner = self.hidden_size, self.num_attention_heads, self.intermediate_size
        width = heads * self.head_size
        yield from linear("self_attn.gate_proj", width, h, "attention", shard=Shard(0, heads))
        yield from (
            Tensor(f"self_attn.{name}", (width,), "attention", Shard(0, heads), acts="multiplies") for name in ("sqk", "s_gate")
        )
        yield from (Tensor(f"mlp.{name}", (inner,), "mlp", Shard(0, inner), acts="multiplies") for name in ("suv_gate", "suv_up"))
        yield from (Tensor(name, (h,), "other", acts="multiplies") for name in ("lambda_1", "lambda_2"))

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        layer = super().layer(window, sparse, variant)
        pasts = variant if self.recurrent_kv_cache_mode == "per_loop" else 1
        return layer._replace(caches=layer.caches * pasts, attends=layer.attends * variant)

    def more(self) -> dict[str, Any]:
        loops = f"{max(self.variants())} passes through {sum(n > 1 for n in self.variants())} of {self.num_hidden_layers} layers"
        return {"norm": "L2 (pre + post, no weights)", "more": (("attention output", "gated by its input"), ("recurrence", loops))}

    def architecture(self, prefix: str) -> Architecture:
        a, scale = (
            super().architecture(prefix),
            Tensor("lm_head.logit_scale", (self.vocab_size,), "head", Shard(0, self.vocab_size)),
        )
        groups = tuple(g._replace(tensors=(*g.tensors, scale)) if g.part == "head" else g for g in a.groups)
        return a._replace(groups=groups, notes=("FLOPs count the matrices of a layer once, however often it runs",))
