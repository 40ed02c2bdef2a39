"""CANINE: BERT over characters, which hash functions embed, shortened by four for the deep layers and lengthened again.

Source: transformers 5.24, models/canine/modeling_canine.py (`CanineModel` and its classes) and configuration_canine.py (defaults); Clark et
al. 2021, arXiv:2103.06874.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._bert_alone import BertAlone
from archcalc.arch._composite import Pieces
from archcalc.arch._decoder import join
from archcalc.arch._schema import Size, divided
from archcalc.arch.layoutlmv3 import bert_layer
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import layer_norm
from archcalc.blocks.vision import table
from archcalc.model import Tensor, stack


class Schema(BertAlone):
    root = "canine"
    inert_keys = (*BertAlone.inert_keys, "local_transformer_stride")

    vocab_size: Size = 1114112
    max_position_embeddings: Size = 16384
    type_vocab_size: Size = 16
    downsampling_rate: Size = 4
    upsampling_kernel_size: Size = 4
    num_hash_functions: Size = 8
    num_hash_buckets: Size = 16384

    def pooled(self, named: str) -> bool:
        return True

    def tables(self) -> Iterator[Tensor]:
        h, n = self.hidden_size, self.num_hash_functions
        for i in range(n):
            yield table(
                f"HashBucketCodepointEmbedder_{i}", self.num_hash_buckets, divided(h, n, "hidden_size", "num_hash_functions")
            )
        yield table("char_position_embeddings", self.num_hash_buckets, h)
        yield table("token_type_embeddings", self.type_vocab_size, h)
        yield from layer_norm("LayerNorm", h)

    def extras(self) -> Iterator[Tensor]:
        h = self.hidden_size
        for name, width, kernel in (
            ("chars_to_molecules", h, self.downsampling_rate),
            ("projection", 2 * h, self.upsampling_kernel_size),
        ):
            yield Tensor(f"{name}.conv.weight", (h, width, kernel), "other")
            yield Tensor(f"{name}.conv.bias", (h,), "other")
            yield from layer_norm(f"{name}.LayerNorm", h)

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        words, other = groups
        words = words._replace(
            tensors=tuple(t._replace(name=t.name.replace("embeddings.", "char_embeddings.", 1)) for t in words.tensors)
        )
        layer = bert_layer(self.hidden_size, self.num_attention_heads, self.intermediate_size, self.hidden_act)
        ends = (stack(join(prefix, f"{end}_char_encoder.layer"), "other", [layer]) for end in ("initial", "final"))
        return [words, other], [*stacks, *ends]

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("ForMultipleChoice"):
            return linear("classifier", 1, self.hidden_size, "head", bias=True)
        return super().head_of(name)
