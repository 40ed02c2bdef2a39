"""Hunyuan-A13B: routed experts and a shared FFN of the same width in every layer.

Source: transformers 5.23, models/hunyuan_v1_moe/modeling_hunyuan_v1_moe.py and configuration_hunyuan_v1_moe.py (defaults,
attribute_map).
"""

from collections.abc import Sequence
from typing import ClassVar

from archcalc.arch import hunyuan_v1_dense
from archcalc.arch._computes import Computes
from archcalc.arch._plain import named
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import Mixer
from archcalc.blocks.experts import MixtureOfExperts
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


def alike(key: str, value: int | list[int]) -> int:
    """The one value of a key that may be stated of each layer."""
    values = {value} if isinstance(value, int) else set(value)
    if len(values) != 1:
        raise UnsupportedError(f"{key} differs between layers: the reference implementation fuses one number of experts")
    return values.pop()


class Schema(hunyuan_v1_dense.Schema):
    # The reference implementation's experts are as wide as intermediate_size, and one shared FFN stands beside them.
    inert_keys: ClassVar[tuple[str, ...]] = (
        *hunyuan_v1_dense.Schema.inert_keys, "moe_intermediate_size", "moe_drop_tokens", "moe_layer_num_skipped",
        "moe_random_routing_dropped_token", "num_shared_expert", "use_mixed_mlp_moe", "capacity_factor", "group_limited_greedy",
    )  # fmt: skip

    num_experts: Size | list[Size] = named(1, "num_local_experts", "num_experts")
    moe_topk: Size | list[Size] = named(1, "moe_topk", "num_experts_per_tok")

    def computes(self) -> Computes:
        return super().computes()._replace(routing="normalized", router_reads="fp32")

    def sparse(self) -> Sequence[bool]:
        return [True] * self.num_hidden_layers

    def experts(self) -> MixtureOfExperts:
        width, count, active = self.intermediate_size, alike("num_experts", self.num_experts), alike("moe_topk", self.moe_topk)
        return MixtureOfExperts(
            self.hidden_size, width, count, active, self.hidden_act, 1, width, shared_name="shared_mlp", router="gate.wg"
        )


# What the reference implementation passes over, and the publisher's code and engines read.
READ = frozenset(
    ("moe_intermediate_size", "num_shared_expert", "use_mixed_mlp_moe", "use_qk_norm", "attention_head_dim", "mlp_bias")
)


class Hunyuan(Schema):
    """Hunyuan-A13B under its publisher's own name, with keys of a vision tower that it does not have.
    Source: Tencent-Hunyuan/Hunyuan-A13B, models/config.json and models/hunyuan.py (`HunYuanMoEV1ForCausalLM`); vLLM 0.24,
    models/hunyuan_v1.py (`moe_intermediate_size`, `num_shared_expert`, `use_mixed_mlp_moe`)."""

    inert_keys = (
        *(key for key in Schema.inert_keys if key not in READ),
        "anyres_pooling_size", "anyres_vit_two_views", "num_media_embeds", "pad_id", "skip_cls_token",
        "video_end_id", "video_start_id", "vit_add_patchemb_bias", "vit_input_resolution", "vit_mapping_type", "vit_norm_type",
        "vit_patch", "vit_remove_prenorm", "vit_token", "vit_used_rms_norm", "cla_share_factor",
    )  # fmt: skip

    head_dim: Size | None = named(None, "head_dim", "attention_head_dim")
    use_qk_norm: Flag = False
    mlp_bias: Flag = False
    moe_intermediate_size: Size | list[Size] | None = None
    num_shared_expert: Size | list[Size] = 1
    use_mixed_mlp_moe: Flag = False
    use_cla: Flag = False
    use_mla: Flag = False
    vit_type: str | None = None
    vit_path: str | None = None

    def attention(self, window: int | None, variant: int) -> Mixer:
        bias = self.attention_bias
        return super().attention(window, variant) if self.use_qk_norm else self.gqa(bias=bias, output_bias=bias)

    def experts(self) -> MixtureOfExperts:
        made, stated = super().experts(), self.moe_intermediate_size
        width = made.intermediate if stated is None else alike("moe_intermediate_size", stated)
        shared = alike("num_shared_expert", self.num_shared_expert) if self.use_mixed_mlp_moe else 0
        return made.replace(intermediate=width, shared=shared, shared_intermediate=shared * self.intermediate_size)

    def architecture(self, prefix: str) -> Architecture:
        for key in ("mlp_bias", "use_cla", "use_mla", "vit_type", "vit_path"):
            if getattr(self, key):
                raise UnsupportedError(f"{key} is {getattr(self, key)}: of this form archcalc knows Hunyuan-A13B, which has it off")
        return super().architecture(prefix)
