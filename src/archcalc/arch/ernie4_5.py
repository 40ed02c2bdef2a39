"""ERNIE 4.5, dense: Llama's layer, all biases under one key.

Source: transformers 5.23, models/ernie4_5/modeling_ernie4_5.py and configuration_ernie4_5.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named, sparse_layers
from archcalc.arch._schema import Count, Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.together import Together
from archcalc.model import Layer


class Schema(PlainSchema):
    whole_heads = False

    vocab_size: Size = 103424
    hidden_size: Size = 1024
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 18
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 2
    head_dim: Size | None = 128
    max_position_embeddings: Tokens = 131072
    tie_word_embeddings: Flag = True
    use_bias: Flag | None = False

    def biases(self) -> tuple[bool, bool]:
        return bool(self.use_bias), bool(self.use_bias)

    def ffn_bias(self) -> bool:
        return bool(self.use_bias)


class PaddleocrVlText(Schema):
    """The text model of PaddleOCR-VL: ERNIE 4.5's layer.
    Source: transformers 5.23, models/paddleocr_vl/configuration_paddleocr_vl.py (`PaddleOCRTextConfig`, defaults)."""


class Ernie45VlMoeText(Schema):
    """The text model of ERNIE 4.5 VL: text tokens and image tokens have routers and experts of their own, and share a few.
    Source: transformers 5.23, models/ernie4_5_vl_moe/modeling_ernie4_5_vl_moe.py (`Ernie4_5_VLMoeTextModel`) and
    configuration_ernie4_5_vl_moe.py (defaults). Active parameters are those of a text token."""

    inert_keys = ("moe_norm_min",)

    hidden_size: Size = 2560
    intermediate_size: Size = 12288
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 20
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = None
    moe_intermediate_size: tuple[Size, Size] | None = None
    num_experts_per_tok: Size = named(6, "moe_k", "num_experts_per_tok")
    num_experts: Size = named(64, "moe_num_experts", "num_experts")
    moe_num_shared_experts: Count = 2
    mlp_layer_types: list[str] | None = None

    def computes(self) -> Computes:
        return super().computes()._replace(routing="wide")

    def sparse(self) -> Sequence[bool]:
        n = self.num_hidden_layers
        return [i > 0 for i in range(n)] if self.mlp_layer_types is None else sparse_layers(self.mlp_layer_types, n)

    def modality(self, width: int, active: int) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, width, self.num_experts, active, self.hidden_act, self.moe_num_shared_experts,
            correction_bias="gate.moe_statics.e_score_correction_bias", correction_kind="param", correction_rows=1,
        )  # fmt: skip

    def experts(self) -> MixtureOfExperts:
        return self.modality((self.moe_intermediate_size or (1536, 512))[0], self.num_experts_per_tok)

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        if not sparse:
            return super().layer(window, sparse, variant)
        text, h = self.experts(), self.hidden_size
        vision = self.modality((self.moe_intermediate_size or (1536, 512))[1], 0)
        parts: list[tuple[str, Block]] = [("text_moe", text), ("vision_moe", vision)]
        if shared := self.moe_num_shared_experts:
            width, bias = shared * text.intermediate, bool(self.use_bias)
            parts.append(("shared_experts", GatedFeedForward(h, width, self.hidden_act, bias, role="shared_experts")))
        label = f"{text.label()}, {vision.experts} x {vision.intermediate} for images"
        norms = [t for name in self.norm_names() for t in self.norm(name)]
        return make_layer(self.attention(window, variant), Together(tuple(parts), label), norms)
