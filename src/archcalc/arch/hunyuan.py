"""Hunyuan-A13B under its publisher's own name, with keys of a vision tower that it does not have.

Source: Tencent-Hunyuan/Hunyuan-A13B, models/config.json and models/hunyuan.py (`HunYuanMoEV1ForCausalLM`).
"""

from archcalc.arch import hunyuan_v1_moe
from archcalc.arch._schema import Flag
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture


class Schema(hunyuan_v1_moe.Schema):
    inert_keys = (
        *hunyuan_v1_moe.Schema.inert_keys, "anyres_pooling_size", "anyres_vit_two_views", "num_media_embeds", "pad_id",
        "skip_cls_token", "video_end_id", "video_start_id", "vit_add_patchemb_bias", "vit_input_resolution", "vit_mapping_type",
        "vit_norm_type", "vit_patch", "vit_remove_prenorm", "vit_token", "vit_used_rms_norm", "cla_share_factor",
    )  # fmt: skip

    use_cla: Flag = False
    use_mla: Flag = False
    vit_type: str | None = None
    vit_path: str | None = None

    def architecture(self, prefix: str) -> Architecture:
        for key in ("use_cla", "use_mla", "vit_type", "vit_path"):
            if getattr(self, key):
                raise UnsupportedError(f"{key} is {getattr(self, key)}: of this form archcalc knows Hunyuan-A13B, which has it off")
        return super().architecture(prefix)
