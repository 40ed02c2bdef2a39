"""DeepSeek-OCR: SAM, then CLIP on what SAM made, and a small text model with experts, whose keys stand beside the others.

Source: deepseek-ai/DeepSeek-OCR, modeling_deepseekocr.py and deepencoder.py (both towers' sizes are fixed there).
"""

from typing import Annotated, Any

from archcalc.arch import _sam, deepseek
from archcalc.arch._decoder import group, join, with_tower
from archcalc.arch._encoder import through
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.arch._vlm import flat
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import encoder_layer, patch_conv, table
from archcalc.errors import ConfigError, UnsupportedError, json_text
from archcalc.model import Architecture, Encoder, Layer, Tensor, stack

OWN = (
    "vision_config", "projector_config", "language_config", "candidate_resolutions", "global_view_pos", "tile_tag", "lm_head",
    "rm_head", "model_type", "auto_map", "quantization_config", "kv_lora_rank", "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
    "v_head_dim", "use_mla", "aux_loss_alpha",
)  # fmt: skip
APART = frozenset(
    {"architectures", "auto_map", "model_type", "torch_dtype", "dtype", "quantization_config", "transformers_version"}
)
WIDTH, HEADS, LAYERS, PATCHES = 1024, 16, 24, 256  # CLIP ViT-L/14 at 224 pixels


class Projector(ConfigSchema):
    input_dim: Size = 2048
    n_embed: Size = 1280
    projector_type: str = "linear"


def clip_block() -> Layer:
    attention = GroupedQueryAttention(
        WIDTH, HEADS, HEADS, WIDTH // HEADS, bias=True, output_bias=True, fused="qkv_proj", names=("", "", "", "out_proj")
    )
    norms = (*layer_norm("layer_norm1", WIDTH), *layer_norm("layer_norm2", WIDTH))
    return encoder_layer(attention, FeedForward(WIDTH, 4 * WIDTH, "quick_gelu"), norms)


class Schema(ConfigSchema):
    name = "DeepseekOCR"
    core_keys = ("vision_config", "projector_config", "hidden_size")
    inert_keys = OWN

    text_config: Annotated[deepseek.Schema, nested("deepseek")]
    projector_config: Projector
    use_mla: bool | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        inner = config.get("language_config")
        for key, value in inner.items() if isinstance(inner, dict) else ():
            # The publisher's code reads the outer keys, vLLM 0.33, transformers_utils/configs/deepseek_vl2.py, the inner ones.
            if key not in APART and key in config and config[key] != value:
                told = f"{key} is {json_text(config[key])}, and language_config.{key} is {json_text(value)}"
                raise ConfigError(f"{told}: the publisher's code reads the first, vLLM the second", "state both alike", key)
        return flat({**(inner if isinstance(inner, dict) else {}), **config}, OWN, model_type="deepseek")

    def architecture(self, prefix: str) -> Architecture:
        if self.projector_config.projector_type != "linear" or self.use_mla:
            raise UnsupportedError("a projector other than linear, or use_mla, is not known for DeepSeek-OCR")
        text = self.text_config.architecture(prefix)
        groups, stacks = _sam.tower(join(prefix, "sam_model"), 768, 12, 12, (2, 5, 8, 11), (512, 1024))
        clip = (
            Tensor("embeddings.class_embedding", (WIDTH,), "embedding"),
            *patch_conv("embeddings.patch_embedding", WIDTH, 3, 14, 14, bias=False),
            table("embeddings.position_embedding", PATCHES + 1, WIDTH),
            *layer_norm("pre_layrnorm", WIDTH),
        )
        width = self.projector_config.n_embed
        last = (
            *prefixed("vision_model", clip),
            *linear("projector.layers", width, self.projector_config.input_dim, "other", bias=True),
            Tensor("image_newline", (width,), "embedding"),
            Tensor("view_seperator", (width,), "embedding"),
        )
        groups.append(group("vision", prefixed(prefix, last)))
        stacks.append(stack(join(prefix, "vision_model.transformer.layers"), "vision", [clip_block()] * LAYERS))
        return with_tower(text, groups, stacks)

    def encoders(self) -> tuple[Encoder, ...]:
        """The whole image at 1,024 pixels and six crops at 640, through SAM and then, 16 patches merged, through CLIP."""
        source = "vLLM 0.33, transformers_utils/processors/deepseek_ocr.py `BASE_SIZE`, `IMAGE_SIZE`, `MAX_CROPS`"
        whole, crop = 64**2, 40**2
        # Rows of 16 and, of 2 x 3 crops, of 20, each with a mark for its end, and one between the two.
        tokens = 16 * 17 + 30 * 21 + 1
        # What distances add to the scores is a matrix of all patches; images come one by one.
        bias = 12 * max(whole**2, 6 * crop**2)
        sam = through(
            _sam.tower("", 768, 12, 12, (2, 5, 8, 11), (512, 1024))[1][0].kinds, whole + 6 * crop, tokens, 3 * 16**2, source
        )
        clip = through([clip_block()], (whole + 6 * crop) // 16, tokens, 0, source)
        return (sam._replace(chunk=6 * crop, bias=bias), clip)
