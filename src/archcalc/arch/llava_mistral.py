"""LLaVA over Mistral in its first library's form: the text model's keys stand flat, and the tower goes by its name.

Source: haotian-liu/LLaVA, llava/model/language_model/llava_mistral.py, multimodal_projector/builder.py (`mlpNx_gelu`) and
multimodal_encoder/clip_encoder.py; microsoft/llava-med-v1.5-mistral-7b, config.json.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from archcalc.arch import llava, llava_onevision
from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, TowerSchema, nested
from archcalc.arch._vlm import flat
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Tensor

_OWN = (
    "model_type", "architectures", "auto_map", "dtype", "torch_dtype", "mm_vision_tower", "mm_projector_type", "mm_hidden_size",
    *llava.Schema.inert_keys, "mm_projector_lr", "tokenizer_model_max_length", "tokenizer_padding_side", "mm_patch_merge_type",
)  # fmt: skip
TOWERS = {"openai/clip-vit-large-patch14-336": llava.CLIP, "openai/clip-vit-large-patch14": {**llava.CLIP, "image_size": 224}}


class Schema(VisionSchema):
    core_keys = ("hidden_size", "mm_vision_tower")
    ties = "outer or text"
    inert_keys: ClassVar[tuple[str, ...]] = _OWN
    tower_name = "vision_tower.vision_tower.vision_model"
    projector_name = "mm_projector"
    renames = (("model.language_model.", "model."),)

    towers: ClassVar[Mapping[str, Mapping[str, Any]]] = TOWERS

    text_config: Annotated[ConfigSchema, nested("mistral", "llava_mistral"), DEFAULT]
    mm_vision_tower: str
    mm_projector_type: str = "linear"
    mm_hidden_size: Size = 1024
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        tower = config.get("mm_vision_tower")
        if isinstance(tower, str) and tower not in cls.towers:
            known = ", ".join(cls.towers)
            raise UnsupportedError(f"mm_vision_tower is {json_text(tower)}: of towers by name archcalc knows {known}")
        return {"vision_config": cls.towers.get(str(tower), {}), **flat(config, cls.inert_keys)}

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        deep = re.fullmatch(r"mlp([1-9])x_gelu", self.mm_projector_type)
        if deep is None and self.mm_projector_type != "linear":
            raise UnsupportedError(
                f"mm_projector_type is {json_text(self.mm_projector_type)}: only linear and mlpNx_gelu are known here"
            )
        layers = int(deep[1]) if deep else 1
        # An activation stands between two of them.
        names = tuple(str(2 * i) for i in range(layers)) if deep else ("",)
        tensors = projector(names, (self.mm_hidden_size, *[hidden] * layers))
        return (t._replace(name=t.name.removeprefix(".")) for t in tensors)


class LlavaQwen(Schema):
    """LLaVA-OneVision in its first library's form: Qwen 2 with SigLIP but for its last layer, and a learned end of each row of patches.
    Source: LLaVA-VL/LLaVA-NeXT, llava/model/multimodal_encoder/siglip_encoder.py (`SigLipVisionTower.load_model`) and llava_arch.py;
    SGLang 0.5.23, srt/models/llava.py (`LlavaQwenForCausalLM`)."""

    inert_keys = (
        *_OWN, "image_crop_resolution", "image_split_resolution", "mm_newline_position", "mm_resampler_type",
        "mm_spatial_pool_mode", "mm_spatial_pool_stride", "mm_tunable_parts", "mm_vision_tower_lr", "pos_skipping_range",
        "tokenizer_truncation_side", "vision_tower_pretrained", "add_faster_video", "add_time_instruction", "faster_token_stride",
        "force_sample", "_name_or_path", "mm_spatial_pool_out_channels", "use_pos_skipping", "mm_use_im_patch_token",
        "image_aspect_ratio", "image_grid_pinpoints", "transformers_version", "projector_hidden_act", "vision_feature_layer",
        "vision_feature_select_strategy", "image_token_index",
    )  # fmt: skip
    towers = {"google/siglip-so400m-patch14-384": {"model_type": "siglip_vision_model", **llava_onevision.SIGLIP}}

    text_config: Annotated[ConfigSchema, nested("qwen2", "llava", "llava_qwen"), DEFAULT]
    vision_config: Annotated[TowerSchema, nested("siglip_vision_model"), DEFAULT]
    mm_hidden_size: Size = 1152

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        yield Tensor("image_newline", (hidden,), "embedding")


class LlavaVid(Schema):
    """LLaVA-NeXT-Video in its first library's form: Llama with CLIP, whose patches of each frame are averaged.
    Source: SGLang 0.5.23, srt/models/llavavid.py (`LlavaVidForCausalLM`)."""

    inert_keys = (
        *_OWN, "mm_resampler_type", "mm_spatial_pool_mode", "mm_spatial_pool_stride", "mm_spatial_pool_out_channels", "num_frames",
        "mm_newline_position", "mm_tunable_parts", "mm_use_im_patch_token", "image_crop_resolution", "image_split_resolution",
        "mm_vision_tower_lr", "_name_or_path", "transformers_version", "patchify_video_feature", "unfreeze_mm_vision_tower",
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("llama", "llava"), DEFAULT]

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        if "unpad" in str((self.model_extra or {}).get("mm_patch_merge_type", "")):
            yield Tensor("image_newline", (hidden,), "embedding")
