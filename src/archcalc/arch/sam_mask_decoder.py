"""The mask decoder of SAM: a few tokens and the image attend to each other, and small networks draw masks.

Source: transformers 5.24, models/sam/modeling_sam.py (`SamMaskDecoder`, `SamTwoWayTransformer`) and configuration_sam.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from archcalc.arch._schema import ConfigSchema, Layers, Size, divided
from archcalc.arch._whisper import conv
from archcalc.arch.clip import transposed
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Layer, Tensor


class Schema(ConfigSchema):
    language = False
    inert_keys: ClassVar[tuple[str, ...]] = ()

    hidden_size: Size = 256
    mlp_dim: Size = 2048
    num_hidden_layers: Layers = 2
    num_attention_heads: Size = 8
    attention_downsample_rate: Size = 2
    num_multimask_outputs: Layers = 3
    iou_head_depth: Layers = 3
    iou_head_hidden_dim: Size = 256

    def attention(self, name: str, rate: int) -> Iterator[Tensor]:
        h, inner = self.hidden_size, self.hidden_size // rate
        divided(inner, self.num_attention_heads, "hidden_size / attention_downsample_rate", "num_attention_heads")
        for side in ("q_proj", "k_proj", "v_proj"):
            yield from linear(f"{name}.{side}", inner, h, "attention", bias=True)
        yield from linear(f"{name}.out_proj", h, inner, "attention", bias=True)

    def crossing(self) -> int:
        """How much narrower a layer's cross-attention is: two, whatever the config says, whose number is the last attention's."""
        return 2

    def layer(self) -> Layer:
        h, width, rate = self.hidden_size, self.mlp_dim, self.crossing()
        tensors = (
            *self.attention("self_attn", 1), *self.attention("cross_attn_token_to_image", rate),
            *self.attention("cross_attn_image_to_token", rate), *linear("mlp.lin1", width, h, "mlp", bias=True),
            *linear("mlp.lin2", h, width, "mlp", bias=True), *(t for i in (1, 2, 3, 4) for t in layer_norm(f"layer_norm{i}", h)),
        )  # fmt: skip
        return Layer(f"MHA both ways ({self.num_attention_heads})", f"FFN {width}", tensors, (), (), 0, 4 * h, 2 * width)

    def network(self, name: str, depth: int, inside: int, out: int) -> Iterator[Tensor]:
        yield from linear(f"{name}.proj_in", inside, self.hidden_size, "head", bias=True)
        yield from linear(f"{name}.proj_out", out, inside, "head", bias=True)
        for i in range(depth - 2):
            yield from linear(f"{name}.layers.{i}", inside, inside, "head", bias=True)

    def outside(self) -> Iterator[Tensor]:
        h, masks = self.hidden_size, self.num_multimask_outputs + 1
        yield table("iou_token", 1, h)
        yield table("mask_tokens", masks, h)
        yield from self.attention("transformer.final_attn_token_to_image", self.attention_downsample_rate)
        yield from layer_norm("transformer.layer_norm_final_attn", h)
        yield from transposed("upscale_conv1", h, h // 4, 2)
        yield from transposed("upscale_conv2", h // 4, h // 8, 2)
        yield from layer_norm("upscale_layer_norm", h // 4)
        for i in range(masks):
            yield from self.network(f"output_hypernetworks_mlps.{i}", 3, h, h // 8)
        yield from self.network("iou_prediction_head", self.iou_head_depth, self.iou_head_hidden_dim, masks)


Sizes = Annotated[tuple[Size, ...], Field(min_length=1)]

RENAMED = (("out_proj.", "o_proj."), ("mlp.lin1.", "mlp.proj_in."), ("mlp.lin2.", "mlp.proj_out."))


def renamed(t: Tensor) -> Tensor:
    name = t.name
    for old, new in RENAMED:
        name = name.replace(old, new)
    return t._replace(name=name)


class Sam2MaskDecoder(Schema):
    """SAM's decoder with a token that says whether there is anything, and finer features beside.
    Source: transformers 5.24, models/sam2/modeling_sam2.py (`Sam2MaskDecoder`) and configuration_sam2.py (defaults)."""

    inert_keys = (
        "dynamic_multimask_via_stability", "dynamic_multimask_stability_delta", "dynamic_multimask_stability_thresh",
    )  # fmt: skip

    def outside(self) -> Iterator[Tensor]:
        h = self.hidden_size
        yield from map(renamed, super().outside())
        yield from conv("conv_s0", h // 8, h, 1, 1, role="other")
        yield from conv("conv_s1", h // 4, h, 1, 1, role="other")
        yield table("obj_score_token", 1, h)
        yield from self.network("pred_obj_score_head", 3, h, 1)

    def crossing(self) -> int:
        return self.attention_downsample_rate

    def layer(self) -> Layer:
        layer, hidden = super().layer(), self.mlp_dim
        # The FFN has as many matrices as the decoder has layers.
        deeper = (t for i in range(self.num_hidden_layers - 2) for t in linear(f"mlp.layers.{i}", hidden, hidden, "mlp", bias=True))
        return layer._replace(tensors=(*map(renamed, layer.tensors), *deeper))
