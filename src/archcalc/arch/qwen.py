"""Qwen 1, and Qwen-VL where the config has `visual`: biased queries, keys and values in one projection, FFN of half the stated width.

Source: Qwen/Qwen-7B, modeling_qwen.py and configuration_qwen.py; the vision tower: Qwen/Qwen-VL, visual.py.
"""

from typing import Any

from archcalc.arch._decoder import with_tower
from archcalc.arch._openclip import Schema as Visual
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Architecture


class Schema(PlainSchema):
    prefix = "transformer"
    inert_keys = (
        "activation", "apply_residual_connection_post_layernorm", "bf16", "fp16", "fp32", "n_inner", "onnx_safe",
        "padded_vocab_size", "params_dtype", "pos_emb", "rotary_pct", "scale_attn_weights", "seq_length", "use_cache_kernel",
        "use_cache_quantization",
    )  # fmt: skip
    norms = ("ln_1", "ln_2")
    last_norm = "ln_f"
    mixer_name = "attn"
    grouped = False

    vocab_size: Size = 151936
    hidden_size: Size = named(4096, "hidden_size", "n_embd")
    num_hidden_layers: Layers = named(32, "num_hidden_layers", "n_layer")
    num_attention_heads: Size = named(32, "num_attention_heads", "n_head")
    intermediate_size: Size = named(22016, "intermediate_size", "ffn_hidden_size")
    head_dim: Size | None = named(None, "kv_channels")
    max_position_embeddings: Tokens = named(8192, "max_position_embeddings", "n_positions", "seq_length")
    no_bias: Flag = True
    visual: Visual | None = None

    @property
    def ffn_size(self) -> int:
        return divided(self.intermediate_size, 2, "intermediate_size", "2")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=not self.no_bias, fused="c_attn", names=("", "", "", "c_proj"))

    def dense(self) -> Block:
        names = ("w2", "w1", "c_proj")
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, not self.no_bias, names=names)

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "wte", "layers_name": "h"}

    def architecture(self, prefix: str) -> Architecture:
        text = super().architecture(prefix)
        return text if self.visual is None else with_tower(text, *self.visual.tower(f"{prefix}.visual"))
