"""SigLIP 2 for images of any shape: patches read by a linear layer, positions stretched over the image.

Source: transformers 5.23, models/siglip2/modeling_siglip2.py (`Siglip2VisionModel`) and configuration_siglip2.py (defaults).
"""

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Pieces, both
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Layers, Size
from archcalc.model import Encoder, Group, Tensor


class Schema(siglip_vision_model.Schema):
    num_patches: Size = 256

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        patch, h = both(self.patch_size), self.hidden_size
        shapes = {
            f"{prefix}.embeddings.patch_embedding.weight": (h, self.num_channels * patch[0] * patch[1]),
            f"{prefix}.embeddings.position_embedding.weight": (self.num_patches, h),
        }

        def reshaped(t: Tensor) -> Tensor:
            return t._replace(shape=shapes.get(t.name, t.shape))

        return [Group(g.part, tuple(map(reshaped, g.tensors))) for g in groups], stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """An image of as many patches as the processor makes."""
        source = "transformers 5.24, models/siglip2/image_processing_siglip2.py `max_num_patches`"
        return within(self, 256, 1, source)


class Cosmos3EdgeVision(Schema):
    """The vision tower of Cosmos3 Edge: SigLIP 2 without its head.
    Source: transformers 5.23, models/cosmos3_edge/modeling_cosmos3_edge.py (`Cosmos3EdgeVisionModel`) and
    configuration_cosmos3_edge.py (defaults)."""

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    spatial_merge_size: Size = 2

    def pooled(self) -> bool:
        return False

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(4096**2, both(self.patch_size)[0], self.spatial_merge_size)
        source = "transformers 5.24, models/cosmos3_edge/image_processing_cosmos3_edge.py `size`"
        return within(self, most, self.spatial_merge_size, source)
