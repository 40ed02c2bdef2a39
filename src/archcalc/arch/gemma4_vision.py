"""The vision tower of Gemma 4: a decoder's layers over patches, positions from two tables, patches pooled behind the last layer.

Source: transformers 5.23, models/gemma4/modeling_gemma4.py (`Gemma4VisionModel`) and configuration_gemma4.py (defaults).
"""

from pydantic import Field

from archcalc.arch._decoder import group, join
from archcalc.arch._encoder import encoder, stated
from archcalc.arch._gemma4 import clippable
from archcalc.arch._schema import Flag, Layers, Size, TowerSchema
from archcalc.arch.gemma2 import NORMS
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.feedforward import GatedFeedForward
from archcalc.blocks.norm import rms_norm
from archcalc.blocks.vision import encoder_layer
from archcalc.model import Encoder, Group, Layer, Stack, Tensor, stack


class Schema(TowerSchema):
    # Pooling and its sizes weigh nothing.
    inert_keys = ("attention_bias", "default_output_length", "global_head_dim", "pooling_kernel_size")

    hidden_size: Size = 768
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 16
    num_attention_heads: Size = 12
    num_key_value_heads: Size = 12
    head_dim: Size = 64
    hidden_act: str = Field("gelu_pytorch_tanh", validation_alias="hidden_activation")
    patch_size: Size = 16
    position_embedding_size: Size = 10 * 1024
    use_clipped_linears: Flag = False
    standardize: Flag = False

    @property
    def output_width(self) -> int:
        return self.hidden_size

    def layer(self) -> Layer:
        h, heads, kv_heads = self.hidden_size, self.num_attention_heads, self.num_key_value_heads
        # The two need not divide: configs that leave `num_key_value_heads` out get the class's 12 beside any number of heads.
        attention = GroupedQueryAttention(h, heads, kv_heads, self.head_dim, qk_norm="head")
        ffn = GatedFeedForward(h, self.intermediate_size, self.hidden_act)
        layer = encoder_layer(attention, ffn, (rms_norm(norm, h) for norm in NORMS))
        return layer._replace(tensors=tuple(clippable(layer.tensors, self.use_clipped_linears)))

    def tower(self, prefix: str) -> tuple[list[Group], list[Stack]]:
        h = self.hidden_size
        outside = [
            *linear("patch_embedder.input_proj", h, 3 * self.patch_size**2, "embedding"),
            Tensor("patch_embedder.position_embedding_table", (2, self.position_embedding_size, h), "embedding"),
        ]
        if self.standardize:
            outside += (Tensor(name, (h,), "norm", kind="copy") for name in ("std_bias", "std_scale"))
        layers = stack(join(prefix, "encoder.layers"), "vision", [self.layer()] * self.num_hidden_layers)
        return [group("vision", prefixed(prefix, outside))], [layers]

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of the tokens that the config states, and a video of smaller frames."""
        pool, pixels = stated(self, "pooling_kernel_size", 3) ** 2, 3 * self.patch_size**2
        tokens = stated(self, "default_output_length", 280)
        # Images and frames came one by one, and come in batches by the size of a table of 10,240 positions since.
        source, batch = "the config's default_output_length and pooling_kernel_size", 4 * 8 * 10 * 1024
        image = encoder(self, tokens * pool, tokens, pixels, source, chunk=tokens * pool, row_bytes=batch, rotated=True)
        # 32 frames of 70 tokens, each with its time and two marks, 8 tokens more.
        source = "vLLM 0.33, models/gemma4_mm.py `_VIDEO_MAX_FRAMES`, `_VIDEO_MAX_SOFT_TOKENS`, `_encoder_chunk`"
        video = image._replace(modality="video", patches=32 * 70 * pool, tokens=32 * 78, chunk=70 * pool, source=source)
        return (image, video)
