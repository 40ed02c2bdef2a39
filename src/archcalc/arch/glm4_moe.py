"""GLM-4.5, 4.5-Air, 4.6 and 4.7: GQA, leading dense layers, fine-grained experts with a correction bias, MTP.

Source: transformers 5.23, models/glm4_moe/modeling_glm4_moe.py and configuration_glm4_moe.py (defaults); the MTP layer as
zai-org/GLM-4.5 stores it (GLM-4.6, of the same config keys, leaves out the copies of embedding and head).
"""

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._schema import Count, Flag, Fraction, Layers, Size, Tokens, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Tensor


class Schema(DecoderSchema):
    vocab_size: Size = 151552
    hidden_size: Size = 4096
    intermediate_size: Size = 10944
    num_hidden_layers: Layers = 46
    num_attention_heads: Size = 96
    num_key_value_heads: Size | None = 8
    max_position_embeddings: Tokens = 131072
    partial_rotary_factor: Fraction = 0.5
    attention_bias: Flag = False
    use_qk_norm: Flag = False
    moe_intermediate_size: Size = 1408
    num_experts_per_tok: Size = 8
    n_shared_experts: Count = 1
    n_routed_experts: Size = Field(128, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    first_k_dense_replace: Count = 1
    # Absent in configs of checkpoints without MTP, so the absence means none, whatever the class's default.
    mtp_layers: Count = Field(0, validation_alias=AliasChoices("num_nextn_predict_layers", "num_mtp_layers"))

    def computes(self) -> Computes:
        return super().computes()._replace(joined=True, routing="grouped")

    @property
    def head_size(self) -> int:
        # Rounded down, as the class does: its own defaults, 4096 wide with 96 heads, do not divide.
        return self.head_dim or self.hidden_size // self.num_attention_heads

    def layer(self, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        h, width, shared = self.hidden_size, self.moe_intermediate_size, self.n_shared_experts
        attention = GroupedQueryAttention(
            h, self.num_attention_heads, self.kv_heads, self.head_size, self.attention_bias,
            qk_norm="head" if self.use_qk_norm else "none",
        )  # fmt: skip
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        if not sparse:
            return make_layer(attention, GatedFeedForward(h, self.intermediate_size, self.hidden_act), norms, extra=extra)
        experts = MixtureOfExperts(
            h, width, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, shared, shared * width,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
        return make_layer(attention, experts, norms, extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        h, n, mtp = self.hidden_size, self.num_hidden_layers, self.mtp_layers
        dense = min(self.first_k_dense_replace, n)
        layers = [self.layer(False)] * dense + [self.layer(True)] * (n - dense)
        behind = behind_decoder(
            lambda extra: self.layer(True, extra), mtp, prefix=prefix, start=n, hidden=h, vocab=self.vocab_size, copies=True
        )
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, n - dense, self.moe_intermediate_size)
        facts = self.facts(
            position=rope_label(self.model_extra or {}, self.partial_rotary_factor),
            moe=moe if dense < n else None,
            more=(("QK-norm", "RMSNorm per head" if self.use_qk_norm else "none"),),
        )
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)], mtp=behind)


class Glm4vMoeText(Schema):
    """The text model of GLM-4.5V and 4.6V: GLM-4.5's with biases and without MTP.
    Source: transformers 5.23, models/glm4v_moe/modeling_glm4v_moe.py (`Glm4vMoeTextModel`) and configuration_glm4v_moe.py (defaults).
    """

    vocab_size: Size = 151424
    max_position_embeddings: Tokens = 65536
    attention_bias: Flag = True
