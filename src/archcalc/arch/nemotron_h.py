"""Nemotron-H and Nemotron 3: each layer is Mamba-2, attention, a plain FFN or experts, which may work in a latent; MTP.

Source: transformers 5.23, models/nemotron_h/modeling_nemotron_h.py, conversion_mapping.py; vLLM 0.33, models/nemotron_h_mtp.py (a
step's layers as `mtp.layers.*`, with the projection in the first and a norm in the last).
"""

from archcalc.arch._alternating import FULL, LINEAR, hybrid_label
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._nemotron import MLP, MOE, PatternSchema
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import head_sharing
from archcalc.blocks.norm import rms_norm
from archcalc.model import NOPE, Architecture, Layer, Moe, Stack, stack

_NAMES = {LINEAR: "Mamba-2", FULL: "attention", MOE: "experts", MLP: "FFN"}


class Schema(PatternSchema):
    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-cast-gain", routing="grouped")

    def mtp(self) -> list[Stack]:
        h, kinds, layers = self.hidden_size, self.mtp_kinds(), []
        if not kinds:
            return []
        start = (rms_norm("enorm", h), rms_norm("hnorm", h), *linear("eh_proj", h, 2 * h, "other"))
        for i, kind in enumerate(kinds):
            end = (rms_norm("final_layernorm", h),) if i == len(kinds) - 1 else ()
            layers.append(self.layer(kind, (*(() if i else start), *end)))
        return [stack("mtp.layers", "mtp", layers * self.num_nextn_predict_layers)]

    def architecture(self, prefix: str) -> Architecture:
        h, kinds, heads = self.hidden_size, self.kinds(), self.mamba_num_heads
        mixers = [kind for kind in kinds if kind in (LINEAR, FULL)]
        more = [("Mamba-2 heads", f"{heads} x {self.mamba_head_dim}, state {self.ssm_state_size}, {self.n_groups} groups")]
        more += [("layers", ", ".join(f"{kinds.count(k)} {name}" for k, name in _NAMES.items() if k in kinds))]
        if MOE in kinds and self.moe_latent_size:
            more.append(("expert latent", str(self.moe_latent_size)))
        facts = self.facts(
            gated=False,
            attention=hybrid_label(mixers, "Mamba-2", head_sharing(self.num_attention_heads, self.kv_heads)) if mixers else "none",
            position=NOPE,
            intermediate_size=self.intermediate_size if MLP in kinds else None,
            tied_embeddings=False,
            moe=self.moe(kinds.count(MOE)),
            more=tuple(more),
        )
        made = decoder(
            self.layers(kinds), facts, computes=self.computes(),
            prefix=prefix, embed="embeddings", final_norm=[rms_norm("norm_f", h)],
            mtp=self.mtp() if self.num_nextn_predict_layers else (), renames=((f"{prefix}.", "backbone."),),
        )  # fmt: skip
        # The correction biases are buffers of the publisher's class, and its indexes state the parameters alone: so count Nano 30B, Super,
        # Ultra and Cascade 2.
        return made._replace(uncounted=frozenset({"router_bias"}))

    def layers(self, kinds: list[str]) -> list[Layer]:
        built = {kind: self.layer(kind) for kind in dict.fromkeys(kinds)}
        return [built[kind] for kind in kinds]

    def moe(self, layers: int) -> Moe | None:
        if not layers:
            return None
        return Moe(self.n_routed_experts, self.num_experts_per_tok, self.n_shared_experts, layers, self.moe_intermediate_size)
