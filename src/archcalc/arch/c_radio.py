"""C-RADIO as published: the arguments that trained it describe it, its residuals are not
scaled, and it keeps what images are normalized by.

Source: vLLM 0.33, transformers_utils/configs/radio.py (`VIT_TIMM_DIM_BY_NAME`) and model_executor/models/radio.py (`ClsToken`,
`RadioInternVisionModel`); SGLang 0.5.23, srt/configs/nano_nemotron_vl.py (`create_radio_config`).
"""

from collections.abc import Iterable, Mapping
from typing import Any

from archcalc.arch import radio
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Tensor

# Width, layers, heads and FFN by the names of timm.
_SIZES = {
    "vit_small_patch16_224": (384, 12, 6, 1536), "vit_base_patch16_224": (768, 12, 12, 3072), "vit_large_patch16_224": (1024, 24, 16, 4096),
    "vit_huge_patch16_224": (1280, 32, 16, 5120), "vit_so400m_patch16_224": (1152, 27, 16, 4304),
}  # fmt: skip


class Schema(radio.Schema):
    inert_keys = (
        *radio.Schema.inert_keys, "args", "adaptor_configs", "adaptor_names", "feature_normalizer_config",
        "inter_feature_normalizer_config", "max_resolution", "preferred_resolution", "version", "vitdet_window_size",
        "min_num_patches", "max_num_patches", "separate_video_embedder", "video_target_num_patches",
        "video_maintain_aspect_ratio",
    )  # fmt: skip

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        args = config.get("args")
        if not isinstance(args, Mapping):
            return config
        if str(args.get("model")) not in _SIZES:
            raise UnsupportedError(f"args.model is {json_text(args.get('model'))}: {', '.join(_SIZES)} are known here")
        h, layers, heads, width = _SIZES[str(args["model"])]
        teachers = args.get("teachers")
        known = {str(t.get("name")) for t in teachers if isinstance(t, Mapping)} if isinstance(teachers, list) else set()
        tokens = len(known) if known and args.get("cls_token_per_teacher") else 1
        multiple, fixed = args.get("register_multiple"), args.get("cpe_num_registers")
        registers = fixed or (multiple - tokens % multiple if isinstance(multiple, int) and multiple else 0)
        made = {
            "hidden_size": h, "num_hidden_layers": layers, "num_attention_heads": heads, "mlp_ratio": width / h,
            "num_cls_tokens": tokens, "num_registers": registers, "max_img_size": args.get("cpe_max_size") or 2048,
        }  # fmt: skip
        return {**made, **config}

    def scales(self) -> Iterable[Tensor]:
        return ()

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        kept = (
            Tensor(join(prefix, f"input_conditioner.{name}"), (self.num_channels, 1, 1), "other")
            for name in ("norm_mean", "norm_std")
        )
        return [*groups, group("vision", kept)], stacks
