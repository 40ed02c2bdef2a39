"""Jais: GPT-2's layer with ALiBi and a SwiGLU FFN.

Source: llama.cpp (llama-cpp-python 0.3.36), conversion/jais.py `JaisModel` and src/models/jais.cpp; vLLM 0.9.2, models/jais.py (names;
`c_fc` takes the gate beside `c_fc2`).
"""

from __future__ import annotations

from typing import Literal

from archcalc.arch import gpt2
from archcalc.arch._decoder import decoder
from archcalc.arch._schema import divided
from archcalc.blocks._tensor import make_layer, transpose
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import ALIBI, Architecture, Facts


class Schema(gpt2.Schema):
    inert_keys = (
        *gpt2.Schema.inert_keys, "embeddings_scale", "mup_embeddings_scale", "mup_output_alpha", "mup_scale_qk_dot_by_d",
        "mup_width_scale", "scale_qk_dot_by_d", "width_scale", "alibi_scaling",
    )  # fmt: skip

    activation_function: Literal["swiglu"] = "swiglu"
    position_embedding_type: Literal["alibi"] = "alibi"

    def architecture(self, prefix: str) -> Architecture:
        self.without_encoder()
        h, inner = self.n_embd, self.n_inner or 4 * self.n_embd
        head_dim = divided(h, self.n_head, "n_embd", "n_head")
        attention = GroupedQueryAttention(
            h, self.n_head, self.n_head, head_dim, bias=True, output_bias=True, fused="c_attn", names=("", "", "", "c_proj"),
            rope=False, transposed=True,
        )  # fmt: skip
        ffn = GatedFeedForward(h, inner, "silu", True, names=("c_fc2", "c_fc", "c_proj"))
        layer = make_layer(attention, ffn, (*layer_norm("ln_1", h), *layer_norm("ln_2", h)), mixer_name="attn")
        kept = tuple(transpose(t) if t.name.startswith("mlp.") else t for t in layer.tensors)
        facts = Facts(
            h, self.vocab_size, self.n_positions, "MHA", self.n_head, self.n_head, head_dim, "LayerNorm (pre)", "SwiGLU", ALIBI, inner,
            tied_embeddings=self.tie_word_embeddings,
        )  # fmt: skip
        return decoder(
            [layer._replace(tensors=kept)] * self.n_layer, facts, computes=self.computes(), prefix=prefix, embed="wte",
            layers_name="h", final_norm=layer_norm("ln_f", h),
        )  # fmt: skip
