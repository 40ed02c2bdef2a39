"""GPT-J: attention and FFN beside each other behind one LayerNorm, rotary positions on part of each head, a head with a bias.

Source: transformers 5.23, models/gptj/modeling_gptj.py and configuration_gptj.py (defaults, attribute_map).
"""

from typing import Any, ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PARALLEL, Derived, PlainSchema, named
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import ROPE, Position


class Schema(PlainSchema):
    prefix = "model"
    prefix = "transformer"
    reads_head_dim = False
    inert_keys = ("n_ctx", "rotary", "scale_attn_weights")
    norms = ("ln_1",)
    layer_norms = True
    norm_label = PARALLEL
    last_norm = "ln_f"
    gated = False
    mixer_name = "attn"
    grouped = False
    fused: ClassVar[str] = ""

    vocab_size: Size = 50400
    max_position_embeddings: Tokens = named(2048, "n_positions", "max_position_embeddings")
    hidden_size: Size = named(4096, "n_embd", "hidden_size")
    num_hidden_layers: Layers = named(28, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(16, "n_head", "num_attention_heads")
    intermediate_size: Derived = named(0, "n_inner")
    hidden_act: str = named("gelu_new", "activation_function")
    rotary_dim: Count | None = 64

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=True, joined=True, products="fp32")

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(fused=self.fused, names=("q_proj", "k_proj", "v_proj", "out_proj"))

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("fc_in", "fc_out"))

    def more(self) -> dict[str, Any]:
        if not self.rotary_dim:
            return {"position": ROPE}
        said = f"RoPE (interleaved, {self.rotary_dim} of {self.head_size} channels)"
        return {"position": Position("rotary", said, min(self.rotary_dim / self.head_size, 1.0))}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "wte", "layers_name": "h", "head_bias": True}


class Codegen(Schema):
    """CodeGen: GPT-J with one projection for queries, keys and values.
    Source: transformers 5.23, models/codegen/modeling_codegen.py and configuration_codegen.py (defaults: GPT-J's)."""

    fused = "qkv_proj"
