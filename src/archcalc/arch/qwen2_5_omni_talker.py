"""The talker of Qwen2.5-Omni: a small Qwen 2.5 that turns the thinker's states into codec tokens.

Source: transformers 5.23, models/qwen2_5_omni/modeling_qwen2_5_omni.py (`Qwen2_5OmniTalkerForConditionalGeneration`) and
configuration_qwen2_5_omni.py (defaults).
"""

from archcalc.arch import qwen2
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group
from archcalc.arch._schema import Layers, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.vision import table
from archcalc.model import Architecture


class Schema(qwen2.Schema):
    inert_keys = ("position_id_per_seconds", "seconds_per_chunk", "spatial_merge_size")

    vocab_size: Size = 8448
    embedding_size: Size = 3584
    hidden_size: Size = 3584
    intermediate_size: Size = 18944
    num_hidden_layers: Layers = 28
    num_attention_heads: Size = 28
    num_key_value_heads: Size | None = 4
    head_dim: Size | None = 128
    sliding_window: Size | None = 32768

    def architecture(self, prefix: str) -> Architecture:
        a, h, width, root = super().architecture(prefix), self.hidden_size, self.embedding_size, prefix.removesuffix("model")
        return a._replace(
            groups=(
                group("embedding", (table(f"{prefix}.embed_tokens", self.vocab_size, width),)),
                *(g for g in a.groups if g.part == "decoder"),
                # The projection stands beside the head, outside the model that has neither.
                group("head", (
                    *linear(f"{root}thinker_to_talker_proj", h, width, "other", bias=True),
                    *linear(f"{root}codec_head", self.vocab_size, h, "head"),
                )),
            ),
            facts=a.facts._replace(tied_embeddings=False),
        )  # fmt: skip

    def tower(self, prefix: str) -> Pieces:
        text = self.architecture(f"{prefix}.model")
        outside = [t for g in text.groups for t in g.tensors]
        return [group("audio", outside)], [s._replace(part="audio") for s in text.stacks]
