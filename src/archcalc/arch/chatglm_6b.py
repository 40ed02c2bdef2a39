"""ChatGLM-6B, the first: LayerNorm, biases everywhere, an FFN without a gate, positions in two dimensions.

Source: THUDM/chatglm-6b, modeling_chatglm.py (`GLMBlock`, `GLU`, `ChatGLMForConditionalGeneration`) and configuration_chatglm.py
(defaults); Du et al. 2022, arXiv:2103.10360.
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._plain import Derived, PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.arch.chatglm import as_published
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.model import Architecture, Position, Tensor


class Schema(PlainSchema):
    prefix = "transformer"
    inert_keys = ("layernorm_epsilon", "gmask_token_id", "prefix_projection", "parallel_output")
    mixer_name = "attention"
    last_norm = "final_layernorm"
    norm_label = "LayerNorm (pre)"
    gated = False
    grouped = False
    reads_head_dim = False

    vocab_size: Size = 150528
    hidden_size: Size = 4096
    intermediate_size: Derived = named(0, "inner_hidden_size")
    num_hidden_layers: Layers = named(28, "num_layers", "num_hidden_layers")
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = named(2048, "max_sequence_length")
    position_encoding_2d: Flag = True
    tie_word_embeddings: Flag = True
    pre_seq_len: int | None = None
    quantization_bit: Derived = 0

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def norm(self, name: str) -> Iterable[Tensor]:
        """In fp32, as they are stored in a checkpoint whose other weights are in fp16."""
        return (t._replace(dtype="F32") for t in layer_norm(name, self.hidden_size))

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, fused="query_key_value", names=("", "", "", "dense"))

    def dense(self) -> Block:
        names = ("dense_h_to_4h", "dense_4h_to_h")
        return FeedForward(self.hidden_size, self.ffn_size, "gelu_new", bias=True, names=names)

    def extra(self, variant: int) -> Iterable[Tensor]:
        """The frequencies of positions, which checkpoints hold: of each half of a head with two dimensions."""
        yield Tensor(
            "attention.rotary_emb.inv_freq", (self.head_size // (4 if self.position_encoding_2d else 2),), "other", kind="copy"
        )

    def more(self) -> dict[str, Any]:
        label = "RoPE (in two dimensions)" if self.position_encoding_2d else "RoPE"
        return {"position": Position("rotary", label), "activation": "GELU (tanh)"}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "word_embeddings"}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        # Checkpoints hold the table twice, tied or not.
        heads = (
            g._replace(tensors=tuple(t._replace(stored=(t.name,)) for t in g.tensors)) if g.part == "head" else g for g in a.groups
        )
        why = "its class of this name is that of ChatGLM2 and later, which has other layers"
        a = a._replace(groups=tuple(heads), unserved=why)
        return as_published(a, self.pre_seq_len, self.quantization_bit)
