"""DeepSeek-V3, V3.1 and R1: MLA, leading dense layers, fine-grained experts, MTP.

Source: transformers 5.23, models/deepseek_v3/modeling_deepseek_v3.py and configuration_deepseek_v3.py (defaults); the MTP layer as
stored by deepseek-ai/DeepSeek-V3 (README_WEIGHTS.md: it follows the decoder's layers, with its own embedding, projection and head).
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._plain import named
from archcalc.arch._schema import Count, Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Tensor


class Schema(LatentSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (*LatentSchema.inert_keys, "moe_layer_freq")
    correction_bias: ClassVar[str] = "gate.e_score_correction_bias"
    mtp_copies: ClassVar[bool] = True

    vocab_size: Size = 129280
    hidden_size: Size = 7168
    intermediate_size: Size = 18432
    moe_intermediate_size: Size = 2048
    num_hidden_layers: Layers = 61
    num_attention_heads: Size = 128
    num_key_value_heads: Size | None = 128
    n_shared_experts: Count | None = 1
    n_routed_experts: Size | None = Field(256, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size | None = 8
    first_k_dense_replace: Count | None = 3
    max_position_embeddings: Tokens = 4096
    # Absent in configs of checkpoints without MTP, so the absence means none, whatever the class's default.
    mtp_layers: Count = Field(0, validation_alias=AliasChoices("num_nextn_predict_layers", "num_mtp_layers"))

    def computes(self) -> Computes:
        return super().computes()._replace(routing="grouped")

    def ffn_bias(self) -> bool:
        return False

    def sparse(self) -> list[bool]:
        """Which layers' FFN is a mixture of experts."""
        dense = self.num_hidden_layers if self.n_routed_experts is None else self.first_k_dense_replace or 0
        return [i >= dense for i in range(self.num_hidden_layers)]

    def indexers(self) -> list[bool]:
        """Which layers choose the tokens they attend to."""
        return [False] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        shared, width, routed = self.n_shared_experts or 0, self.moe_intermediate_size, self.n_routed_experts or 0
        # Without a number, no expert is left out.
        return MixtureOfExperts(
            self.hidden_size, width, routed, self.num_experts_per_tok or routed, self.hidden_act, shared, shared * width,
            shared_bias=self.ffn_bias(), correction_bias=self.correction_bias,
        )  # fmt: skip

    def layer(self, sparse: bool, indexed: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        h = self.hidden_size
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        dense = GatedFeedForward(h, self.intermediate_size, self.hidden_act, self.ffn_bias())
        return make_layer(self.attention(indexed), self.experts() if sparse else dense, norms, extra=extra)

    def architecture(self, prefix: str) -> Architecture:
        h, n, sparse, indexed = self.hidden_size, self.num_hidden_layers, self.sparse(), self.indexers()
        pairs = list(zip(sparse, indexed, strict=True))
        built = {pair: self.layer(*pair) for pair in set(pairs)}
        layers = [built[pair] for pair in pairs]
        mtp = behind_decoder(
            # With an indexer of its own where the decoder has any.
            lambda extra: self.layer(any(sparse), any(indexed), extra),
            self.mtp_layers, prefix=prefix, start=n, hidden=h, vocab=self.vocab_size, copies=self.mtp_copies,
        )  # fmt: skip
        e = self.experts()
        moe = Moe(e.experts, e.active, e.shared, sum(sparse), e.intermediate) if any(sparse) else None
        facts = self.facts(attention="MLA", moe=moe, more=self.more())
        return decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)], mtp=mtp)


class KimiK2(Schema):
    """Kimi K2: DeepSeek-V3's structure with more experts and fewer heads, without MTP.
    Source: transformers 5.23, models/deepseek_v3/ (the published configs name DeepSeek-V3's classes)."""


class SarvamMla(Schema):
    """Sarvam 105B: DeepSeek-V3's structure under other names, queries at full rank.
    Source: transformers 5.24, models/sarvam_mla/configuration_sarvam_mla.py (defaults, `attribute_map`; `head_dim` is what the first
    configs wrote for the latent's width)."""

    inert_keys = (
        *Schema.inert_keys, "q_head_dim", "score_function", "moe_router_enable_expert_bias",
        "moe_shared_expert_intermediate_size",
    )  # fmt: skip
    mtp_copies = False

    vocab_size: Size = 262144
    hidden_size: Size = 4096
    intermediate_size: Size = 16384
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 64
    num_key_value_heads: Size | None = None
    q_lora_rank: Size | None = None
    n_shared_experts: Count | None = named(1, "num_shared_experts", "n_shared_experts")
    n_routed_experts: Size | None = named(128, "num_local_experts", "num_experts", "n_routed_experts")
    first_k_dense_replace: Count | None = 1


class JoyaiLlmFlash(Schema):
    """JoyAI-LLM Flash: DeepSeek-V3's layers.
    Source: mlx-lm 0.32, mlx_lm/utils.py (`MODEL_REMAPPING`: read as deepseek_v3)."""

    name = "joyai_llm_flash"
