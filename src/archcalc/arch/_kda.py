"""Decoders that mix Kimi Delta Attention with latent attention: the keys they share, and how their layers come together.

Source: transformers 5.23, models/kimi_linear/modeling_kimi_linear.py and configuration_kimi_linear.py.
"""

from abc import abstractmethod
from typing import ClassVar

from pydantic import Field

from archcalc.arch._alternating import FULL, INDEXED, LINEAR, hybrid_label, known_kinds, sparse_layers
from archcalc.arch._decoder import decoder
from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import ConfigSchema, Count, Size, per_layer, rope_label
from archcalc.blocks._tensor import Block, make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.kda import KimiDeltaAttention
from archcalc.blocks.latent import LatentAttention
from archcalc.blocks.norm import rms_norm
from archcalc.model import NOPE, Architecture, Layer, Moe, Stack, Tensor

RENAMES = ((".self_attn.forget_gate.", ".self_attn."),)


class LinearConfig(ConfigSchema):
    """`linear_attn_config`: what published configs say of the linear layers. Kimi counts layers from 1."""

    inert_keys = ("gate_lower_bound",)

    head_dim: Size | None = None
    num_heads: Size | None = None
    short_conv_kernel_size: Size | None = None
    full_attn_layers: list[Count] | None = None
    kda_layers: list[Count] | None = None


class DeltaSchema(LatentSchema):
    """A decoder of linear and latent layers, dense at first and with experts after."""

    rotary: ClassVar[bool] = True
    # Whether the reference implementation ties the head at all.
    ties: ClassVar[bool] = False
    stored: ClassVar[tuple[str, ...]] = ("gate_proj", "up_proj", "down_proj")
    renames: ClassVar[tuple[tuple[str, str], ...]] = RENAMES
    inert_keys: ClassVar[tuple[str, ...]] = (
        *LatentSchema.inert_keys, "mla_use_nope", "moe_renormalize", "moe_router_activation_func", "num_expert_group",
        "use_grouped_topk", "moe_layer_freq",
    )  # fmt: skip

    moe_intermediate_size: Size = 1024
    layer_types: list[str] | None = None
    mlp_layer_types: list[str] | None = None
    linear_attn_config: LinearConfig = Field(default=LinearConfig())
    linear_head_dim: Size | None = None
    linear_num_heads: Size | None = None
    linear_conv_kernel_dim: Size | None = None

    @abstractmethod
    def default_kinds(self) -> list[str]:
        """The kinds of layers where the config lists none."""

    @abstractmethod
    def default_sparse(self) -> list[bool]:
        """Which layers have experts where the config lists none."""

    @abstractmethod
    def delta(self) -> KimiDeltaAttention:
        """The linear mixer."""

    @abstractmethod
    def routed(self) -> tuple[int, int, int]:
        """Experts, how many of them a token visits, and shared ones."""

    def latent(self, index: int) -> LatentAttention:
        return self.attention()

    def extra_tensors(self, kind: str) -> list[Tensor]:
        h = self.hidden_size
        return [rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h)]

    def finished(self, layer: Layer) -> Layer:
        return layer

    def mtp(self, prefix: str) -> list[Stack]:
        return []

    def kinds(self) -> list[str]:
        kinds = self.default_kinds() if self.layer_types is None else self.layer_types
        return known_kinds(per_layer(kinds, self.num_hidden_layers, "layer_types"), "layer_types", LINEAR, FULL, INDEXED)

    def sparse(self) -> list[bool]:
        return sparse_layers(self.mlp_layer_types, self.default_sparse())

    def experts(self) -> MixtureOfExperts:
        number, active, shared = self.routed()
        return MixtureOfExperts(
            self.hidden_size, self.moe_intermediate_size, number, active, self.hidden_act, shared, shared * self.moe_intermediate_size,
            correction_bias="gate.e_score_correction_bias", stored=self.stored,
        )  # fmt: skip

    def layer(self, mixer: KimiDeltaAttention | LatentAttention, sparse: bool, extra: tuple[Tensor, ...] = ()) -> Layer:
        dense = GatedFeedForward(self.hidden_size, self.intermediate_size, self.hidden_act)
        ffn: Block = self.experts() if sparse else dense
        kind = LINEAR if isinstance(mixer, KimiDeltaAttention) else FULL
        return self.finished(make_layer(mixer, ffn, self.extra_tensors(kind), extra=extra))

    def architecture(self, prefix: str) -> Architecture:
        kinds, sparse, delta = self.kinds(), self.sparse(), self.delta()
        order = [(delta if kind == LINEAR else self.latent(i), sparse[i]) for i, kind in enumerate(kinds)]
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        number, active, shared = self.routed()
        facts = self.facts(
            attention=hybrid_label(kinds, "KDA", "MLA"),
            position=rope_label(self.model_extra or {}).also(", none in linear layers") if self.rotary else NOPE,
            tied_embeddings=self.ties and self.tie_word_embeddings,
            moe=Moe(number, active, shared, sum(sparse), self.moe_intermediate_size) if any(sparse) else None,
            more=(("linear heads", f"{delta.heads} x {delta.dim}"), ("convolution", f"{delta.kernel} tokens"), *self.more()),
        )
        norm = [rms_norm("norm", self.hidden_size)]
        return decoder(
            [built[what] for what in order],
            facts,
            computes=self.computes(),
            prefix=prefix,
            final_norm=norm,
            mtp=self.mtp(prefix),
            renames=self.renames,
        )
