"""PLaMo 3: windows in most layers, norms around each block, QK-norm, fused projections.

Source: vLLM 0.33, models/plamo3.py; pfnet/plamo-3-nict-8b-base, modeling_plamo.py (`interleaved_sliding_window`).
"""

from collections.abc import Sequence

from archcalc.arch._decoder import attention_pattern
from archcalc.arch._plain import PlainSchema
from archcalc.arch._schema import Tokens
from archcalc.blocks._tensor import Block, Mixer
from archcalc.blocks.feedforward import GatedFeedForward


class Schema(PlainSchema):
    core_keys = (*PlainSchema.core_keys, "layer_types", "window_size")
    inert_keys = (
        "rope_local_theta", "interleaved_sliding_window", "sliding_window_pattern", "use_predefined_initial_state", "linear_type",
        "image_feature_size", "image_proj_type", "linear_proj_type",
    )  # fmt: skip
    mixer_name = "mixer"
    norms = ("pre_mixer_norm", "post_mixer_norm", "pre_mlp_norm", "post_mlp_norm")
    norm_label = "RMSNorm (pre + post)"

    layer_types: list[str]
    window_size: Tokens

    def windows(self) -> Sequence[int | None]:
        return attention_pattern(self.layer_types, self.num_hidden_layers, self.window_size)

    def attention(self, window: int | None, variant: int) -> Mixer:
        return self.gqa(window=window, qk_norm="head", fused="qkv_proj")

    def dense(self) -> Block:
        return GatedFeedForward(self.hidden_size, self.ffn_size, self.hidden_act, fused="gate_up_proj")

    def decoder_options(self) -> dict[str, object]:
        return {"layers_name": "layers.layers"}
