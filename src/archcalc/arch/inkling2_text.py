"""The text model of Inkling 2: token-dependent convolutions in full layers, blocks that read all earlier ones through a learned query.

Source: transformers 5.24, models/inkling2/modeling_inkling2.py and configuration_inkling2.py (defaults, `layer_types`),
conversion_mapping.py ("inkling2_text").
"""

from typing import ClassVar

from pydantic import AliasChoices, Field

from archcalc.arch._alternating import HYBRID
from archcalc.arch._computes import Computes
from archcalc.arch._decoder import decoder
from archcalc.arch._inkling import HYBRID_SLIDING, RENAMES, RelativeSchema
from archcalc.arch._schema import Layers, Size, Tokens
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.linear import causal_conv
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe, Tensor

# What this generation's reference calls the parts of attention, by the names of the first.
PARTS = {
    "q_proj.": "q_proj.linear.", "k_proj.": "k_proj.linear.", "v_proj.": "v_proj.linear.", "o_proj.": "o_proj.linear.",
    "k_sconv.": "k_proj.sconv.", "v_sconv.": "v_proj.sconv.", "gate_proj.": "o_proj.gate_proj.", "q_l2_clip.": "q_proj.norm.",
    "r_proj.": "relative_position_bias.linear.", "rel_l2_clip.": "relative_position_bias.norm.",
    "rel_logits_proj.": "relative_position_bias.",
}  # fmt: skip

NAMES = (*((f".self_attn.{new}", f".self_attn.{old}") for old, new in PARTS.items()), *RENAMES)


def called(t: Tensor) -> Tensor:
    """The tensor by this generation's name."""
    head, _, rest = t.name.partition(".")
    part = f"{rest.partition('.')[0]}."
    if head != "self_attn" or part not in PARTS:
        return t
    return t._replace(name=f"{head}.{PARTS[part]}{rest.removeprefix(part)}")


class Schema(RelativeSchema):
    clipped = True
    inert_keys: ClassVar[tuple[str, ...]] = (
        *RelativeSchema.inert_keys, "mlp_gate_softcap", "mlp_up_softcap", "number_of_conv_states", "qk_l2_clip_threshold",
        "rel_l2_clip_threshold", "n_layers_per_attn_res_block",
    )  # fmt: skip

    vocab_size: Size = 201024
    hidden_size: Size = 4608
    # Another name of `moe_intermediate_size`; no layer is dense.
    intermediate_size: Size = Field(2304, validation_alias=AliasChoices("intermediate_size", "moe_intermediate_size"))
    num_hidden_layers: Layers = 48
    num_attention_heads: Size = 48
    num_key_value_heads: Size = 8
    swa_num_attention_heads: Size = 48
    swa_num_key_value_heads: Size = 8
    sliding_window_size: Tokens = Field(1024, validation_alias=AliasChoices("sliding_window", "sliding_window_size"))
    max_position_embeddings: Tokens = Field(1048576, validation_alias=AliasChoices("model_max_length", "max_position_embeddings"))
    n_routed_experts: Size = Field(384, validation_alias=AliasChoices("num_local_experts", "n_routed_experts"))
    num_experts_per_tok: Size = 8
    # The head has no rows for the padding of the vocabulary.
    unpadded_vocab_size: Size = 200058

    def computes(self) -> Computes:
        return super().computes()._replace(norm="rms-fp32", routing="wide")

    def layer(self, kind: str, first: bool) -> Layer:
        h = self.hidden_size
        experts = MixtureOfExperts(
            h, self.intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act,
            correction_bias="gate.e_score_correction_bias", stored=(),
        )  # fmt: skip
        before = ("input",) if kind == HYBRID_SLIDING else ("q_input", "k_input", "v_input")
        others = [rms_norm(f"{name}_layernorm", h) for name in (*before, "post_attention")]
        others.append(Tensor("mlp_input.query", (h,), "other", acts="chooses"))
        if not first:
            # A full layer reads earlier blocks once each for queries, keys and values.
            others.append(Tensor("attention_input.query", (h,) if kind == HYBRID_SLIDING else (3, h), "other", acts="chooses"))
        for name in ("post_attention_convolution", "post_mlp_convolution"):
            others += causal_conv(f"{name}.conv1d", h, self.conv_kernel_size, units=h)
        layer = make_layer(self.attention(kind), experts, others)
        return layer._replace(tensors=tuple(map(called, layer.tensors)))

    def architecture(self, prefix: str) -> Architecture:
        n, h = self.num_hidden_layers, self.hidden_size
        kinds = self.known([HYBRID_SLIDING if (i + 1) % 6 else HYBRID for i in range(n)])
        order = [(kind, i == 0) for i, kind in enumerate(kinds)]
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, 0, n, self.intermediate_size)
        facts = self.relative_facts(kinds, moe)
        facts = facts._replace(
            more=(*facts.more, ("attention sinks", "one logit a head and token"), ("output gate", "one a channel"))
        )
        return decoder(
            [built[what] for what in order], facts, computes=self.computes(),
            prefix=prefix, final_norm=[rms_norm("norm", h)],
            extra_embedding=[rms_norm("embed_tokens.embed_norm", h)],
            extra=[Tensor("final_input.query", (h,), "other", acts="chooses")], renames=NAMES,
            head_rows=self.unpadded_vocab_size,
        )  # fmt: skip
