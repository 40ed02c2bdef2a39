"""TeleChat 1 and 2: Llama's layers under GPT's names; biases on the outputs of attention and FFN alone, keys and values in one projection.

Source: Tele-AI/TeleChat2-7B, modeling_telechat2.py and configuration_telechat2.py; vLLM 0.33, models/telechat2.py
(`hf_to_vllm_mapper`). Its config class states no `tie_word_embeddings`, so the default of transformers stands: tied, as the index of
TeleChat-7B has it.
"""

from collections.abc import Iterator
from typing import Any

from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer, linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Shard, Tensor


class Joined(GroupedQueryAttention):
    """Keys and values from one projection."""

    def _tensors(self) -> Iterator[Tensor]:
        width, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield from linear("query", width, self.hidden, "attention", shard=Shard(0, self.heads))
        yield from linear("key_value", 2 * kv, self.hidden, "attention", shard=Shard(0, self.kv_heads))
        yield from linear("dense", self.hidden, width, "attention", bias=True, shard=Shard(1, self.heads))


class Biased(GatedFeedForward):
    """A bias on the way down alone."""

    def tensors(self) -> Iterator[Tensor]:
        yield from GatedFeedForward.tensors(self)
        yield Tensor("down_proj.bias", (self.hidden,), "mlp")


class Schema(PlainSchema):
    prefix = "model"
    inert_keys = (
        "apply_residual_connection_post_layernorm", "base_seqlen", "training_seqlen", "logn", "seq_length",
        "offset_alibi", "semi_causal",
    )  # fmt: skip
    mixer_name = "self_attention"
    prefix = "transformer"
    last_norm = "ln_f"

    num_hidden_layers: Layers = named(30, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(32, "n_head", "num_attention_heads")
    intermediate_size: Size = named(12288, "ffn_hidden_size", "intermediate_size")
    max_position_embeddings: Tokens = named(8192, "seq_length", "max_position_embeddings")
    tie_word_embeddings: Flag = True
    embed_layernorm: Flag = False

    def attention(self, window: int | None, variant: int) -> Mixer:
        return Joined(self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size)

    def dense(self) -> Block:
        return Biased(self.hidden_size, self.ffn_size, self.hidden_act)

    def decoder_options(self) -> dict[str, Any]:
        # Tele-AI/Telechat, models/7B/modeling_telechat.py `TelechatModel`.
        norm = [rms_norm("word_embeddings_layernorm", self.hidden_size)] if self.embed_layernorm else []
        return {"embed": "word_embeddings", "layers_name": "h", "extra_embedding": norm}
