"""OPT and Galactica: learned positions with two rows to spare, norms before or behind, embedding of a width of its own if wanted.

Source: transformers 5.23, models/opt/modeling_opt.py and configuration_opt.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._decoder import join
from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import Block, Mixer, linear
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import LEARNED, Architecture, Group, Tensor


class Schema(PlainSchema):
    reads_head_dim = False
    norms = ("self_attn_layer_norm", "final_layer_norm")
    last_norm = "final_layer_norm"
    gated = False
    ffn_name = ""
    grouped = False

    vocab_size: Size = 50272
    hidden_size: Size = 768
    num_hidden_layers: Layers = 12
    intermediate_size: Size = named(3072, "ffn_dim")
    num_attention_heads: Size = 12
    hidden_act: str = named("relu", "activation_function")
    max_position_embeddings: Size = 2048
    do_layer_norm_before: Flag = True
    remove_final_layer_norm: Flag = named(False, "_remove_final_layer_norm")
    word_embed_proj_dim: Derived = 0
    enable_bias: Flag = True
    layer_norm_elementwise_affine: Flag = True
    tie_word_embeddings: Flag = True

    def norm(self, name: str) -> Iterable[Tensor]:
        return layer_norm(name, self.hidden_size) if self.layer_norm_elementwise_affine else ()

    def attention(self, window: int | None, variant: int) -> Mixer:
        names = ("q_proj", "k_proj", "v_proj", "out_proj")
        return self.gqa(bias=self.enable_bias, output_bias=self.enable_bias, names=names, rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, self.enable_bias)

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED, "norm": f"LayerNorm ({'pre' if self.do_layer_norm_before else 'post'})"}

    def decoder_options(self) -> dict[str, Any]:
        h, width = self.hidden_size, self.word_embed_proj_dim or self.hidden_size
        # Positions start at 2: the first two rows are never looked up.
        tensors = [Tensor("embed_positions.weight", (self.max_position_embeddings + 2, h), "embedding")]
        if width != h:
            tensors += [*linear("project_out", width, h, "other"), *linear("project_in", h, width, "other")]
        last = self.do_layer_norm_before and not self.remove_final_layer_norm
        return {"extra_embedding": tensors, "final_norm": self.norm(self.last_norm) if last else ()}

    def architecture(self, prefix: str) -> Architecture:
        width, a = self.word_embed_proj_dim or self.hidden_size, super().architecture(join(prefix, "decoder"))
        # The vocabulary's tables have the embedding's width.
        tables = ("embed_tokens.weight", "lm_head.weight")
        groups = (
            Group(g.part, tuple(t._replace(shape=(t.shape[0], width)) if t.name.endswith(tables) else t for t in g.tensors))
            for g in a.groups
        )
        return a if width == self.hidden_size else a._replace(groups=tuple(groups))
