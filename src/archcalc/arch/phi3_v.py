"""Phi-3 and Phi-3.5 vision: Phi-3 mini with CLIP, four patches to a token, and learned separators of rows and images.

Source: vLLM 0.33, models/phi3v.py (`Phi3HDImageEmbedding`, `CLIP_VIT_LARGE_PATCH14_336_CONFIG`); microsoft/Phi-3-vision-128k-instruct,
image_embedding_phi3_v.py and config.json.
"""

from collections.abc import Iterable
from typing import Annotated, Any

from archcalc.arch import llava
from archcalc.arch._composite import DEFAULT, VisionSchema
from archcalc.arch._schema import ConfigSchema, Flag, Size, nested
from archcalc.arch._vlm import flat
from archcalc.arch.clip_vision_model import Schema as Clip
from archcalc.blocks.vision import projector
from archcalc.errors import UnsupportedError, json_text
from archcalc.model import Tensor

_OWN = ("model_type", "architectures", "auto_map", "dtype", "torch_dtype", "img_processor", "embd_layer", "_name_or_path")
TOWER = "openai/clip-vit-large-patch14-336"


class ImageProcessor(ConfigSchema):
    language = False
    inert_keys = ("name", "layer_idx", "type_feature", "num_img_tokens")

    image_dim_out: Size = 1024
    model_name: str = TOWER


class Embedding(ConfigSchema):
    language = False
    inert_keys = ("embedding_cls", "hd_transform_order", "image_embd_layer")

    projection_cls: str = "mlp"
    use_hd_transform: Flag = False
    with_learnable_separator: Flag = False


class Schema(VisionSchema):
    core_keys = ("hidden_size", "img_processor", "embd_layer")
    tower_name = "vision_embed_tokens.img_processor.vision_model"
    projector_name = "vision_embed_tokens"
    renames = (("model.language_model.", "model."),)
    ties = "outer or text"

    text_config: Annotated[ConfigSchema, nested("phi3", "phi3_v"), DEFAULT]
    vision_config: Annotated[Clip, nested("clip_vision_model", fixed=True, absent=llava.CLIP), DEFAULT]
    img_processor: ImageProcessor
    embd_layer: Embedding
    tie_word_embeddings: Flag | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        return flat(config, _OWN)

    def projection(self, width: int, hidden: int) -> Iterable[Tensor]:
        if self.img_processor.model_name != TOWER or self.img_processor.image_dim_out != width:
            raise UnsupportedError(
                f"img_processor.model_name is {json_text(self.img_processor.model_name)}: only {TOWER} is known here"
            )
        given = self.embd_layer
        if given.projection_cls != "mlp" or not given.use_hd_transform or not given.with_learnable_separator:
            raise UnsupportedError(
                "embd_layer is not that of the published models: an MLP with hd_transform and learned separators"
            )
        joined = 4 * width
        yield from projector(("img_projection.0", "img_projection.2"), (joined, hidden, hidden))
        yield Tensor("glb_GN", (1, 1, joined), "embedding")
        yield Tensor("sub_GN", (1, 1, 1, joined), "embedding")
