"""EAGLE 1 and 2 draft models: the target's kind of layer over one projection of the token and the target's hidden state.

The first layer has no norm before attention, and none stands behind the last. Embedding and head are the target's.

Source: Li et al. 2024, arXiv:2401.15077; SafeAILab/EAGLE, eagle/model/cnets1.py (`Model`: the projection's bias is the config's `bias`,
true by default); vLLM 0.33, models/llama_eagle.py (which has none); SGLang 0.5.23, srt/models/llama_eagle.py and qwen2_eagle.py.
"""

from typing import ClassVar

from archcalc.arch._computes import computed
from archcalc.arch._decoder import DecoderSchema, group
from archcalc.arch._schema import Flag, Layers, Tokens
from archcalc.arch.eagle3 import EMBEDDING_NOTE
from archcalc.blocks._tensor import linear, make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Shard, Tensor, stack


class Schema(DecoderSchema):
    prefix = ""
    core_keys = tuple(key for key in DecoderSchema.core_keys if key != "num_hidden_layers")
    inert_keys = ("attention_bias", "mlp_bias", "max_window_layers", "sliding_window", "use_sliding_window", "truncated_vocab_size")
    qkv_bias: ClassVar[bool] = False
    # Whether the first layer has a norm before attention, and the last one behind it.
    normed: ClassVar[bool] = False

    num_hidden_layers: Layers = 1
    max_position_embeddings: Tokens = 2048
    bias: Flag = True

    def layer(self, first: bool) -> Layer:
        h = self.hidden_size
        norms = (rms_norm("post_attention_layernorm", h),)
        return make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size, self.qkv_bias),
            GatedFeedForward(h, self.intermediate_size, self.hidden_act),
            norms if first else (rms_norm("input_layernorm", h), *norms),
        )

    def architecture(self, prefix: str) -> Architecture:
        vocab, h = self.vocab_size, self.hidden_size
        plain = self.layer(first=False)
        layers = [self.layer(first=not self.normed), *[plain] * (self.num_hidden_layers - 1)]
        embedding = Tensor("embed_tokens.weight", (vocab, h), "embedding", Shard(0, vocab), kind="tied")
        outside = (*linear("fc", h, 2 * h, "other", bias=self.bias), *((rms_norm("norm", h),) if self.normed else ()))
        groups = (group("embedding", (embedding,)), group("decoder", outside))
        facts = self.facts(tied_embeddings=False)
        notes = (EMBEDDING_NOTE, "the head is the target's: not counted")
        return computed(Architecture(self.name, groups, (stack("layers", "decoder", layers),), facts, notes=notes), self.computes())


class EagleQwen2(Schema):
    """EAGLE with Qwen 2's layer, whose queries, keys and values have biases.
    Source: SGLang 0.5.23, srt/models/qwen2_eagle.py (`Qwen2ForCausalLMEagle`)."""

    qkv_bias = True


class EagleMistral(Schema):
    """EAGLE for Mistral's models: every norm is there, and the projection has no bias.
    Source: vLLM 0.33, models/mistral_eagle.py (`EagleMistralModel`); SGLang 0.5.23, srt/models/mistral_eagle.py."""

    normed = True

    bias: Flag = False
