"""DSpark draft models as DeepSpec writes their configs: what DFlash's hold in `dflash_config` stands at the top.

Source: SGLang 0.5.23, srt/models/dspark.py (`build_markov_head`, `GatedMarkovHead`, `RNNHead`, `LingDSparkModel`,
`Lfm2DSparkDraftModel`) and srt/speculative/dspark_components/dspark_config.py; vLLM 0.33, models/qwen3_dspark.py.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import AliasChoices, Field

from archcalc.arch import deepseek_v3, dflash, gemma4_text
from archcalc.arch._decoder import group
from archcalc.arch._dflash import Options
from archcalc.arch._schema import Count, Flag, Size
from archcalc.blocks._tensor import linear
from archcalc.blocks.norm import rms_norm
from archcalc.errors import UnsupportedError
from archcalc.model import Architecture, Shard, Tensor


class Schema(dflash.Schema):
    markov_kinds = ("vanilla", "gated", "rnn")
    inert_keys = (*dflash.Schema.inert_keys, "mask_token_id", "num_anchors", "target_model_type")

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        moved = {key: config[key] for key in Options.model_fields if key in config}
        rest = {key: value for key, value in config.items() if key not in moved}
        held = config.get("dflash_config")
        held = held if isinstance(held, dict) else {}
        return super().newest({**rest, "dflash_config": {**held, **moved, "projector_type": "dspark"}})

    def pairs(self, rank: int) -> Iterator[Tensor]:
        yield from super().pairs(rank)
        kind, h = self.options.markov_head_type, self.hidden_size
        if kind == "gated":
            yield from linear("markov_head.gate_proj", rank, h + rank, "head", bias=True)
        elif kind == "rnn":
            yield from linear("markov_head.joint_proj", 3 * rank, 2 * rank + h, "head", bias=True)


class DsparkSpeculator(Schema):
    """DSpark as the speculators library writes it: the layers in a config of their own.
    Source: llama.cpp 0c1e57098, conversion/qwen.py (`DSparkModel`)."""

    name = "dspark_speculator"
    core_keys = ("transformer_layer_config",)
    inert_keys = (
        *Schema.inert_keys, "speculators_config", "speculators_model_type", "speculators_version", "sample_from_anchor", "draft_vocab_size",
    )  # fmt: skip

    @classmethod
    def newest(cls, config: dict[str, Any]) -> dict[str, Any]:
        held = config.get("transformer_layer_config")
        if not isinstance(held, dict):
            return super().newest(config)
        layer = {key: value for key, value in held.items() if key not in ("model_type", "architectures")}
        mine = {
            key: value for key, value in config.items() if key not in ("transformer_layer_config", "aux_hidden_state_layer_ids")
        }
        listed = config.get("aux_hidden_state_layer_ids")
        return super().newest({**layer, **mine, **({"target_layer_ids": listed} if listed else {})})


def _headless(a: Architecture, name: str, outside: Iterable[Tensor], heads: Iterable[Tensor]) -> Architecture:
    """A text model's layers as a draft: with what joins the target's hidden states, and what corrects its head."""
    kept = tuple(g for g in a.groups if g.part not in ("embedding", "head"))
    notes = (*a.notes, "embedding and head are the target's: not counted")
    groups = (*kept, group("decoder", outside), group("head", heads))
    return a._replace(model_type=name, groups=groups, facts=a.facts._replace(tied_embeddings=False), notes=notes)


def _corrects(s: "Gemma4Dspark | K3Dspark", vocab: int) -> Iterator[Tensor]:
    """A low-rank table of which token follows which, and what says how likely a token is accepted."""
    yield Tensor("markov_head.markov_w1.weight", (vocab, s.markov_rank), "head", Shard(0, vocab))
    yield Tensor("markov_head.markov_w2.weight", (vocab, s.markov_rank), "head", Shard(0, vocab))
    if s.enable_confidence_head:
        paired = s.markov_rank if s.confidence_head_with_markov else 0
        yield from linear("confidence_head.proj", 1, s.hidden_size + paired, "head", bias=True)


class Gemma4Dspark(gemma4_text.Schema):
    """DSpark with Gemma 4's layers.
    Source: vLLM 0.33, models/gemma4_dspark.py (`Gemma4DSparkModel`); llama.cpp 0c1e57098, conversion/gemma.py."""

    name = "gemma4_dspark"
    inert_keys = (
        *gemma4_text.Schema.inert_keys, "block_size", "mask_token_id", "draft_vocab_size", "num_anchors", "markov_head_type",
    )  # fmt: skip

    hidden_size_per_layer_input: Count | None = 0
    target_layer_ids: list[int] = Field(validation_alias=AliasChoices("dspark_target_layer_ids", "target_layer_ids"))
    markov_rank: Size
    enable_confidence_head: Flag = False
    confidence_head_with_markov: Flag = False

    def architecture(self, prefix: str = "") -> Architecture:
        h = self.hidden_size
        outside = (*linear("fc", h, len(self.target_layer_ids) * h, "other"), rms_norm("hidden_norm", h))
        return _headless(super().architecture(prefix), self.name, outside, _corrects(self, self.vocab_size))


class K3Dspark(deepseek_v3.Schema):
    """DSpark with DeepSeek-V3's dense layers, for Kimi K3.
    Source: vLLM 0.33, models/kimi_k3/nvidia/dspark_mla.py (`K3DSparkModel`) and transformers_utils/configs/k3_dspark.py."""

    name = "k3_dspark"
    inert_keys = (
        *deepseek_v3.Schema.inert_keys, "target_layer_ids", "draft_vocab_size", "mask_token_id", "block_size", "logit_scale",
        "dspark_bonus_anchor", "mla_use_nope", "mla_use_output_gate", "mla_use_qk_norm", "markov_head_type", "num_anchors",
    )  # fmt: skip

    target_hidden_size: Size
    num_target_layers: Size
    markov_rank: Size
    enable_confidence_head: Flag = False
    confidence_head_with_markov: Flag = False

    def sparse(self) -> list[bool]:
        return [False] * self.num_hidden_layers

    def architecture(self, prefix: str = "") -> Architecture:
        h = self.hidden_size
        for key in ("mla_use_nope", "mla_use_output_gate", "mla_use_qk_norm", "dspark_bonus_anchor"):
            if (self.model_extra or {}).get(key):
                raise UnsupportedError(f"{key} is set: no engine knows such a draft")
        outside = (
            *linear("context_proj", h, self.target_hidden_size * self.num_target_layers, "other"),
            rms_norm("context_norm", h),
        )
        return _headless(super().architecture(prefix), self.name, outside, _corrects(self, self.vocab_size))
