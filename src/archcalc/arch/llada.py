"""LLaDA: Llama's layer under OLMo's first names, which sees both ways.

Source: GSAI-ML/LLaDA-8B-Instruct, modeling_llada.py (`LLaDALlamaBlock`) and configuration_llada.py (defaults); llama.cpp
(llama-cpp-python 0.3.36), conversion/llada.py and src/models/llada.cpp (no cache).
"""

from __future__ import annotations

from typing import Literal

from archcalc.arch._both_ways import uncached
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.arch.hf_olmo import Schema as Olmo
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(DecoderSchema):
    prefix = "model.transformer"

    inert_keys = (
        *Olmo.inert_keys, "attention_layer_norm_with_affine", "input_emb_norm", "layer_norm_with_affine", "max_position",
        "mlp_ratio", "multi_query_attention",
    )  # fmt: skip

    hidden_size: Size = named(768, "d_model", "hidden_size")
    num_hidden_layers: Layers = named(12, "n_layers", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_heads", "num_attention_heads")
    num_key_value_heads: Size | None = named(None, "n_kv_heads", "num_key_value_heads")
    intermediate_size: Size = named(None, "mlp_hidden_size", "intermediate_size")
    embedding_size: Size | None = None
    max_position_embeddings: Tokens = named(1024, "max_sequence_length", "max_position_embeddings")
    tie_word_embeddings: Flag = named(False, "weight_tying", "tie_word_embeddings")
    hidden_act: str = named("silu", "activation_type")
    include_bias: Flag = False
    include_qkv_bias: Flag | None = False
    attention_layer_norm: Flag = False
    block_type: Literal["llama"] = "llama"

    def architecture(self, prefix: str) -> Architecture:
        if self.attention_layer_norm or self.include_bias:
            key = "attention_layer_norm" if self.attention_layer_norm else "include_bias"
            raise UnsupportedError(f"{key} is true: no published LLaDA has it, and archcalc does not model it")
        h, names = self.hidden_size, ("q_proj", "k_proj", "v_proj", "attn_out")
        bias = bool(self.include_qkv_bias)
        attention = GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, bias, names=names)
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act, names=("ff_proj", "up_proj", "ff_out"))
        layer = make_layer(attention, ffn, (rms_norm("attn_norm", h), rms_norm("ff_norm", h)), mixer_name="", ffn_name="")
        return uncached(
            decoder(
                [layer] * self.num_hidden_layers, self.facts(), computes=self.computes(), prefix=prefix, embed="wte",
                layers_name="blocks", final_norm=[rms_norm("ln_f", h)], embed_rows=self.embedding_size or self.vocab_size,
                head=f"{prefix}.ff_out",
            )
        )  # fmt: skip
