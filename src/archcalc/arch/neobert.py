"""NeoBERT: an encoder of RMSNorm before each block, rotary positions, a SwiGLU of two thirds of the stated width, and no biases.

Source: chandar-lab/NeoBERT, model.py (the heads; not opened); llama.cpp 0c1e57098,
conversion/bert.py (`NeoBert`: the FFN's width) and gguf-py/gguf/constants.py (the tensors).
"""

from collections.abc import Iterator

from archcalc.arch import _heads
from archcalc.arch._decoder import DecoderSchema, group, join
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Architecture, Layer, Shard, Tensor, stack

MULTIPLE = 8  # the width of the FFN is rounded up to one


class Schema(DecoderSchema):
    prefix = ""
    inert_keys = ("trust_remote_code",)
    own_heads = True

    hidden_size: Size = 768
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 12
    intermediate_size: Size = 3072
    vocab_size: Size = 30522
    max_position_embeddings: Size = 4096
    architectures: list[str] | None = None

    @property
    def ffn_size(self) -> int:
        return -(-int(2 * self.intermediate_size / 3) // MULTIPLE) * MULTIPLE

    def layer(self) -> Layer:
        h, heads = self.hidden_size, self.num_attention_heads
        attention = GroupedQueryAttention(h, heads, heads, self.head_size, fused="qkv", names=("", "", "", "wo"))
        ffn = GatedFeedForward(h, self.ffn_size, fused="w12", names=("", "", "w3"))
        norms = (rms_norm("attention_norm", h), rms_norm("ffn_norm", h))
        return encoder_layer(attention, ffn, norms, attention_name="", ffn_name="ffn")

    def head(self, named: str | None) -> Iterator[Tensor]:
        h, v = self.hidden_size, self.vocab_size
        if named == "NeoBERTForSequenceClassification":
            yield from linear("dense", h, h, "head", bias=True)
            yield from linear("classifier", _heads.labels_of(self.model_extra or {}), h, "head", bias=True)
        elif named != "NeoBERT":
            yield from linear("decoder", v, h, "head", bias=True, shard=Shard(0, v))

    def architecture(self, prefix: str) -> Architecture:
        h, v = self.hidden_size, self.vocab_size
        named = self.architectures[0] if self.architectures else None
        root = "" if named == "NeoBERT" else "model"
        groups = (
            group("embedding", (Tensor(join(root, "encoder.weight"), (v, h), "embedding", Shard(0, v)),)),
            group("decoder", (rms_norm(join(root, "layer_norm"), h),)),
            group("head", self.head(named)),
        )
        facts = self.facts(attention="bidirectional", intermediate_size=self.ffn_size)
        layers = stack(join(root, "transformer_encoder"), "decoder", [self.layer()] * self.num_hidden_layers)
        made = Architecture(self.name, tuple(g for g in groups if g.tensors), (layers,), facts)
        known = (None, "NeoBERT", "NeoBERTLMHead", "NeoBERTForSequenceClassification")
        return made if named in known else _heads.otherwise(made, str(named))
