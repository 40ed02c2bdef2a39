"""M2M-100 and NLLB: sinusoidal positions that are not stored, norms before the blocks.

Source: transformers 5.23, models/m2m_100/modeling_m2m_100.py and configuration_m2m_100.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bart import BartSchema
from archcalc.arch._schema import Count, Flag, Size
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.experts import ApartExperts
from archcalc.blocks.norm import layer_norm
from archcalc.model import SINUSOIDAL, Architecture, Layer, Moe, Stack, Tensor, stack


class Schema(BartSchema):
    logits_bias = False
    norm_label = "LayerNorm (pre)"
    position = SINUSOIDAL

    vocab_size: Size = 128112
    activation_function: str = "relu"

    def outside(self, *, decodes: bool) -> Iterator[Tensor]:
        return layer_norm("layer_norm", self.d_model)


_NAMES = (("encoder_attn", "cross_attention"), ("final_layer_norm", "ff_layer_norm"), ("fc1", "ffn.fc1"), ("fc2", "ffn.fc2"))


class NllbMoe(Schema):
    """NLLB with experts: M2M-100 with a mixture in every fourth layer, of which a token visits two experts.
    Source: transformers 5.24, models/nllb_moe/modeling_nllb_moe.py (`NllbMoeForConditionalGeneration`) and
    configuration_nllb_moe.py (defaults); NLLB Team 2022, arXiv:2207.04672."""

    inert_keys = (
        *Schema.inert_keys, "batch_prioritized_routing", "expert_capacity", "moe_eval_capacity_token_fraction",
        "normalize_router_prob_before_dropping", "router_dtype", "router_ignore_padding_tokens", "second_expert_policy",
        "router_type", "num_selected_experts",
    )  # fmt: skip

    num_experts: Size = 128
    encoder_sparse_step: Count = 4
    decoder_sparse_step: Count = 4
    router_bias: Flag = False

    def experts(self, width: int) -> ApartExperts:
        return ApartExperts(
            self.d_model, width, self.num_experts, 2, self.activation_function, ("fc1", "fc2"), True, self.router_bias
        )  # fmt: skip

    def mixed(self, layer: Layer, width: int, sparse: bool) -> Layer:
        """The layer under this type's names, with experts in place of its FFN where it is sparse."""
        tensors = []
        for t in layer.tensors:
            old, new = next(((a, b) for a, b in _NAMES if t.name.startswith(a)), ("", ""))
            tensors.append(t._replace(name=new + t.name.removeprefix(old)))
        if not sparse:
            return layer._replace(tensors=tuple(tensors))
        experts = self.experts(width)
        tensors = [*(t for t in tensors if not t.name.startswith("ffn.")), *prefixed("ffn", experts.tensors())]
        steps = (*layer.steps, *experts.steps())
        return layer._replace(tensors=tuple(tensors), ffn=experts.label(), ffn_width=experts.width(), steps=steps)

    def half(self, half: Stack) -> Stack:
        name, width = ("decoder", self.decoder_ffn_dim) if half.part == "decoder" else ("encoder", self.encoder_ffn_dim)
        step: int = getattr(self, f"{name}_sparse_step")
        layers = (self.mixed(half.kinds[kind], width, step > 0 and (i + 1) % step == 0) for i, kind in enumerate(half.pattern))
        return stack(half.prefix, half.part, layers)

    def architecture(self, prefix: str) -> Architecture:
        a, step = super().architecture(prefix), self.decoder_sparse_step
        sparse = self.decoder_layers // step if step else 0
        moe = Moe(self.num_experts, 2, 0, sparse, self.decoder_ffn_dim) if sparse else None
        return a._replace(stacks=tuple(map(self.half, a.stacks)), facts=a.facts._replace(moe=moe))
