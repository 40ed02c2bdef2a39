"""What writes the further codes of a sound in Qwen3-Omni: Qwen 3's layers, with a table and a head for each of them.

Source: transformers 5.24, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py (`Qwen3OmniMoeTalkerCodePredictorModelForConditionalGeneration`)
and configuration_qwen3_omni_moe.py (defaults, `layer_types`).
"""

from archcalc.arch import qwen3
from archcalc.arch._decoder import group
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Architecture


class Schema(qwen3.Schema):
    vocab_size: Size = 2048
    hidden_size: Size = 1024
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 5
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 8
    sliding_window: Size | None = None
    num_code_groups: Layers = 32

    @property
    def windowed(self) -> bool:
        """The class has no `use_sliding_window`: a window holds wherever it is stated."""
        return True

    def architecture(self, prefix: str) -> Architecture:
        a, h, v, codes = super().architecture(prefix), self.hidden_size, self.vocab_size, range(self.num_code_groups - 1)
        root = prefix.removesuffix("model")
        return a._replace(
            groups=(
                group("embedding", (table(f"{prefix}.codec_embedding.{i}", v, h) for i in codes)),
                *(g for g in a.groups if g.part not in ("embedding", "head")),
                group("head", (t for i in codes for t in linear(f"{root}lm_head.{i}", v, h, "head"))),
            ),
            facts=a.facts._replace(tied_embeddings=False),
        )  # fmt: skip
