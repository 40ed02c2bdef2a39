"""C-RADIO: a ViT with class and register tokens, scaled residuals and a position table that images crop.

Source: transformers 5.23, models/radio/modeling_radio.py (`RadioModel`) and configuration_radio.py (defaults).
"""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import Count, Flag, Layers, Size, TowerSchema
from archcalc.blocks._tensor import Block, linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward, GatedFeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Tensor, stack


class Schema(TowerSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "drop_path_rate", "image_size", "layerscale_value", "patch_dim", "video_patch_dim", "summary_idxs", "norm_mean", "norm_std",
    )  # fmt: skip

    hidden_size: Size = 1280
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    head_dim: Size | None = None
    mlp_ratio: float = 4.0
    hidden_act: str = "gelu"
    use_swiglu_ffn: Flag = False
    qkv_bias: Flag = True
    num_channels: Size = 3
    patch_size: Size = 16
    max_img_size: Size = 2048
    num_cls_tokens: Count = 3
    num_registers: Count = 7
    video_temporal_patch_size: Size | None = None

    def ffn(self) -> Block:
        h, wide = self.hidden_size, int(self.hidden_size * self.mlp_ratio)
        if not self.use_swiglu_ffn:
            return FeedForward(h, wide, self.hidden_act)
        # Two thirds of the width, rounded up to a multiple of eight.
        return GatedFeedForward(h, (wide * 2 // 3 + 7) // 8 * 8, "silu", bias=True)

    def scales(self) -> Iterable[Tensor]:
        """What the residuals are scaled by."""
        return (Tensor(f"layer_scale{i}.lambda1", (self.hidden_size,), "other") for i in (1, 2))

    def tower(self, prefix: str) -> Pieces:
        h, n, patch = self.hidden_size, self.num_attention_heads, self.num_channels * self.patch_size**2
        outside = [
            Tensor("embeddings.position_embedding", (1, (self.max_img_size // self.patch_size) ** 2, h), "embedding"),
            Tensor("embeddings.cls_register_token", (self.num_cls_tokens + self.num_registers, h), "embedding"),
            *linear("embeddings.patch_projection", h, patch, "embedding"),
        ]
        if self.video_temporal_patch_size is not None:
            outside += linear("embeddings.video_patch_projection", h, patch * self.video_temporal_patch_size, "embedding")
        layer = encoder_layer(
            GroupedQueryAttention(h, n, n, self.head_dim or h // n, self.qkv_bias, True),
            self.ffn(),
            (*layer_norm("norm1", h), *layer_norm("norm2", h)),
            attention_name="attention",
            extra=self.scales(),
        )
        layers = stack(join(prefix, "encoder.layer"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


# Width, layers, heads and FFN by the names of timm.
_SIZES = {
    "vit_small_patch16_224": (384, 12, 6, 1536), "vit_base_patch16_224": (768, 12, 12, 3072), "vit_large_patch16_224": (1024, 24, 16, 4096),
    "vit_huge_patch16_224": (1280, 32, 16, 5120), "vit_so400m_patch16_224": (1152, 27, 16, 4304),
}  # fmt: skip


class CRadio(Schema):
    """C-RADIO as published: the arguments that trained it describe it, its residuals are not scaled, and it keeps what images are
    normalized by. The elements of nvidia/Llama-3.1-Nemotron-Nano-VL-8B-V1 are those of this tower with eight tokens beside the patches.
    Source: vLLM 0.33, transformers_utils/configs/radio.py (`VIT_TIMM_DIM_BY_NAME`) and model_executor/models/radio.py (`ClsToken`,
    `RadioInternVisionModel`); SGLang 0.5.23, srt/configs/nano_nemotron_vl.py (`create_radio_config`)."""

    name = "c_radio"
    inert_keys = (
        *Schema.inert_keys, "args", "adaptor_configs", "adaptor_names", "feature_normalizer_config", "inter_feature_normalizer_config",
        "max_resolution", "preferred_resolution", "version", "vitdet_window_size", "min_num_patches", "max_num_patches",
        "separate_video_embedder", "video_target_num_patches", "video_maintain_aspect_ratio",
    )  # fmt: skip

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        args = config.get("args")
        if not isinstance(args, Mapping):
            return config
        if args.get("model") not in _SIZES:
            raise UnsupportedError(f"args.model is {json_text(args.get('model'))}: {', '.join(_SIZES)} are known here")
        h, layers, heads, wide = _SIZES[str(args["model"])]
        teachers = args.get("teachers")
        known = {str(t.get("name")) for t in teachers if isinstance(t, Mapping)} if isinstance(teachers, list) else set()
        tokens = len(known) if known and args.get("cls_token_per_teacher") else 1
        multiple, fixed = args.get("register_multiple"), args.get("cpe_num_registers")
        registers = fixed or (multiple - tokens % multiple if isinstance(multiple, int) and multiple else 0)
        made = {
            "hidden_size": h, "num_hidden_layers": layers, "num_attention_heads": heads, "mlp_ratio": wide / h,
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
