"""BERT.

Source: transformers 5.23, models/bert/modeling_bert.py and configuration_bert.py (defaults).
"""

from collections.abc import Iterator

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Flag, Size
from archcalc.blocks.vision import table
from archcalc.model import Tensor


class Schema(BertSchema):
    root = "bert"


class Ernie(Schema):
    """ERNIE 1 to 3: BERT, with a table of tasks if asked for.
    Source: transformers 5.23, models/ernie/modeling_ernie.py and configuration_ernie.py (defaults)."""

    root = "ernie"

    task_type_vocab_size: Size = 3
    use_task_id: Flag = False

    def tables(self) -> Iterator[Tensor]:
        yield from super().tables()
        if self.use_task_id:
            yield table("task_type_embeddings", self.task_type_vocab_size, self.hidden_size)
