"""GPT-NeoX and Pythia: attention and FFN beside each other, each behind a LayerNorm of its own; a quarter of each head turns.

Source: transformers 5.23, models/gpt_neox/modeling_gpt_neox.py and configuration_gpt_neox.py (defaults).
"""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import group
from archcalc.arch._plain import Derived, PlainSchema
from archcalc.arch._schema import Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import Block, Mixer, linear
from archcalc.blocks.feedforward import FeedForward
from archcalc.model import Architecture, Tensor


class Schema(PlainSchema):
    prefix = "model"
    prefix = "gpt_neox"
    reads_head_dim = False
    layer_norms = True
    last_norm = "final_layer_norm"
    gated = False
    mixer_name = "attention"
    grouped = False
    head: ClassVar[str] = "lm_head"

    vocab_size: Size = 50432
    hidden_size: Size = 6144
    intermediate_size: Size = 24576
    num_hidden_layers: Layers = 44
    num_attention_heads: Size = 64
    hidden_act: str = "gelu"
    max_position_embeddings: Tokens = 2048
    use_parallel_residual: Flag = True
    attention_bias: Flag = True
    rotary_pct: Fraction = 0.25

    def computes(self) -> Computes:
        return super().computes()._replace(parallel=self.use_parallel_residual, joined=True)

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias, output = self.biases()
        return self.gqa(bias=bias, output_bias=output, fused="query_key_value", names=("", "", "", "dense"))

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("dense_h_to_4h", "dense_4h_to_h"))

    def more(self) -> dict[str, Any]:
        parallel = "LayerNorm (pre, one each for attention and FFN in parallel)"
        norm = parallel if self.use_parallel_residual else "LayerNorm (pre)"
        return {"norm": norm, "position": rope_label(self.model_extra or {}, self.rotary_pct)}

    def decoder_options(self) -> dict[str, Any]:
        return {"embed": "embed_in", "head": self.head, "renames": ((f"{self.head}.", "embed_out."),)}


class GptNeoxRewardModel(Schema):
    """A reward model on GPT-NeoX: one output in place of the head.
    Source: LAION-AI/Open-Assistant, model/model_training/models/reward_model.py (`GPTNeoXRewardModel`)."""

    prefix = "gpt_neox"
    inert_keys = (*Schema.inert_keys, "pooling")

    def decoder_options(self) -> dict[str, Any]:
        return {**super().decoder_options(), "head": "", "renames": ()}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(groups=(*a.groups, group("head", linear("out_proj", 1, self.hidden_size, "head", bias=True))))


class GptNeoxJapanese(Schema):
    """GPT-NeoX Japanese: the FFN behind the attention, biases nowhere but at the output of the last layer's attention.
    Source: transformers 5.23, models/gpt_neox_japanese/modeling_gpt_neox_japanese.py and configuration_gpt_neox_japanese.py
    (defaults)."""

    prefix = "gpt_neox_japanese"
    head = "embed_out"

    vocab_size: Size = 32000
    hidden_size: Size = 2560
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    intermediate_size: Derived = 0
    intermediate_multiple_size: float = 4
    tie_word_embeddings: Flag = True
    rotary_pct: Fraction = 1.0

    def computes(self) -> Computes:
        return super().computes()._replace(softmax="own", joined=True, parallel=False)

    @property
    def ffn_size(self) -> int:
        return int(self.hidden_size * self.intermediate_multiple_size)

    def biases(self) -> tuple[bool, bool]:
        return False, False

    def variants(self) -> Sequence[int]:
        return [0] * (self.num_hidden_layers - 1) + [1]

    def extra(self, variant: int) -> Iterable[Tensor]:
        return (Tensor("attention.dense_bias", (self.hidden_size,), "attention", acts="adds"),) if variant else ()

    def dense(self) -> Block:
        return FeedForward(self.hidden_size, self.ffn_size, self.hidden_act, False, ("dense_h_to_4h", "dense_4h_to_h"))

    def more(self) -> dict[str, Any]:
        return {**super().more(), "norm": "LayerNorm (pre)"}

    def architecture(self, prefix: str) -> Architecture:
        return super().architecture(prefix)._replace(renames=())
