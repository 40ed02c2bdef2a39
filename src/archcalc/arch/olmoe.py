"""OLMoE: QK-norm over all channels, experts in every layer.

Source: transformers 5.23, models/olmoe/modeling_olmoe.py and configuration_olmoe.py (defaults).
"""

from collections.abc import Sequence

from archcalc.arch._computes import Computes
from archcalc.arch._plain import PlainSchema, named
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.model import Layer


class Schema(PlainSchema):
    inert_keys = ("clip_qkv",)
    whole_heads = False
    qk_norm = "full"

    vocab_size: Size = 50304
    hidden_size: Size = 2048
    intermediate_size: Size = 2048
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 16
    max_position_embeddings: Tokens = 4096
    attention_bias: Flag = False
    num_experts_per_tok: Size = 8
    num_experts: Size = named(64, "num_local_experts", "num_experts")

    def biases(self) -> tuple[bool, bool]:
        return self.attention_bias, self.attention_bias

    def queries_width(self) -> int:
        """The width of the gain of the queries: that of the layer, also where its heads are narrower."""
        return self.hidden_size

    def layer(self, window: int | None, sparse: bool, variant: int) -> Layer:
        made = super().layer(window, sparse, variant)
        tensors = (t._replace(shape=(self.queries_width(),)) if t.name.endswith("q_norm.weight") else t for t in made.tensors)
        return made._replace(tensors=tuple(tensors))

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.intermediate_size, self.num_experts, self.num_experts_per_tok, self.hidden_act
        )


class FlexOlmo(Schema):
    """FlexOlmo: OLMo 2's layer, norms behind the blocks, with experts trained apart.
    Source: transformers 5.23, models/flex_olmo/modeling_flex_olmo.py and configuration_flex_olmo.py (defaults)."""

    norms = ("post_attention_layernorm", "post_feedforward_layernorm")
    norm_label = "RMSNorm (post, inside the residual)"

    vocab_size: Size = 100352
    hidden_size: Size = 4096
    intermediate_size: Size = 11008
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 32
    num_experts_per_tok: Size = 5
    num_experts: Size = named(7, "num_local_experts", "num_experts")

    def queries_width(self) -> int:
        return self.num_attention_heads * self.head_size

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", tables="fp32")
