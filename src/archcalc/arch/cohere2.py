"""Command A and Command R7B: three layers with a window and rotary positions, then one that sees all and has no positions.

Source: transformers 5.23, models/cohere2/modeling_cohere2.py and configuration_cohere2.py (defaults, `layer_types`).
"""

from typing import ClassVar

from archcalc.arch._alternating import FULL
from archcalc.arch._cohere import CohereSchema
from archcalc.arch._plain import WindowedSchema
from archcalc.arch._schema import Size, Tokens


class Schema(CohereSchema, WindowedSchema):
    inert_keys: ClassVar[tuple[str, ...]] = (
        "layer_switch", "order_of_interleaved_layers", "position_embedding_type", "rotary_pct", "use_embedding_sharing",
        "use_gated_activation", "use_parallel_block", "use_parallel_embedding", "use_qk_norm",
    )  # fmt: skip
    bare = True

    sliding_window: Tokens | None = 4096
    sliding_window_pattern: Size = 4

    def period(self) -> int:
        return self.sliding_window_pattern


class CohereCompassText(Schema):
    """The text model of Cohere Compass: Cohere 2's layers, all of which see everything unless `layer_types` says otherwise.
    Source: transformers 5.23, models/cohere_compass/modeling_cohere_compass.py and configuration_cohere_compass.py (defaults).
    """

    inert_keys = (*Schema.inert_keys, "pooling")
    bare = False

    def kinds(self) -> list[str]:
        return self.layer_types or [FULL] * self.num_hidden_layers
