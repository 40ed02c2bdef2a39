"""MiMo-V2.5: MiMo-V2-Flash's structure, whose config says which layers slide, which hold experts and what heads sliding layers have.

XiaomiMiMo/MiMo-V2.5-Pro's element count is that of this structure with three MTP layers, which its config does not state.

Source: vLLM 0.33, models/mimo_v2.py (`MiMoV2FlashDecoderLayer`, `MiMoV2Attention`) and models/mimo_v2_mtp.py.
"""

from typing import Literal

from archcalc.arch import mimo_v2_flash
from archcalc.arch._alternating import FULL, SLIDING, mixed_label
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import attention_pattern, decoder, with_tower
from archcalc.arch._mimo_omni import MimoAudio, MimoVision
from archcalc.arch._schema import Flag, Size, per_layer, rope_label
from archcalc.blocks._tensor import make_layer
from archcalc.blocks.attention import GroupedQueryAttention, head_sharing
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.model import Architecture, Layer, Moe


class Schema(mimo_v2_flash.Schema):
    core_keys = (
        *mimo_v2_flash.Schema.core_keys, "hybrid_layer_pattern", "moe_layer_freq", "swa_num_key_value_heads", "n_routed_experts",
    )  # fmt: skip
    inert_keys = (*mimo_v2_flash.Schema.inert_keys, "attention_projection_layout", "moe_router_dtype")

    # 1 where a layer slides.
    hybrid_layer_pattern: list[Literal[0, 1]]
    # 1 where it holds experts.
    moe_layer_freq: list[Literal[0, 1]]
    swa_num_attention_heads: Size | None = None
    swa_num_key_value_heads: Size
    swa_head_dim: Size | None = None
    swa_v_head_dim: Size | None = None
    add_swa_attention_sink_bias: Flag = False
    add_full_attention_sink_bias: Flag = False
    # Where it sees and hears too.
    vision_config: MimoVision | None = None
    audio_config: MimoAudio | None = None

    def layer(self, window: int | None, sparse: bool) -> Layer:
        h, slides = self.hidden_size, window is not None
        heads = (self.swa_num_attention_heads if slides else None) or self.num_attention_heads
        attention = GroupedQueryAttention(
            h, heads, self.swa_num_key_value_heads if slides else self.kv_heads,
            (self.swa_head_dim if slides else None) or self.head_dim, self.attention_bias, False, window,
            sinks=self.add_swa_attention_sink_bias if slides else self.add_full_attention_sink_bias,
            value_dim=(self.swa_v_head_dim if slides else None) or self.v_head_dim,
        )  # fmt: skip
        experts = MixtureOfExperts(
            h, self.moe_intermediate_size, self.n_routed_experts, self.num_experts_per_tok, self.hidden_act,
            correction_bias="gate.e_score_correction_bias",
        )  # fmt: skip
        ffn = experts if sparse else GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        norms = (rms_norm("input_layernorm", h), rms_norm("post_attention_layernorm", h))
        return mimo_v2_flash.without_query(make_layer(attention, ffn, norms))

    def architecture(self, prefix: str) -> Architecture:
        n = self.num_hidden_layers
        kinds = [SLIDING if slides else FULL for slides in per_layer(self.hybrid_layer_pattern, n, "hybrid_layer_pattern")]
        ffns = [bool(sparse) for sparse in per_layer(self.moe_layer_freq, n, "moe_layer_freq")]
        order = list(zip(attention_pattern(kinds, n, self.window()), ffns, strict=True))
        built = {what: self.layer(*what) for what in dict.fromkeys(order)}
        moe = Moe(self.n_routed_experts, self.num_experts_per_tok, 0, sum(ffns), self.moe_intermediate_size)
        facts = self.facts(
            attention=mixed_label(kinds, head_sharing(self.num_attention_heads, self.kv_heads)),
            position=rope_label(self.model_extra or {}), sliding_window=self.window() if SLIDING in kinds else None,
            moe=moe if any(ffns) else None,
            more=(
                ("KV heads", f"{self.kv_heads} in full layers, {self.swa_num_key_value_heads} in sliding ones"),
                ("head", f"{self.head_dim} for queries and keys, {self.v_head_dim} for values"),
            ),
        )  # fmt: skip
        norm, renames = [rms_norm("norm", self.hidden_size)], ((".self_attn.sinks", ".self_attn.attention_sink_bias"),)
        layers, mtp = [built[what] for what in order], self.mtp(prefix)
        a = decoder(layers, facts, computes=self.computes(), prefix=prefix, final_norm=norm, renames=renames, mtp=mtp)
        vision, audio = self.vision_config, self.audio_config
        if vision is None:
            return a
        groups, stacks = vision.tower("visual")
        heard: Pieces = audio.tower("audio_encoder") if audio else ([], [])
        a = with_tower(a, (*groups, *heard[0]), (*stacks, *heard[1]))
        # No checkpoint of it was at hand to compare with.
        return a._replace(status="partial", notes=(*a.notes, "what sees and hears follows vLLM's code: no checkpoint was compared"))
