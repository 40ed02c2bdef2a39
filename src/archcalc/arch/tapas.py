"""TAPAS: BERT with tables for where a word stands in a table.

Source: transformers 5.24, models/tapas/modeling_tapas.py (`TapasForMaskedLM`) and configuration_tapas.py (defaults).
"""

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import Field

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import LEARNED, Tensor


class Schema(BertSchema):
    inert_keys = (
        *BertSchema.inert_keys, "aggregation_labels", "aggregation_temperature", "allow_empty_column_selection",
        "average_approximation_function", "average_logits_per_cell", "cell_selection_preference", "max_num_columns",
        "max_num_rows", "no_aggregation_label_index", "num_aggregation_labels", "positive_label_weight",
        "reset_position_index_per_cell", "select_one_column", "use_answer_as_supervision", "use_gumbel_for_aggregation",
        "use_gumbel_for_cells", "softmax_temperature",
    )  # fmt: skip
    root = "tapas"

    max_position_embeddings: Size = 1024
    type_vocab_sizes: Annotated[tuple[Size, ...], Field(min_length=1)] = (3, 256, 256, 2, 256, 256, 10)

    def tables(self) -> Iterator[Tensor]:
        width = self.hidden_size
        yield table("position_embeddings", self.max_position_embeddings, width)
        for i, rows in enumerate(self.type_vocab_sizes):
            yield table(f"token_type_embeddings_{i}", rows, width)
        yield from layer_norm("LayerNorm", width)

    def more(self) -> dict[str, Any]:
        return {"position": LEARNED.also(", in the text and in the table")}
