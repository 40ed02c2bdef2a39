"""DSpark with Gemma 4's layers.

Source: vLLM 0.33, models/gemma4_dspark.py (`Gemma4DSparkModel`); llama.cpp 0c1e57098, conversion/gemma.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3, gemma4_text
from archcalc.arch._decoder import group
from archcalc.arch._schema import Count, Flag, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Shard, Tensor


def _headless(a: Architecture, outside: Iterable[Tensor], heads: Iterable[Tensor]) -> Architecture:
    """A text model's layers as a draft: with what joins the target's hidden states, and what corrects its head."""
    kept = tuple(g for g in a.groups if g.part not in ("embedding", "head"))
    notes = (*a.notes, "embedding and head are the target's: not counted")
    groups = (*kept, group("decoder", outside), group("head", heads))
    return a._replace(groups=groups, facts=a.facts._replace(tied_embeddings=False), notes=notes)


def _corrects(s: Schema | K3Dspark, vocab: int) -> Iterator[Tensor]:
    """A low-rank table of which token follows which, and what says how likely a token is accepted."""
    yield Tensor("markov_head.markov_w1.weight", (vocab, s.markov_rank), "head", Shard(0, vocab))
    yield Tensor("markov_head.markov_w2.weight", (vocab, s.markov_rank), "head", Shard(0, vocab))
    if s.enable_confidence_head:
        paired = s.markov_rank if s.confidence_head_with_markov else 0
        yield from linear("confidence_head.proj", 1, s.hidden_size + paired, "head", bias=True)


class Schema(gemma4_text.Schema):
    prefix = ""
    inert_keys = (*gemma4_text.Schema.inert_keys, "block_size", "draft_vocab_size", "num_anchors", "markov_head_type")

    hidden_size_per_layer_input: Count | None = 0
    target_layer_ids: list[int] = Field(validation_alias=AliasChoices("dspark_target_layer_ids", "target_layer_ids"))
    markov_rank: Size
    enable_confidence_head: Flag = False
    confidence_head_with_markov: Flag = False

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        outside = (*linear("fc", h, len(self.target_layer_ids) * h, "other"), rms_norm("hidden_norm", h))
        return _headless(super().architecture(prefix), outside, _corrects(self, self.vocab_size))


class K3Dspark(deepseek_v3.Schema):
    """DSpark with DeepSeek-V3's dense layers, for Kimi K3.
    Source: vLLM 0.33, models/kimi_k3/nvidia/dspark_mla.py (`K3DSparkModel`) and transformers_utils/configs/k3_dspark.py."""

    prefix = ""
    inert_keys = (
        *deepseek_v3.Schema.inert_keys, "target_layer_ids", "draft_vocab_size", "block_size", "dspark_bonus_anchor",
        "mla_use_nope", "mla_use_output_gate", "mla_use_qk_norm", "markov_head_type", "num_anchors",
    )  # fmt: skip

    target_hidden_size: Size
    num_target_layers: Size
    markov_rank: Size
    enable_confidence_head: Flag = False
    confidence_head_with_markov: Flag = False

    def sparse(self) -> list[bool]:
        return [False] * self.num_hidden_layers

    def architecture(self, prefix: str) -> Architecture:
        h = self.hidden_size
        for key in ("mla_use_nope", "mla_use_output_gate", "mla_use_qk_norm", "dspark_bonus_anchor"):
            if (self.model_extra or {}).get(key):
                raise UnsupportedError(f"{key} is set: no engine knows such a draft")
        outside = (
            *linear("context_proj", h, self.target_hidden_size * self.num_target_layers, "other"),
            rms_norm("context_norm", h),
        )
        return _headless(super().architecture(prefix), outside, _corrects(self, self.vocab_size))
