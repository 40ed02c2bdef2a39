"""Llama-Nemotron: Llama 3 where each layer's attention and FFN was searched: kept, made smaller, or left out.

Source: nvidia/Llama-3_3-Nemotron-Super-49B-v1, modeling_decilm.py and configuration_decilm.py (`block_configs`).
"""

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._plain import Derived
from archcalc.arch._schema import ConfigSchema, Flag, Size, Tokens, divided, per_layer
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer


class Attention(ConfigSchema):
    inert_keys = ("unshifted_sink", "use_prefill_window_in_sink_attention", "sparsify", "llama4")

    no_op: Flag = False
    replace_with_linear: Flag = False
    n_heads_in_group: Size | None = None
    window_length: Size | None = None
    num_sink_tokens: int | None = None


class FeedForward(ConfigSchema):
    inert_keys = ("sparsify", "moe")

    no_op: Flag = False
    replace_with_linear: Flag = False
    ffn_mult: float | None = None
    intermediate_size: Size | None = None


class Block(ConfigSchema):
    attention: Attention
    ffn: FeedForward


class Schema(DecoderSchema):
    name = "nemotron-nas"
    core_keys = (*DecoderSchema.core_keys, "block_configs")

    intermediate_size: Derived = 0  # each block has its own
    max_position_embeddings: Tokens = 2048
    attention_bias: Flag = False
    mlp_bias: Flag = False
    block_configs: list[Block]

    def ffn_size(self, ffn: FeedForward) -> int:
        """A block's FFN: two thirds of `ffn_mult` times twice the width, up to the next multiple of 256."""
        if ffn.intermediate_size:
            return ffn.intermediate_size
        size = int(2 * (ffn.ffn_mult or 0) * self.hidden_size / 3)
        return -(-size // 256) * 256

    def layer(self, block: Block) -> Layer:
        h, heads, tensors = self.hidden_size, self.num_attention_heads, []
        attention = ffn = None
        if block.attention.num_sink_tokens is not None:
            raise UnsupportedError("block_configs states num_sink_tokens: attention sinks of this kind are not modelled")
        if not block.attention.no_op:
            tensors.append(rms_norm("input_layernorm", h))
            if block.attention.replace_with_linear:
                tensors += linear("self_attn.linear_attn", h, h, "attention")
            else:
                kv = divided(heads, block.attention.n_heads_in_group or 1, "num_attention_heads", "n_heads_in_group")
                bias, window = self.attention_bias, block.attention.window_length
                attention = GroupedQueryAttention(h, heads, kv, self.head_size, bias=bias, output_bias=bias, window=window)
        if not block.ffn.no_op:
            tensors.append(rms_norm("post_attention_layernorm", h))
            if block.ffn.replace_with_linear:
                tensors += linear("mlp.linear_mlp", h, h, "mlp")
            else:
                ffn = GatedFeedForward(h, self.ffn_size(block.ffn), self.hidden_act, self.mlp_bias)
        return make_layer(attention, ffn, tensors)

    def architecture(self, prefix: str) -> Architecture:
        blocks = per_layer(self.block_configs, self.num_hidden_layers, "block_configs")
        built: dict[str, Layer] = {}
        layers = [built.setdefault(key, built.get(key) or self.layer(b)) for b in blocks for key in (b.model_dump_json(),)]
        bare = sum(b.attention.no_op for b in blocks)
        groups = [b.attention.n_heads_in_group or 1 for b in blocks if not b.attention.no_op]
        widths = [self.ffn_size(b.ffn) for b in blocks if not b.ffn.no_op]
        facts = self.facts(
            attention="GQA" if max(groups, default=1) > 1 else "MHA",
            kv_heads=self.num_attention_heads // min(groups, default=1),
            intermediate_size=max(widths, default=0),
            more=(("layers without attention", f"{bare} of {len(blocks)}"), ("FFN", f"{min(widths)} to {max(widths)}")),
        )
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)])
