"""Granite 4 Vision: Granite with a ViT, of which several layers pass a Q-Former each into layers of the text model.

Source: transformers 5.23, models/granite4_vision/modeling_granite4_vision.py and configuration_granite4_vision.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated

from archcalc.arch._composite import DEFAULT, Pieces, VisionSchema
from archcalc.arch._decoder import group
from archcalc.arch._encoder import pinpoints, tiled
from archcalc.arch._schema import ConfigSchema, nested
from archcalc.arch.blip_2_qformer import Schema as Qformer
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import Architecture, Encoder, Tensor

QFORMER = {"num_hidden_layers": 1, "cross_attention_frequency": 1, "max_position_embeddings": 2048}


class Schema(VisionSchema):
    inert_keys = (
        "vision_feature_select_strategy", "vision_feature_layer", "image_grid_pinpoints", "image_seq_length",
        "spatial_vision_layer", "spatial_target_layers", "projector_dropout", "use_image_newline_parameter",
    )  # fmt: skip

    text_config: Annotated[ConfigSchema, nested("granite4_vision_text"), DEFAULT]
    qformer_config: Annotated[Qformer, nested("blip_2_qformer", absent=QFORMER), DEFAULT]
    # The reference has no default for either of the two, and cannot do without them.
    downsample_rate: str
    deepstack_layer_map: list[tuple[int, int]]

    def sides(self) -> tuple[int, int]:
        """How many queries wide a window is, and how many patches."""
        queries, _, patches = self.downsample_rate.partition("/")
        if not (queries.isdigit() and patches.isdigit()):
            raise ConfigError(f'downsample_rate is "{self.downsample_rate}"', 'write it as "4/8"', "downsample_rate")
        return int(queries), int(patches)

    def sampler(self, width: int, hidden: int) -> Iterator[Tensor]:
        queries, patches = self.sides()
        yield Tensor("query", (1, queries**2, width), "embedding")
        yield Tensor("image_positions", (1, patches**2, width), "embedding")
        yield from layer_norm("norm", width)
        yield from linear("out_linear", hidden, width, "other", bias=True)

    def parts(self, prefix: str, text: Architecture) -> Pieces:
        groups, stacks = super().parts(prefix, text)
        width, hidden = self.tower_width(), text.facts.hidden_size
        # As wide as the tower, whatever its own config says.
        sizes = {"hidden_size": width, "num_attention_heads": width // 64, "encoder_hidden_size": width}
        former = self.qformer_config.model_copy(update=sizes)
        groups.append(group("vision", (Tensor(f"{prefix}.image_newline", (hidden,), "embedding"),)))
        # One for each corner of a block of four patches, behind those of the layers.
        for kind, count in (("layerwise", len(self.deepstack_layer_map)), ("spatial", 4)):
            for i in range(count):
                root = f"{prefix}.{kind}_projectors.{i}"
                own, layers = former.tower(f"{root}.qformer")
                groups += (*own, group("vision", prefixed(root, self.sampler(width, hidden))))
                stacks += layers
        return groups, stacks

    def encoders(self) -> tuple[Encoder, ...]:
        """Tiles of the largest shape of the config's list, and the whole image."""
        queries, patches = self.sides()
        images = super().encoders()
        each = tuple(
            e._replace(tokens=max(e.patches * queries**2 // max(patches, 1) ** 2, 1)) for e in images if e.modality == "image"
        )
        tiles = pinpoints(self, 336, 672 * 672)
        return tiled(each, tiles + 1, None, "the config's image_grid_pinpoints, and the overview")
