"""ColPali: PaliGemma without its head; a projection makes a short vector of each token, for search.

Source: transformers 5.23, models/colpali/modeling_colpali.py and configuration_colpali.py (defaults).
"""

from typing import Annotated

from archcalc.arch._composite import DEFAULT
from archcalc.arch._decoder import group, join
from archcalc.arch._schema import ConfigSchema, Size, nested
from archcalc.blocks._tensor import linear
from archcalc.model import Architecture


class Schema(ConfigSchema):
    prefix = ""
    inert_keys = ("tie_word_embeddings",)

    vlm_config: Annotated[ConfigSchema, nested("paligemma"), DEFAULT]
    embedding_dim: Size = 128

    def architecture(self, prefix: str) -> Architecture:
        a = self.vlm_config.architecture(join(prefix, "vlm"))
        head = group(
            "head", linear(join(prefix, "embedding_proj_layer"), self.embedding_dim, a.facts.hidden_size, "head", bias=True)
        )
        facts = a.facts._replace(tied_embeddings=False, more=(*a.facts.more, ("head", f"vectors of {self.embedding_dim}")))
        body = tuple(g for g in a.groups if g.part not in ("head", "mtp"))
        return a._replace(groups=(*body, head), facts=facts, renames=())


class Colmodernvbert(Schema):
    """ColModernVBERT: ModernVBERT without its head; a projection makes a short vector of each token, for search.
    Source: transformers 5.23, models/colmodernvbert/modeling_colmodernvbert.py and configuration_colmodernvbert.py (defaults).
    """

    vlm_config: Annotated[ConfigSchema, nested("modernvbert"), DEFAULT]


class Colqwen2(Schema):
    """ColQwen2: Qwen2-VL without its head; a projection makes a short vector of each token, for search.
    Source: transformers 5.23, models/colqwen2/modeling_colqwen2.py and configuration_colqwen2.py (defaults)."""

    vlm_config: Annotated[ConfigSchema, nested("qwen2_vl"), DEFAULT]
