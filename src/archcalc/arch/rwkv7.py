"""RWKV-7 (Goose) in the form of flash-linear-attention.

Source: flash-linear-attention 0.4, fla/models/rwkv7/modeling_rwkv7.py (`RWKV7ForCausalLM`) and configuration_rwkv7.py; its ranks, which
older versions derive otherwise, are taken as configs state them.
"""

from archcalc.arch._decoder import decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, Tokens, divided
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.rwkv7 import GeneralizedDelta, SquaredMixing
from archcalc.errors import UnsupportedError
from archcalc.model import NO_POSITIONS, Architecture, Facts, Layer


class Schema(ConfigSchema):
    core_keys = (
        "hidden_size", "num_hidden_layers", "vocab_size", "decay_low_rank_dim", "a_low_rank_dim", "v_low_rank_dim",
        "gate_low_rank_dim",
    )  # fmt: skip
    inert_keys = (
        "attn_mode", "norm_first", "norm_bias", "fuse_norm", "fuse_cross_entropy", "use_l2warp", "fuse_linear_cross_entropy",
        "num_heads", "hidden_ratio", "value_dim",
    )  # fmt: skip

    vocab_size: Size = 65536
    hidden_size: Size = 2048
    num_hidden_layers: Layers = 24
    head_dim: Size = 64
    intermediate_size: Size | None = None
    max_position_embeddings: Tokens = named(2048, "max_position_embeddings", "context_length")
    decay_low_rank_dim: Size
    a_low_rank_dim: Size
    v_low_rank_dim: Size
    gate_low_rank_dim: Size
    tie_word_embeddings: Flag = False
    attn: dict[str, object] | None = None

    def layer(self, first: bool) -> Layer:
        h, heads = self.hidden_size, divided(self.hidden_size, self.head_dim, "hidden_size", "head_dim")
        ranks = self.decay_low_rank_dim, self.a_low_rank_dim, self.v_low_rank_dim, self.gate_low_rank_dim
        mixer = GeneralizedDelta(h, heads, self.head_dim, ranks, not first)
        norms = [*layer_norm("attn_norm", h), *layer_norm("ffn_norm", h), *(layer_norm("pre_norm", h) if first else ())]
        ffn = SquaredMixing(h, self.intermediate_size or 4 * h)
        return make_layer(mixer, ffn, norms, mixer_name="attn", ffn_name="ffn")

    def architecture(self, prefix: str) -> Architecture:
        if self.attn:
            raise UnsupportedError("attn asks for attention in some layers: archcalc knows RWKV-7 without any")
        h, heads, dim = self.hidden_size, self.hidden_size // self.head_dim, self.head_dim
        facts = Facts(
            h, self.vocab_size, self.max_position_embeddings, "RWKV-7", heads, heads, dim, "LayerNorm (pre)", "ReLU²", NO_POSITIONS,
            self.intermediate_size or 4 * h, tied_embeddings=self.tie_word_embeddings,
            more=(("state", f"{heads} matrices of {dim} x {dim} in fp32, 2 x {h} inputs"),),
        )  # fmt: skip
        layers = [self.layer(True)] + [self.layer(False)] * (self.num_hidden_layers - 1)
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, embed="embeddings", final_norm=layer_norm("norm", h))
