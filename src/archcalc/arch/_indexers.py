"""Which layers of a sparse attention score the cached tokens themselves, and which reuse an earlier layer's choice.

Source: transformers 5.23, models/glm_moe_dsa/configuration_glm_moe_dsa.py (`indexer_types`).
"""

from collections.abc import Sequence

from archcalc.arch._mla import LatentSchema
from archcalc.arch._schema import Size
from archcalc.errors import ConfigError, UnsupportedError, json_text


def own_indexers(
    layers: int, kinds: Sequence[str] | None, pattern: str | Sequence[str] | None, step: int = 1, offset: int = 2
) -> list[bool]:
    """`kinds`, or a `pattern` such as "FSSF", or a full layer every `step`-th from an offset on. Lists may go on for MTP layers."""
    key = "indexer_types"
    if kinds is None and pattern is not None:
        names, key = {"F": "full", "S": "shared"}, "index_topk_pattern"
        kinds = [names.get(c, c) for c in pattern] if isinstance(pattern, str) else pattern
    if kinds is None:
        step = max(step, 1)
        return [max(i - offset + 1, 0) % step == 0 for i in range(layers)]
    for kind in kinds:
        if kind not in ("full", "shared"):
            raise UnsupportedError(f"{key} holds {json_text(kind)}: only full and shared are known here")
    if len(kinds) < layers:
        raise ConfigError(
            f"{key} has {len(kinds)} entries for {layers} layers (num_hidden_layers)", f"give one entry per layer in {key}", key
        )
    return [kind == "full" for kind in kinds[:layers]]


class IndexedSchema(LatentSchema):
    """A decoder whose latent attention is sparse; defaults are GLM-5's."""

    indexer_types: list[str] | None = None
    index_topk_pattern: str | list[str] | None = None
    index_topk_freq: int = 1
    index_skip_topk_offset: int = 2
    index_topk: Size = 2048
    index_head_dim: Size = 128
    index_n_heads: Size = 32

    def own_indexers(self) -> list[bool]:
        types, pattern = self.indexer_types, self.index_topk_pattern
        return own_indexers(self.num_hidden_layers, types, pattern, self.index_topk_freq, self.index_skip_topk_offset)
