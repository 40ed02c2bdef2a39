"""CPM-Ant: one bias a head for each distance and pair of segments, prompt tokens in the input table, norms without mean.

Source: transformers 5.23, models/cpmant/modeling_cpmant.py and configuration_cpmant.py (defaults).
"""

from typing import Any

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Architecture, Position, Tensor, recached


class Schema(PlainSchema):
    # The head is a matrix of its own whatever the config says, and no table is as long as it.
    prefix = "cpmant"
    inert_keys = ("mask_modules", "dropout_p")
    norms = ("self_att.layernorm_before_attention", "ffn.layernorm_before_ffn")
    last_norm = "encoder.output_layernorm"
    mixer_name = "self_att.self_attention"
    ffn_name = "ffn.ffn"
    grouped = False

    vocab_size: Size = 30720
    hidden_size: Size = 4096
    intermediate_size: Size = named(10240, "dim_ff")
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 32
    head_dim: Size = named(128, "dim_head")
    hidden_act: str = "gelu"
    max_position_embeddings: Tokens = named(2048, "position_bias_max_distance")
    position_bias_num_buckets: Count = 512
    prompt_types: Count = 32
    prompt_length: Count = 32
    segment_types: Size = 32

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-own")

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(names=("project_q", "project_k", "project_v", "attention_out"), rope=False)

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("w_in.w_0", "w_in.w_1", "w_out"))

    def more(self) -> dict[str, Any]:
        position = f"relative bias ({self.position_bias_num_buckets} buckets, and one for each pair of segments)"
        return {"position": Position("relative", position), "tied_embeddings": False}

    def decoder_options(self) -> dict[str, Any]:
        buckets = self.segment_types**2 + self.position_bias_num_buckets
        extra = [
            Tensor("segment_embedding.weight", (self.segment_types, self.hidden_size), "embedding"),
            Tensor("position_bias.relative_attention_bias", (buckets, self.num_attention_heads), "embedding"),
        ]
        rows = self.vocab_size + self.prompt_types * self.prompt_length
        return {
            "embed": "input_embedding", "embed_rows": rows, "head_rows": self.vocab_size, "extra_embedding": extra,
            "layers_name": "encoder.layers",
        }  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        # Prompt tokens stand before the input, and their keys and values are cached (modeling_cpmant.py, `CpmAntModel.forward`).
        return recached(super().architecture(prefix), before=self.prompt_length)
