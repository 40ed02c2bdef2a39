"""Nomic Embed: BERT with rotary positions, a SwiGLU and no biases in its layers.

Source: transformers 5.23, models/nomic_bert/modeling_nomic_bert.py (`NomicBertForMaskedLM`) and configuration_nomic_bert.py
(defaults), conversion_mapping.py ("nomic_bert": published files fuse queries, keys and values).
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size, rope_label
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward, activation_name
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, table
from archcalc.model import Architecture, Layer, Tensor

RENAMES = (
    ("nomic_bert.embeddings.LayerNorm.", "emb_ln."),
    ("nomic_bert.layers.", "encoder.layers."),
    ("nomic_bert.", ""),
    *((f".self_attn.{name}_proj.", ".attn.Wqkv.") for name in "qkv"),
    (".self_attn.o_proj.", ".attn.out_proj."),
    (".mlp.up_proj.", ".mlp.fc11."),
    (".mlp.gate_proj.", ".mlp.fc12."),
    (".mlp.down_proj.", ".mlp.fc2."),
    (".post_attention_layernorm.", ".norm1."),
    (".post_mlp_layernorm.", ".norm2."),
)


_OFF = frozenset({"mlp_fc1_bias", "mlp_fc2_bias", "prenorm", "qkv_proj_bias", "use_rms_norm"})


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    # The names of its first configs, from before transformers read the type (nomic-ai/nomic-embed-text-v1, config.json).
    other_names = {
        "n_embd": "hidden_size", "n_layer": "num_hidden_layers", "n_head": "num_attention_heads", "n_inner": "intermediate_size",
        "n_positions": "max_position_embeddings", "activation_function": "hidden_act",
    }  # fmt: skip
    inert_keys = (
        *BertSchema.inert_keys, "causal", "dense_seq_output", "fused_bias_fc", "fused_dropout_add_ln", "last_layer_subset",
        "max_trained_positions", "pad_vocab_size_multiple", "parallel_block", "parallel_block_tied_norm", "rotary_emb_fraction",
        "rotary_emb_interleaved", "rotary_emb_scale_base", "rotary_scaling_factor", "use_xentropy", "reorder_and_upcast_attn",
        "scale_attn_by_inverse_layer_idx", "scale_attn_weights",
    )  # fmt: skip
    reads_head_dim = True
    whole_heads = False
    root = "nomic_bert"
    layers_name = "layers"

    vocab_size: Size = 30528
    hidden_act: str = "silu"
    max_position_embeddings: Size = 2048

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """Those first configs name the gate in the activation, and say what the type has not: that is off."""
        if config.get("activation_function") == "swiglu":
            config = {**config, "activation_function": "silu"}
        return {key: value for key, value in config.items() if not (key in _OFF and value is False)}

    def tables(self) -> Iterator[Tensor]:
        yield table("token_type_embeddings", self.type_vocab_size, self.hidden_size)
        yield from layer_norm("LayerNorm", self.hidden_size)

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        norms = (*layer_norm("post_attention_layernorm", h), *layer_norm("post_mlp_layernorm", h))
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        return encoder_layer(GroupedQueryAttention(h, heads, heads, self.head_size), ffn, norms)

    def head(self) -> Iterator[Tensor]:
        for t in super().head():
            yield t._replace(name=t.name.replace("LayerNorm", "layer_norm"))

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=RENAMES if self.name == "nomic_bert" else ())

    def more(self) -> dict[str, Any]:
        return {"position": rope_label(self.model_extra or {}), "activation": activation_name(self.hidden_act, gated=True)}
