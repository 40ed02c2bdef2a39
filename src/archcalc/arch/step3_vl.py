"""Step 3 with vision: a ViT that pads its class token, two strided convolutions and one linear layer before the text model.

Source: vLLM 0.33, models/step3_vl.py (`Step3VisionTransformer`, `Step3VLForConditionalGeneration`) and
transformers_utils/configs/step3_vl.py (defaults); SGLang 0.5.23, srt/models/step3_vl.py.
"""

from collections.abc import Iterable
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Flag, Layers, Size, TowerSchema, nested
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.vision import clip_layer, grid, patch_conv, table
from archcalc.model import Tensor, stack


class Step3VisionEncoder(TowerSchema):
    """The vision tower of Step 3: CLIP's layers over patches and a class token, without norms outside them.
    Source: vLLM 0.33, models/step3_vl.py (`Step3VisionTransformer`) and transformers_utils/configs/step3_vl.py (defaults)."""

    hidden_size: Size = 1792
    intermediate_size: Size = 3072
    output_hidden_size: Size = 4096
    num_hidden_layers: Layers = 63
    num_attention_heads: Size = 16
    num_channels: Size = 3
    image_size: Size = 728
    patch_size: Size = 14
    hidden_act: str = "quick_gelu"

    def tower(self, prefix: str) -> Pieces:
        h, p = self.hidden_size, self.patch_size
        outside = (
            Tensor("embeddings.class_embedding", (1, h), "embedding"),
            *patch_conv("embeddings.patch_embedding", h, self.num_channels, p, p),
            table("embeddings.position_embedding", grid(self.image_size, p) + 1, h),
        )
        layer = clip_layer(h, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        layers = stack(join(prefix, "transformer.layers"), "vision", [layer] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]


class Schema(VisionSchema):
    core_keys = ("text_config", "vision_config")
    inert_keys = (
        "understand_projector_stride", "image_token_id", "image_token_len", "patch_token_len", "hidden_size", "vocab_size",
    )  # fmt: skip
    tower_name = "vision_model"
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("step3_text"), DEFAULT]
    vision_config: Annotated[Step3VisionEncoder, nested("step3_vision_encoder", fixed=True), DEFAULT]
    projector_bias: Flag = True
    tie_word_embeddings: Flag | None = None

    def extra_tensors(self, hidden: int) -> Iterable[Tensor]:
        width = self.vision_config.output_hidden_size
        yield from patch_conv("vit_downsampler", width, self.vision_config.hidden_size, 2, 2)
        yield from patch_conv("vit_downsampler2", 2 * width, width, 3, 3)
        yield from linear("vit_large_projector", hidden, 2 * width, "other", bias=self.projector_bias)
