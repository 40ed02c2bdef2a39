"""Grok-1 and Grok-2: experts beside a dense FFN of their own (`residual_moe`), norms before and after attention and experts.

Source: sgl-project/sglang, python/sglang/srt/models/grok.py (`Grok1DecoderLayer`, `Grok1MoE`, `Grok1ForCausalLM.load_weights`): the
reference implementation its card names; a head of its own beside the embedding. The published Grok-2 config says
`model_type: "git"`, so the class in `architectures` decides (other names of it: llama.cpp 0c1e57098, conversion/grok.py).
"""

from archcalc.arch._decoder import DecoderSchema, decoder
from archcalc.arch._schema import Flag, Size, rope_label
from archcalc.blocks._tensor import make_layer, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import ROPE, Architecture, Moe


class Schema(DecoderSchema):
    inert_keys = (
        "embedding_multiplier_scale", "output_multiplier_scale", "router_logit_softcapping", "attn_logit_softcapping_method",
        "attn_temperature_len", "scaling_factor", "extrapolation_factor", "attn_factor", "beta_fast", "beta_slow",
        "load_presharded_moe", "load_presharded_attn", "load_presharded_mlp", "load_presharded_embedding", "merge_gate_up",
        "replicate_lm_head", "replicate_embedding", "context_len", "global_attn_every_n",
    )  # fmt: skip

    head_dim: Size | None = 128
    hidden_act: str = "gelu"
    moe_intermediate_size: Size | None = None
    num_local_experts: Size
    num_experts_per_tok: Size
    residual_moe: Flag = False
    sliding_window_size: int = -1

    def architecture(self, prefix: str) -> Architecture:
        if self.sliding_window_size > 0:
            raise UnsupportedError(f"sliding_window_size is {self.sliding_window_size}: Grok with windows is not modelled")
        h, n, width = self.hidden_size, self.num_hidden_layers, self.moe_intermediate_size or self.intermediate_size
        experts = MixtureOfExperts(
            h, width, self.num_local_experts, self.num_experts_per_tok, self.hidden_act, stored=("w1", "w3", "w2")
        )  # fmt: skip
        dense = GatedFeedForward(h, self.intermediate_size, self.hidden_act) if self.residual_moe else None
        layer = make_layer(
            GroupedQueryAttention(h, self.num_attention_heads, self.kv_heads, self.head_size),
            experts,
            [rms_norm(name, h) for name in ("pre_attn_norm", "post_attn_norm", "pre_moe_norm", "post_moe_norm")],
            ffn_name="block_sparse_moe",
            extra=prefixed("mlp", dense.tensors()) if dense else (),
        )
        if dense:
            layer = layer._replace(ffn=f"{layer.ffn} + dense {dense.label()}", ffn_width=layer.ffn_width + dense.width())
        extra = self.model_extra or {}
        facts = self.facts(
            norm="RMSNorm (pre + post)",
            position=rope_label({"rope_scaling": {"type": extra["rope_type"]}}) if extra.get("rope_type") else ROPE,
            moe=Moe(self.num_local_experts, self.num_experts_per_tok, 0, n, width),
            more=(("dense path", f"an FFN of {self.intermediate_size} beside the experts"),) if dense else (),
        )
        return decoder([layer] * n, facts, computes=self.computes(), prefix=prefix, final_norm=[rms_norm("norm", h)])
