"""ViT.

Source: transformers 5.24, models/vit/modeling_vit.py (`ViTModel`, `ViTForImageClassification`, `ViTForMaskedImageModeling`) and
configuration_vit.py (defaults); Dosovitskiy et al. 2020, arXiv:2010.11929.
"""

from collections.abc import Iterable, Iterator

from archcalc.arch._composite import Pieces, Sides
from archcalc.arch._schema import Count, Layers, Size
from archcalc.arch._vit import PooledSchema, ViTSchema, classifier
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.norm import layer_norm
from archcalc.model import Group, Tensor


class Schema(PooledSchema):
    root = "vit"

    head_dim: Size | None = None

    def attention(self) -> GroupedQueryAttention:
        h, n = self.hidden_size, self.num_attention_heads
        return GroupedQueryAttention(h, n, n, self.head_dim or h // n, self.qkv_bias, True)


class Deit(PooledSchema):
    """DeiT: ViT with a token for distillation, and a class with a head for each of the two.
    Source: transformers 5.24, models/deit/modeling_deit.py (`DeiTModel`, `DeiTForImageClassificationWithTeacher`) and
    configuration_deit.py (defaults); Touvron et al. 2020, arXiv:2012.12877."""

    root = "deit"
    extra_tokens = 2

    def tokens(self, named: str) -> Iterator[Tensor]:
        yield from super().tokens(named)
        yield Tensor("embeddings.distillation_token", (1, 1, self.hidden_size), "embedding")

    def head_of(self, name: str) -> Iterable[Tensor] | None:
        if name.endswith("WithTeacher"):
            heads = ("cls_classifier", "distillation_classifier")
            return (t for head in heads for t in classifier(self, self.hidden_size, head))
        return super().head_of(name)


class VitMsn(ViTSchema):
    """ViT trained by masked Siamese networks: ViT without a pooler.
    Source: transformers 5.24, models/vit_msn/modeling_vit_msn.py (`ViTMSNModel`, `ViTMSNForImageClassification`) and
    configuration_vit_msn.py (defaults)."""

    root = "vit"


class Ijepa(ViTSchema):
    """I-JEPA: ViT without a token for the class.
    Source: transformers 5.24, models/ijepa/modeling_ijepa.py (`IJepaModel`, `IJepaForImageClassification`) and
    configuration_ijepa.py (defaults); Assran et al. 2023, arXiv:2301.08243."""

    root = "ijepa"
    extra_tokens = 0

    def tokens(self, named: str) -> Iterator[Tensor]:
        return iter(())


class Pixio(ViTSchema):
    """Pixio: ViT with several tokens for the class.
    Source: transformers 5.24, models/pixio/modeling_pixio.py (`PixioModel`, `PixioBackbone`) and configuration_pixio.py (defaults)."""

    root = "pixio"

    hidden_size: Size = 1280
    num_hidden_layers: Layers = 32
    num_attention_heads: Size = 16
    image_size: Sides = 256
    mlp_ratio: Size = 4
    n_cls_tokens: Count = 8

    @property
    def ffn_size(self) -> int:
        """The width inside an FFN."""
        return self.hidden_size * self.mlp_ratio

    def rows(self) -> int:
        return super().rows() - 1 + self.n_cls_tokens

    def tokens(self, named: str) -> Iterator[Tensor]:
        yield Tensor("embeddings.cls_token", (1, self.n_cls_tokens, self.hidden_size), "embedding")

    def bare(self, named: str) -> bool:
        return not named.endswith("Backbone")

    def body(self, prefix: str, named: str) -> Pieces:
        groups, stacks = super().body(prefix, named)
        if not self.bare(named):  # it normalizes what each stage gives, beside the model's own last norm
            groups.append(Group("vision", tuple(layer_norm("layernorm", self.hidden_size))))
        return groups, stacks
