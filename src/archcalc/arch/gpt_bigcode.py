"""StarCoder and SantaCoder: GPT-2 with one key and value head for all queries.

Source: transformers 5.23, models/gpt_bigcode/modeling_gpt_bigcode.py and configuration_gpt_bigcode.py (defaults, attribute_map).
"""

from collections.abc import Iterable
from typing import Any

from archcalc.arch._classic import ClassicSchema
from archcalc.arch._plain import Derived, named
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import Block, Mixer, prefixed
from archcalc.blocks.cross import CrossAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.errors import UnsupportedError
from archcalc.model import LEARNED, Architecture, Tensor


class Schema(ClassicSchema):
    prefix = "transformer"
    inert_keys = (
        "inference_runner", "max_batch_size", "pad_key_length", "pre_allocate_kv_cache", "runner_max_sequence_length",
        "scale_attn_weights", "validate_runner_input", "n_ctx",
    )  # fmt: skip
    norms = ("ln_1", "ln_2")
    mixer_name = "attn"

    vocab_size: Size = 50257
    max_position_embeddings: Size = named(1024, "n_positions", "max_position_embeddings")
    hidden_size: Size = named(768, "n_embd", "hidden_size")
    num_hidden_layers: Layers = named(12, "n_layer", "num_hidden_layers")
    num_attention_heads: Size = named(12, "n_head", "num_attention_heads")
    intermediate_size: Derived = named(0, "n_inner")
    hidden_act: str = named("gelu_pytorch_tanh", "activation_function")
    multi_query: Flag = True
    add_cross_attention: Flag = False

    @property
    def kv_heads(self) -> int:
        return 1 if self.multi_query else self.num_attention_heads

    @property
    def ffn_size(self) -> int:
        return self.intermediate_size or 4 * self.hidden_size

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=True, output_bias=True, fused="c_attn", names=("", "", "", "c_proj"), rope=False)

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("c_fc", "c_proj"))

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED}

    def decoder_options(self) -> dict[str, Any]:
        positions = Tensor("wpe.weight", (self.max_position_embeddings, self.hidden_size), "embedding")
        return {"embed": "wte", "layers_name": "h", "extra_embedding": [positions], "crosses": self.add_cross_attention}

    def extra(self, variant: int) -> Iterable[Tensor]:
        if self.add_cross_attention:
            cross = CrossAttention(
                self.hidden_size, self.num_attention_heads, self.head_size, names=("q_attn", "", "", "c_proj"), fused="c_attn"
            )
            yield from prefixed("crossattention", cross.tensors())
            yield from self.norm("ln_cross_attn")

    def architecture(self, prefix: str) -> Architecture:
        if self.add_cross_attention and self.multi_query:
            raise UnsupportedError("add_cross_attention is true with multi_query: the reference implementation has no such layer")
        return super().architecture(prefix)
