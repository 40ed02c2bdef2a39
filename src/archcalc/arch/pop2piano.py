"""Pop2Piano: T5 from a spectrogram to notes, with a table of composers. Its head is its own, whatever the config says.

Source: transformers 5.24, models/pop2piano/modeling_pop2piano.py (`Pop2PianoForConditionalGeneration`) and configuration_pop2piano.py
(defaults).
"""

from archcalc.arch import t5
from archcalc.arch._decoder import group
from archcalc.arch._schema import Size
from archcalc.blocks.vision import table
from archcalc.model import Architecture


class Schema(t5.Schema):
    vocab_size: Size = 2400
    composer_vocab_size: Size = 21
    feed_forward_proj: str = "gated-gelu"

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        heads = tuple(
            g._replace(tensors=tuple(t._replace(kind="param") for t in g.tensors)) if g.part == "head" else g for g in a.groups
        )
        composers = table("mel_conditioner.embedding", self.composer_vocab_size, self.d_model)._replace(rows_read=1)
        return a._replace(groups=(*heads, group("audio", [composers])), facts=a.facts._replace(tied_embeddings=False))
