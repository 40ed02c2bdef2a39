"""Falcon: attention with one key and value head, or one a group, beside the FFN or before it.

Source: transformers 5.23, models/falcon/modeling_falcon.py and configuration_falcon.py (defaults).
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PARALLEL, Derived, PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import ALIBI, Architecture, recached


class Schema(PlainSchema):
    prefix = "transformer"
    reads_head_dim = False
    inert_keys: ClassVar[tuple[str, ...]] = ("apply_residual_connection_post_layernorm", "n_head", "n_layer")
    layer_norms = True
    last_norm = "ln_f"
    gated = False
    mixer_name = "self_attention"

    vocab_size: Size = 65024
    hidden_size: Size = named(4544, "n_embed", "hidden_size")
    intermediate_size: Derived = named(0, "ffn_hidden_size")
    num_hidden_layers: Layers = named(32, "num_hidden_layers", "n_layer")
    num_attention_heads: Size = named(71, "num_attention_heads", "n_head")
    num_key_value_heads: Size | None = named(None, "num_kv_heads")
    hidden_act: str = named("gelu", "activation")
    max_position_embeddings: Tokens = 2048
    tie_word_embeddings: Flag = True
    num_ln_in_parallel_attn: Size | None = None
    alibi: Flag | None = False
    new_decoder_architecture: Flag | None = False
    multi_query: Flag | None = True
    parallel_attn: Flag | None = True
    bias: Flag | None = False

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own", parallel=bool(self.parallel_attn))

    @property
    def kv_heads(self) -> int:
        if self.new_decoder_architecture:
            return super().kv_heads
        return 1 if self.multi_query else self.num_attention_heads

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def norm_names(self) -> Iterable[str]:
        if not self.parallel_attn:
            return ("input_layernorm", "post_attention_layernorm")
        two = self.num_ln_in_parallel_attn or (2 if self.new_decoder_architecture else 1)
        return ("ln_attn", "ln_mlp") if two == 2 else ("input_layernorm",)

    def dense(self) -> Block:
        names = ("dense_h_to_4h", "dense_4h_to_h")
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, bool(self.bias), names)

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, names = bool(self.bias), ("", "", "", "dense")
        return self.gqa(bias=bias, output_bias=bias, fused="query_key_value", names=names, rope=not self.alibi)

    def more(self) -> dict[str, Any]:
        # ALiBi takes the place of rotary positions.
        position = ALIBI if self.alibi else rope_label(self.model_extra or {})
        one = ("LayerNorm (pre)", PARALLEL, "LayerNorm (pre, one each for attention and FFN in parallel)")
        names = tuple(self.norm_names())
        return {"position": position, "norm": one[0 if not self.parallel_attn else len(names)]}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "word_embeddings", "layers_name": "h"}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.kv_heads > 1:
            # Keys and values are repeated for all heads before they are cached (modeling_falcon.py, FalconAttention._split_heads).
            a = recached(a, repeated=self.num_attention_heads)
        if "tie_word_embeddings" in self.model_fields_set:
            return a
        # Configs that do not state the tying are of checkpoints that hold the tied head all the same.
        head = a.groups[-1]
        return a._replace(groups=(*a.groups[:-1], head._replace(tensors=tuple(t._replace(stored=(t.name,)) for t in head.tensors))))


class Refinedweb(Schema):
    """Falcon as first published (`RefinedWeb`): the width's older names.
    Source: vLLM 0.33, transformers_utils/configs/falcon.py (`RWConfig`); llama.cpp 0c1e57098, conversion/falcon.py."""

    inert_keys = (*Schema.inert_keys, "n_head_kv")

    num_key_value_heads: Size | None = named(None, "num_kv_heads", "n_head_kv")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        # Falcon 40B states the number of heads alone; its layers are those of the newer form.
        newer = config.get("n_head_kv") is not None and not config.get("multi_query")
        return {"new_decoder_architecture": newer, **config}


class Refinedwebmodel(Refinedweb):
    """Falcon 7B as first published (`RefinedWebModel`).
    Source: vLLM 0.33, transformers_utils/configs/falcon.py (`RWConfig`)."""
