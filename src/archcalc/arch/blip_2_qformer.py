"""Q-Former: learned queries that attend to an image's patches in every other layer.

Source: transformers 5.23, models/blip_2/modeling_blip_2.py (`Blip2QFormerModel`) and configuration_blip_2.py (defaults); Li et al. 2023,
arXiv:2301.12597.
"""

from typing import ClassVar

from archcalc.arch._bert_keys import BertKeys
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import group, join
from archcalc.arch._qformer import bert_layer
from archcalc.arch._schema import Flag, Size, TowerSchema
from archcalc.blocks._tensor import prefixed
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Part, Tensor, stack


class Schema(BertKeys, TowerSchema):
    inert_keys = ("position_embedding_type",)
    part: ClassVar[Part] = "vision"

    cross_attention_frequency: Size = 2
    encoder_hidden_size: Size = 1408
    use_qformer_text_input: Flag = False

    def reads_text(self) -> bool:
        """Whether text passes beside the queries, through an FFN of its own."""
        return self.use_qformer_text_input

    def embeddings(self) -> list[Tensor]:
        return list(layer_norm("layernorm", self.hidden_size))

    def tower(self, prefix: str) -> Pieces:
        h, n, width = self.hidden_size, self.num_attention_heads, self.intermediate_size
        crossed, plain = (
            bert_layer(h, n, width, self.hidden_act, source=s, ffn="_query", second_ffn=self.reads_text())._replace(caches=())
            for s in (self.encoder_hidden_size, 0)
        )
        layers = [plain if i % self.cross_attention_frequency else crossed for i in range(self.num_hidden_layers)]
        outside = group(self.part, prefixed(prefix, self.embeddings()))
        return [outside], [stack(join(prefix, "encoder.layer"), self.part, layers)]


class InstructblipQformer(Schema):
    """The Q-Former of InstructBLIP, which reads the instruction too.
    Source: transformers 5.23, models/instructblip/modeling_instructblip.py (`InstructBlipQFormerModel`) and
    configuration_instructblip.py (defaults)."""

    def reads_text(self) -> bool:
        return True

    def embeddings(self) -> list[Tensor]:
        h = self.hidden_size
        words = table("embeddings.word_embeddings", self.vocab_size, h)
        return [
            words,
            table("embeddings.position_embeddings", self.max_position_embeddings, h),
            *layer_norm("embeddings.layernorm", h),
        ]
