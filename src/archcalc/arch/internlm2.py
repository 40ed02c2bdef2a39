"""InternLM 2 and 2.5: Llama's layer with one projection for queries, keys and values; reward models have one output in place of the head.

Source: internlm/internlm2_5-7b-chat, modeling_internlm2.py and configuration_internlm2.py (defaults).
"""

from typing import Any

from archcalc.arch._decoder import group
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, Mixer, linear
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.model import Architecture


class Schema(PlainSchema):
    norms = ("attention_norm", "ffn_norm")
    mixer_name = "attention"
    ffn_name = "feed_forward"

    vocab_size: Size = 103168
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    max_position_embeddings: Tokens = 2048
    bias: Flag = True
    architectures: list[str] | None = None

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(bias=self.bias, output_bias=self.bias, fused="wqkv", names=("", "", "", "wo"))

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, names=("w1", "w3", "w2"))

    def decoder_options(self) -> dict[str, Any]:
        reward = "InternLM2ForRewardModel" in (self.architectures or ())
        return {"embed": "tok_embeddings", "head": "" if reward else "output"}

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        if self.decoder_options()["head"]:
            return a
        return a._replace(groups=(*a.groups, group("head", linear("v_head", 1, self.hidden_size, "head"))))
