"""The text model of Step 3.5 and 3.7 Flash: gated attention with more heads where it slides, fine-grained experts, MTP.

Source: transformers 5.23, models/step3p7/modeling_step3p7.py and configuration_step3p7.py (`Step3p7TextConfig`, its defaults);
vLLM 0.33, models/step3p5_mtp.py (layers behind the decoder's, each with a head).
"""

from typing import ClassVar, Literal

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import SLIDING, sparse_layers
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._gated import GatedSchema
from archcalc.arch._mtp import behind_decoder
from archcalc.arch._schema import ConfigSchema, Count, Flag, Layers, Size, Tokens, per_layer, rope_label
from archcalc.blocks._tensor import Block
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Layer, Shard, Tensor


class Other(ConfigSchema):
    """What differs in the layers that slide: the reference reads the number of heads alone."""

    inert_keys = ("attention_type", "num_attention_groups", "head_dim", "true_head_dim")

    num_attention_heads: Size | None = None


class Schema(GatedSchema):
    # `num_local_experts` is another name that the reference implementation overwrites with its own default.
    inert_keys: ClassVar[tuple[str, ...]] = (
        "moe_router_scaling_factor", "mtp_layer_types", "mtp_mlp_layer_types", "num_local_experts", "partial_rotary_factors",
        "swiglu_limits", "swiglu_limits_shared", "use_bidirectional_attention", "base_config_key",
    )  # fmt: skip

    vocab_size: Size = 128815
    hidden_size: Size = 4096
    intermediate_size: Size = 11264
    num_hidden_layers: Layers = 45
    num_attention_heads: Size = 64
    num_key_value_heads: Size = Field(8, validation_alias=AliasChoices("num_attention_groups", "num_key_value_heads"))
    max_position_embeddings: Tokens = 128000
    moe_intermediate_size: Size = 1280
    n_routed_experts: Size = Field(288, validation_alias=AliasChoices("moe_num_experts", "n_routed_experts", "num_experts"))
    num_experts_per_tok: Size = Field(8, validation_alias=AliasChoices("moe_top_k", "num_experts_per_tok"))
    share_expert_dim: Count = Field(1280, validation_alias=AliasChoices("share_expert_dims", "share_expert_dim"))
    # Flat copies of the published config state these in place of the lists.
    first_k_dense_replace: Count = 3
    n_shared_experts: Literal[1] = 1
    use_moe_router_bias: Literal[True] = True
    mlp_bias: Flag = False
    moe_layers_enum: str | list[Count] | None = None
    num_sliding_attention_heads: Size | None = None
    attention_other_setting: Other | None = None
    per_layer_config: dict[int, dict[str, Size]] | None = None
    num_nextn_predict_layers: Count = Field(0, validation_alias=AliasChoices("num_mtp_layers", "num_nextn_predict_layers"))

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-1p", joined=True, routing="normalized")

    def trimmed(self, values: list[str]) -> list[str]:
        """Lists may go on for the MTP layers."""
        n = self.num_hidden_layers
        return values[:n] if len(values) == n + self.num_nextn_predict_layers else values

    def kinds(self) -> list[str]:
        return list(per_layer(self.trimmed(super().kinds()), self.num_hidden_layers, "layer_types"))

    def sparse(self) -> list[bool]:
        given, n = self.moe_layers_enum, self.num_hidden_layers
        moe = set(range(self.first_k_dense_replace, n))
        if given is not None:
            moe = {int(i) for i in (given.split(",") if isinstance(given, str) else given) if str(i).strip()}
        kinds = None if self.mlp_layer_types is None else self.trimmed(self.mlp_layer_types)
        return sparse_layers(kinds, [i in moe for i in range(n)])

    def heads(self) -> list[int]:
        heads, kinds = self.num_attention_heads, self.kinds()
        if self.per_layer_config is not None:
            for keys in self.per_layer_config.values():
                if unknown := keys.keys() - {"num_attention_heads"}:
                    raise UnsupportedError(f"per_layer_config holds {min(unknown)}: only num_attention_heads is known here")
            return [self.per_layer_config.get(i, {}).get("num_attention_heads", heads) for i in range(len(kinds))]
        sliding = self.num_sliding_attention_heads or (self.attention_other_setting or Other()).num_attention_heads or heads
        return [sliding if kind == SLIDING else heads for kind in kinds]

    def mtp_heads(self) -> int:
        """As many as in the sliding layers, which those of MTP are too."""
        pairs = reversed(list(zip(self.kinds(), self.heads(), strict=True)))
        return next((heads for kind, heads in pairs if kind == SLIDING), self.heads()[-1])

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act, self.mlp_bias)

    def experts(self) -> MixtureOfExperts:
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act, 1,
            self.share_expert_dim, shared_bias=self.mlp_bias, correction_bias="gate.e_score_correction_bias", stored=(),
        )  # fmt: skip

    def architecture(self, prefix: str) -> Architecture:
        h, n, rows = self.hidden_size, self.num_hidden_layers, self.vocab_size
        head = Tensor("shared_head.output.weight", (rows, h), "head", Shard(0, rows), kind="copy")

        def layer(extra: tuple[Tensor, ...]) -> Layer:
            return self.layer(self.sliding_window, self.mtp_heads(), False, (*extra, head))

        mtp = behind_decoder(layer, self.num_nextn_predict_layers, prefix=prefix, start=n, hidden=h, vocab=rows, copies=False)
        facts = self.gated_facts(rope_label(self.model_extra or {}))
        return decoder(self.layers(), facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)], mtp=mtp)
