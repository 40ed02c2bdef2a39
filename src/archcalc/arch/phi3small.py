"""Phi-3-small: biases everywhere, LayerNorm, a GeGLU, and attention to chosen blocks in every other layer.

Source: microsoft/Phi-3-small-8k-instruct, modeling_phi3_small.py and configuration_phi3_small.py (defaults).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.errors import UnsupportedError
from archcalc.model import Tensor


class Schema(PlainSchema):
    inert_keys = (
        "attention_bias", "blocksparse_homo_head_pattern", "blocksparse_triton_kernel_block_size", "ff_dim_multiplier",
        "gegelu_limit", "gegelu_pad_to_256", "mup_attn_multiplier", "mup_embedding_multiplier", "mup_use_scaling",
        "mup_width_multiplier", "pad_sequence_to_multiple_of_64", "reorder_and_upcast_attn", "rope_embedding_base",
        "rope_position_scale", "dummy_token_indices",
    )  # fmt: skip
    layer_norms = True
    norm_label = "LayerNorm (pre)"
    last_norm = "final_layernorm"

    vocab_size: Size = 100352
    hidden_size: Size = 4096
    intermediate_size: Size = named(14336, "ff_intermediate_size")
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_key_value_heads: Size | None = 8
    hidden_act: str = "gegelu"
    max_position_embeddings: Tokens = 8192
    tie_word_embeddings: Flag = True
    blocksparse_block_size: Size = 64
    blocksparse_num_local_blocks: Size = 16
    blocksparse_vert_stride: Size = 8
    dense_attention_every_n_layers: Size | None = 2

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, fused="query_key_value", names=("", "", "", "dense"))

    def dense(self) -> Block:
        if self.hidden_act == "gegelu":
            return GatedFeedForward(self.hidden_size, self.ffn_size, "gelu", True, "up_proj", ("", "", "down_proj"))
        raise UnsupportedError(f"hidden_act is {self.hidden_act!r}: only gegelu is known for Phi-3-small")

    def extra(self, variant: int) -> Iterable[Tensor]:
        # Checkpoints hold the rotary frequencies.
        return (Tensor("self_attn.rotary_emb.inv_freq", (self.head_size // 2,), "other", kind="copy", dtype="F32"),)

    def more(self) -> dict[str, Any]:
        local, stride = self.blocksparse_num_local_blocks, self.blocksparse_vert_stride
        sparse = f"blocks of {self.blocksparse_block_size}: the last {local}, and every {stride}th before them"
        step = self.dense_attention_every_n_layers
        more = (("sparse attention", f"{sparse}; all in every {step}th layer" if step else sparse),)
        return {"activation": "GeGLU", "position": rope_label(self.model_extra or {}), "more": more}
