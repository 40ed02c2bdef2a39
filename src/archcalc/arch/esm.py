"""ESM-1b and ESM-2: a BERT of proteins with norms before attention and FFN, rotary positions, and a head for contacts.

Source: transformers 5.23, models/esm/modeling_esm.py (`EsmForMaskedLM`) and configuration_esm.py (defaults); Lin et al. 2023,
doi:10.1126/science.ade2574.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from archcalc.arch import roberta
from archcalc.arch._schema import Flag, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.errors import UnsupportedError
from archcalc.model import LEARNED, ROPE, Shard, Tensor


class Schema(roberta.Schema):
    keeps_past = False
    inert_keys = (
        *(key for key in roberta.Schema.inert_keys if key != "position_embedding_type"), "vocab_list", "esmfold_config",
        "emb_layer_norm_after",
    )  # fmt: skip
    root = "esm"
    attention_norm = "LayerNorm"
    ffn_norm = "LayerNorm"
    norm_label = "LayerNorm (pre)"

    vocab_size: Size = 33
    max_position_embeddings: Size = 1026
    position_embedding_type: str | None = "absolute"
    emb_layer_norm_before: Flag | None = None
    is_folding_model: Flag = False

    def rotary(self) -> bool:
        return self.position_embedding_type == "rotary"

    def tables(self) -> Iterator[Tensor]:
        if self.is_folding_model:
            raise UnsupportedError("is_folding_model is true: ESM as a language model is known here, ESMFold is not")
        if self.emb_layer_norm_before:
            yield from layer_norm("layer_norm", self.hidden_size)
        if self.position_embedding_type == "absolute":
            yield table("position_embeddings", self.max_position_embeddings, self.hidden_size)

    def extra_tensors(self) -> Iterable[Tensor]:
        yield from layer_norm("encoder.emb_layer_norm_after", self.hidden_size)
        yield from linear("contact_head.regression", 1, self.num_hidden_layers * self.num_attention_heads, "other", bias=True)

    def matrix(self, name: str, width: int) -> Iterator[Tensor]:
        """Without a bias of its own."""
        yield Tensor(f"{name}.weight", (self.vocab_size, width), "head", Shard(0, self.vocab_size), kind=self.tied())

    def more(self) -> dict[str, Any]:
        return {"position": ROPE if self.rotary() else LEARNED}
