"""SqueezeBERT: BERT whose projections are convolutions in groups, each of which sees a part of the width.

Source: transformers 5.24, models/squeezebert/modeling_squeezebert.py (`SqueezeBertForMaskedLM`) and configuration_squeezebert.py
(defaults); Iandola et al. 2020, arXiv:2006.11316.
"""

from collections.abc import Iterator

from archcalc.arch._bert import BertSchema
from archcalc.arch._schema import Size, divided
from archcalc.blocks.norm import layer_norm
from archcalc.errors import ConfigError
from archcalc.model import Layer, Role, Tensor


class Schema(BertSchema):
    keeps_past = False
    reads_encoder = False
    root = "transformer"
    layers_name = "encoder.layers"

    embedding_size: Size = 768
    q_groups: Size = 4
    k_groups: Size = 4
    v_groups: Size = 4
    post_attention_groups: Size = 1
    intermediate_groups: Size = 4
    output_groups: Size = 4

    def convolution(self, name: str, outer: int, inner: int, key: str, role: Role) -> Iterator[Tensor]:
        groups: int = getattr(self, key)
        divided(outer, groups, "hidden_size", key)
        yield Tensor(f"{name}.weight", (outer, divided(inner, groups, "hidden_size", key), 1), role)
        yield Tensor(f"{name}.bias", (outer,), role)

    def projections(self) -> Iterator[Tensor]:
        h, width = self.hidden_size, self.intermediate_size
        for name in ("query", "key", "value"):
            yield from self.convolution(f"attention.{name}", h, h, f"{name[0]}_groups", "attention")
        yield from self.convolution("post_attention.conv1d", h, h, "post_attention_groups", "attention")
        yield from layer_norm("post_attention.layernorm", h)
        yield from self.convolution("intermediate.conv1d", width, h, "intermediate_groups", "mlp")
        yield from self.convolution("output.conv1d", h, width, "output_groups", "mlp")
        yield from layer_norm("output.layernorm", h)

    def layer(self) -> Layer:
        if self.embedding_size != self.hidden_size:
            raise ConfigError(
                "embedding_size is not hidden_size: the type's layers need them equal", "correct one", "embedding_size"
            )
        return super().layer()._replace(tensors=tuple(self.projections()))
