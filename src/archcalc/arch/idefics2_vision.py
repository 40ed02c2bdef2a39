"""The vision tower of Idefics 2: SigLIP without its head.

Source: transformers 5.23, models/idefics2/modeling_idefics2.py (`Idefics2VisionTransformer`) and configuration_idefics2.py (defaults).
"""

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch import siglip_vision_model
from archcalc.arch._composite import Pieces, Sides, both
from archcalc.arch._decoder import group
from archcalc.arch._encoder import area, within
from archcalc.arch._schema import Flag, Layers, Size
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import projector
from archcalc.model import Encoder, Group, Tensor


class Schema(siglip_vision_model.Schema):
    # Published configs copy SigLIP's.
    inert_keys: ClassVar[tuple[str, ...]] = ("projection_dim", "size", "max_image_size", "use_base_siglip")

    patch_size: Sides = 32

    def pooled(self) -> bool:
        return False


class VideoLlama3Vision(Schema):
    """The vision tower of VideoLLaMA 3: SigLIP's layers with rotary positions alone.
    Source: transformers 5.23, models/video_llama_3/modeling_video_llama_3.py (`VideoLlama3VisionModel`) and
    configuration_video_llama_3.py (defaults)."""

    patch_size: Sides = 16

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        kept = [Group(g.part, tuple(t for t in g.tensors if not t.name.endswith(".position_embedding.weight"))) for g in groups]
        return kept, stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it; only those of videos are merged."""
        source = "transformers 5.24, models/video_llama_3/image_processing_video_llama_3.py `size`, `merge_size`"
        return within(self, area(28**2 * 1280, both(self.patch_size)[0], 1), 1, source, rotated=True)


class Idefics3Vision(Schema):
    """The vision tower of Idefics 3: SigLIP without its head.
    Source: transformers 5.23, models/idefics3/modeling_idefics3.py (`Idefics3VisionTransformer`) and configuration_idefics3.py
    (defaults)."""

    hidden_size: Size = 1152
    num_attention_heads: Size = 16


class PaddleocrVlVision(Schema):
    """The vision tower of PaddleOCR-VL: SigLIP without its head, with rotary positions besides the learned ones.
    Source: transformers 5.23, models/paddleocr_vl/modeling_paddleocr_vl.py (`PaddleOCRVisionModel`) and
    configuration_paddleocr_vl.py (defaults)."""

    inert_keys = (*Schema.inert_keys, "tokens_per_second", "temporal_patch_size")

    hidden_size: Size = 1152
    intermediate_size: Size = 4304
    num_hidden_layers: Layers = 27
    num_attention_heads: Size = 16
    image_size: Sides = 384
    patch_size: Sides = 14
    spatial_merge_size: Size = 2

    def tower(self, prefix: str) -> Pieces:
        return super().tower(f"{prefix}.vision_model")

    def encoders(self) -> tuple[Encoder, ...]:
        """An image as large as the processor leaves it."""
        most = area(1536**2, both(self.patch_size)[0], self.spatial_merge_size)
        source = "transformers 5.24, models/paddleocr_vl/image_processing_paddleocr_vl.py `size`"
        return within(self, most, self.spatial_merge_size, source, rotated=True)


class GraniteDoclingVision(Schema):
    """The vision tower of Granite Docling: SigLIP without its head, and a connector with a coarse and a fine path.
    Source: transformers 5.23, models/granite_docling/modeling_granite_docling.py (`GraniteDoclingVisionModel`) and
    configuration_granite_docling.py (defaults)."""

    image_size: Sides = 512
    patch_size: Sides = 16
    out_hidden_size: Size = 1024
    scale_factor: Size = 4
    deepstack_visual_indexes: list[int] | None = None
    use_fine_route: Flag = True

    def path(self, factor: int) -> Iterator[Tensor]:
        """Merged patches, and those of the layers in between, into the text model's width."""
        merged, out = self.hidden_size * factor**2, self.out_hidden_size
        yield from linear("projection", out, merged, "other")
        for i in range(3 if self.deepstack_visual_indexes is None else len(self.deepstack_visual_indexes)):
            yield from layer_norm(f"deepstack_mergers.{i}.layer_norm", merged)
            yield from projector((f"deepstack_mergers.{i}.linear_1", f"deepstack_mergers.{i}.linear_2"), (merged, out, out))

    def connector(self) -> Iterator[Tensor]:
        out = self.out_hidden_size
        yield from layer_norm("ln_in", self.hidden_size)
        yield from prefixed("coarse", self.path(self.scale_factor))
        if self.use_fine_route:
            yield from prefixed("fine", self.path(self.scale_factor // 2))
        yield from layer_norm("ln_mid", out)
        yield from linear("mlp_fc2", out, out, "other")
        yield from layer_norm("ln_out", out)

    def tower(self, prefix: str) -> Pieces:
        groups, stacks = super().tower(prefix)
        return [*groups, group("vision", prefixed(f"{prefix}.connector", self.connector()))], stacks
