"""Lara 4 Mini: Gated DeltaNet, sliding and full layers in turn, small experts beside a shared one in every layer.

Source: transformers 5.24, models/lara_mini/modeling_lara_mini.py (rotary positions in sliding layers alone) and
configuration_lara_mini.py (defaults, `layer_types`), conversion_mapping.py ("lara_mini": checkpoints fuse the linear projections).
"""

from archcalc.arch._alternating import FULL, LINEAR, SLIDING, known_kinds
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens, divided, per_layer, rope_label
from archcalc.blocks._tensor import Mixer, make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.linear import GatedDeltaNet
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe

RENAMES = (
    (".linear_attn.norm.", ".linear_attn.out_norm."),
    *((f".linear_attn.in_proj_{part}.", ".linear_attn.in_proj.") for part in ("qkv", "z", "b", "a")),
)


class Schema(DecoderSchema):
    vocab_size: Size = 151936
    hidden_size: Size = 1024
    intermediate_size: Count = 0  # of dense layers, of which there are none
    num_hidden_layers: Layers = 34
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True
    attention_bias: Flag = False
    linear_conv_kernel_dim: Size = 4
    linear_key_head_dim: Size = 128
    linear_value_head_dim: Size = 128
    linear_num_key_heads: Size = 8
    linear_num_value_heads: Size = 16
    moe_intermediate_size: Size = 512
    shared_expert_intermediate_size: Count = 512
    num_experts_per_tok: Size = 4
    num_experts: Size = 128
    sliding_window: Tokens = 512
    layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain", routing="wide")

    def mixer(self, kind: str) -> Mixer:
        h, bias = self.hidden_size, self.attention_bias
        if kind == LINEAR:
            keys, values = self.linear_num_key_heads, self.linear_num_value_heads
            divided(values, keys, "linear_num_value_heads", "linear_num_key_heads")
            return GatedDeltaNet(h, keys, values, self.linear_key_head_dim, self.linear_value_head_dim, self.linear_conv_kernel_dim)
        return GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, bias, bias, self.sliding_window if kind == SLIDING else None,
            qk_norm="head", rope=kind == SLIDING,
        )  # fmt: skip

    def layer(self, kind: str) -> Layer:
        h, width = self.hidden_size, self.shared_expert_intermediate_size
        experts = MixtureOfExperts(
            h, self.moe_intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act, 1, width,
            shared_name="shared_expert",
        )  # fmt: skip
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return make_layer(self.mixer(kind), experts, norms, mixer_name="linear_attn" if kind == LINEAR else "self_attn")

    def architecture(self, prefix: str) -> Architecture:
        n, turn = self.num_hidden_layers, (LINEAR, SLIDING, LINEAR, FULL, SLIDING)
        stated = [turn[i % 5] for i in range(n)] if self.layer_types is None else per_layer(self.layer_types, n, "layer_types")
        kinds = known_kinds(stated, "layer_types", LINEAR, SLIDING, FULL)
        built = {kind: self.layer(kind) for kind in dict.fromkeys(kinds)}
        sharing, keys, values = (
            head_sharing(self.num_attention_heads, self.kv_heads), self.linear_num_key_heads, self.linear_num_value_heads,
        )  # fmt: skip
        words = [
            name for kind, name in ((LINEAR, "Gated DeltaNet"), (SLIDING, f"sliding {sharing}"), (FULL, sharing)) if kind in kinds
        ]
        facts = self.facts(
            attention=" + ".join(words), intermediate_size=None,
            position=rope_label(self.model_extra or {}).also(", in sliding layers alone"),
            sliding_window=self.sliding_window if SLIDING in kinds else None,
            moe=Moe(self.num_experts, self.num_experts_per_tok, 1, n, self.moe_intermediate_size),
            more=(
                ("linear heads", f"{values} x {self.linear_value_head_dim} value, {keys} x {self.linear_key_head_dim} key"),
                ("QK-norm", "RMSNorm per head"),
            ),
        )  # fmt: skip
        return decoder(
            [built[kind] for kind in kinds], facts, computes=self.computes(),
            prefix=prefix, final_norm=[rms_norm("norm", self.hidden_size)],
            renames=RENAMES,
        )  # fmt: skip
