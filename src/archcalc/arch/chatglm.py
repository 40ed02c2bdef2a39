"""ChatGLM2, ChatGLM3 and GLM-4 as first published: fused projections, biased queries, keys and values, half of each head turns.

Source: THUDM/chatglm2-6b and THUDM/glm-4-9b, modeling_chatglm.py and configuration_chatglm.py.
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Position, Tensor


class Schema(PlainSchema):
    prefix = "transformer"
    inert_keys = (
        "apply_query_key_layer_scaling", "apply_residual_connection_post_layernorm", "fp32_residual_connection", "original_rope",
        "prefix_projection", "interleaved_qkv", "kv_channels",
    )  # fmt: skip
    mixer_name = "self_attention"

    vocab_size: Size = named(65024, "padded_vocab_size")
    hidden_size: Size = 4096
    intermediate_size: Size = named(13696, "ffn_hidden_size")
    num_hidden_layers: Layers = named(28, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = 32
    head_dim: Size | None = named(128, "kv_channels")
    max_position_embeddings: Tokens = named(2048, "seq_length", "max_position_embeddings")
    multi_query_attention: Flag = False
    multi_query_group_num: Size = 1
    rmsnorm: Flag = True
    post_layer_norm: Flag = True
    add_bias_linear: Flag = False
    add_qkv_bias: Flag = False
    pre_seq_len: int | None = None
    quantization_bit: Derived = 0

    @property
    def kv_heads(self) -> int:
        if not self.multi_query_attention:
            return self.num_attention_heads
        divided(self.num_attention_heads, self.multi_query_group_num, "num_attention_heads", "multi_query_group_num")
        return self.multi_query_group_num

    def norm(self, name: str) -> Iterable[Tensor]:
        return (rms_norm(name, self.hidden_size),) if self.rmsnorm else layer_norm(name, self.hidden_size)

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias = self.add_bias_linear
        return self.gqa(bias=bias or self.add_qkv_bias, output_bias=bias, fused="query_key_value", names=("", "", "", "dense"))

    def dense(self) -> Block:
        names = ("", "", "dense_4h_to_h")
        return GatedFeedForward(self.hidden_size, self.ffn_size, "silu", self.add_bias_linear, "dense_h_to_4h", names)

    def more(self) -> dict[str, Any]:
        return {
            "position": Position("rotary", "RoPE (50% of the head)", 0.5),
            "norm": "RMSNorm (pre)" if self.rmsnorm else "LayerNorm (pre)",
        }

    def decoder_options(self) -> dict[str, Any]:
        # Checkpoints hold the frequencies of the rotary half of a head.
        frequencies = Tensor("rotary_pos_emb.inv_freq", (self.head_size // 4,), "other", kind="copy")
        return {
            "embed": "embedding.word_embeddings", "layers_name": "encoder.layers", "head": "transformer.output_layer",
            "final_norm": self.norm("encoder.final_layernorm") if self.post_layer_norm else (), "extra": [frequencies],
        }  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        return as_published(super().architecture(prefix), self.pre_seq_len, self.quantization_bit)


def as_published(a: Architecture, prefix: int | None, bits: int) -> Architecture:
    """The model as its publisher's code builds it without P-tuning, which is refused, and packed weights, which make it partial."""
    if prefix is not None:
        raise UnsupportedError(f"pre_seq_len is {prefix}: a prefix learned by P-tuning is not modelled")
    if not bits:
        return a
    note = f"quantization_bit is {bits}: the layers' matrices are packed by the publisher's own code; bytes are of them unpacked"
    return a._replace(status="partial", notes=(*a.notes, note))
