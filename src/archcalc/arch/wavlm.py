"""WavLM: Wav2Vec 2.0's encoder with relative positions, which the first layer's table gives and each layer gates.

Source: transformers 5.24, models/wavlm/modeling_wavlm.py (`WavLMModel`, `WavLMForCTC`) and configuration_wavlm.py (defaults); Chen et al.
2021, arXiv:2110.13900.
"""

from collections.abc import Iterable

from archcalc.arch._schema import Size
from archcalc.arch._wav2vec2 import Wav2Vec2Schema
from archcalc.blocks._tensor import linear
from archcalc.model import Shard, Tensor


class Schema(Wav2Vec2Schema):
    inert_keys = (*Wav2Vec2Schema.inert_keys, "max_bucket_distance")
    root = "wavlm"

    num_buckets: Size = 320

    def extra_tensors(self, index: int) -> Iterable[Tensor]:
        yield from super().extra_tensors(index)
        n, rows = self.num_attention_heads, Shard(1, self.num_attention_heads)
        yield Tensor("attention.gru_rel_pos_const", (1, n, 1, 1), "attention", rows)
        yield from linear("attention.gru_rel_pos_linear", 8, self.hidden_size // n, "attention", bias=True)
        if index == 0:
            yield Tensor("attention.rel_attn_embed.weight", (self.num_buckets, n), "attention", rows)
