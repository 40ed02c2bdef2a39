"""DPT: a ViT whose layers a neck brings to four sizes and adds up, and a head that gives depth or labels for each pixel.

Source: transformers 5.24, models/dpt/modeling_dpt.py (`DPTModel`, `DPTForDepthEstimation`, `DPTForSemanticSegmentation`) and
configuration_dpt.py (defaults; a hybrid reads BiT's features); Ranftl et al. 2021, arXiv:2103.13413.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from archcalc.arch._composite import Pieces, Sides
from archcalc.arch._decoder import group, join
from archcalc.arch._dpt import labelling, reassembled, residual
from archcalc.arch._heads import labels_of
from archcalc.arch._schema import Flag, Size, TowerSchema, nested, per_layer
from archcalc.arch._vit import ViTSchema, as_backbone, bert_named
from archcalc.arch._whisper import conv
from archcalc.blocks._tensor import linear, prefixed
from archcalc.errors import ConfigError
from archcalc.model import Layer, Tensor

BIT = {"model_type": "bit", "global_padding": "same", "layer_type": "bottleneck", "depths": [3, 4, 9],
       "out_features": ["stage1", "stage2", "stage3"], "embedding_dynamic_padding": True}  # fmt: skip


class Schema(ViTSchema):
    outcome = "picture"
    inert_keys = (
        *ViTSchema.inert_keys, "backbone_out_indices", "head_in_index", "neck_ignore_stages", "auxiliary_loss_weight",
        "semantic_loss_ignore_index", "use_auxiliary_loss", "use_timm_backbone", "use_pretrained_backbone", "backbone_kwargs", "backbone",
    )  # fmt: skip
    root = "dpt"
    layers_name = "encoder.layer"

    image_size: Sides = 384
    is_hybrid: Flag = False
    backbone_config: Annotated[TowerSchema | None, nested("bit", optional=True)] = None
    backbone_featmap_shape: tuple[int, ...] | None = None
    readout_type: Literal["ignore", "add", "project"] = "project"
    reassemble_factors: tuple[float, ...] = (4, 2, 1, 0.5)
    neck_hidden_sizes: tuple[Size, ...] = (96, 192, 384, 768)
    fusion_hidden_size: Size = 256
    use_batch_norm_in_fusion_residual: Flag | None = False
    use_bias_in_fusion_residual: Flag | None = None
    add_projection: Flag = False
    use_auxiliary_head: Flag | None = True
    pooler_output_size: Size | None = None

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        """A hybrid has a BiT of its own defaults; what older configs leave null where a backbone stands in the ViT's place has its own."""
        kept, stated = {key: value for key, value in config.items() if value is not None}, config.get("backbone_config")
        if config.get("is_hybrid"):
            kept["backbone_config"] = {**BIT, **(stated if isinstance(stated, dict) else {})}
        return kept

    @property
    def apart(self) -> bool:
        """Whether a backbone of another type stands in the ViT's place."""
        return self.backbone_config is not None and not self.is_hybrid

    def layer(self) -> Layer:
        return bert_named(self)

    def patches(self) -> Iterator[Tensor]:
        if not self.is_hybrid:
            yield from super().patches()
            return
        shape = self.backbone_featmap_shape or (1, 1024, 24, 24)
        if len(shape) < 2:
            raise ConfigError(f"backbone_featmap_shape is {list(shape)}", "as in [1, 1024, 24, 24]", "backbone_featmap_shape")
        yield from conv("embeddings.projection", self.hidden_size, shape[1], 1, 1)

    def bare(self, named: str) -> bool:
        return not named.startswith("DPTFor")

    def behind(self, named: str) -> Iterator[Tensor]:
        yield from super().behind(named)
        if self.bare(named):
            yield from linear("pooler.dense", self.pooler_output_size or self.hidden_size, self.hidden_size, "other", bias=True)

    def body(self, prefix: str, named: str) -> Pieces:
        if self.apart and self.backbone_config is not None and named.endswith("ForDepthEstimation"):
            groups, stacks = as_backbone(self.backbone_config, "backbone")
        else:
            groups, stacks = super().body(prefix, named)
            if self.is_hybrid and self.backbone_config is not None:
                more, stages = as_backbone(self.backbone_config, join(prefix, "embeddings.backbone"))
                groups, stacks = [*groups, *more], [*stages, *stacks]
        if not self.bare(named):
            groups = [*groups, group("vision", prefixed("neck", self.neck()))]
        return groups, stacks

    def inner_width(self) -> int:
        """The width of what the neck reads."""
        return int(getattr(self.backbone_config, "hidden_size", 0)) if self.apart else self.hidden_size

    def neck(self) -> Iterator[Tensor]:
        n, inner_width, h = len(self.neck_hidden_sizes), self.fusion_hidden_size, self.inner_width()
        normed = bool(self.use_batch_norm_in_fusion_residual)
        staged = getattr(self.backbone_config, "name", "") == "swinv2" and self.apart
        factors = per_layer(self.reassemble_factors[:n], n, "reassemble_factors", "neck_hidden_sizes")
        for i, (size, factor) in enumerate(zip(self.neck_hidden_sizes, factors, strict=True)):
            if not staged and not (self.is_hybrid and i < 2):
                yield from reassembled("reassemble_stage", i, size, h, factor, readout=self.readout_type == "project")
            yield from conv(f"convs.{i}", inner_width, size, 3, 3, bias=False, role="other")
            yield from conv(f"fusion_stage.layers.{i}.projection", inner_width, inner_width, 1, 1, role="other")
            for unit in ("residual_layer1", "residual_layer2"):
                yield from residual(f"fusion_stage.layers.{i}.{unit}", inner_width, self.use_bias_in_fusion_residual, normed=normed)

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        inner_width = self.fusion_hidden_size
        if name.endswith("ForDepthEstimation"):
            sides = ((0, inner_width // 2, inner_width, 3), (2, 32, inner_width // 2, 3), (4, 1, 32, 1))
            head = [t for at, a, b, k in sides for t in conv(f"head.head.{at}", a, b, k, k, role="head")]
            return [*(conv("head.projection", 256, 256, 3, 3, role="head") if self.add_projection else ()), *head]
        if name.endswith("ForSemanticSegmentation"):
            names = ("head", "auxiliary_head") if self.use_auxiliary_head else ("head",)
            return [t for one in names for t in labelling(f"{one}.head", inner_width, labels_of(self.model_extra or {}))]
        return super().head_of(name)
