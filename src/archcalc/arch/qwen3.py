"""Qwen 3, dense: Qwen 2's layer with QK-norm in place of the biases.

Source: transformers 5.23, models/qwen3/modeling_qwen3.py and configuration_qwen3.py (defaults).
"""

from __future__ import annotations

from typing import Any

from archcalc.arch import qwen2
from archcalc.arch._both_ways import IN_BLOCKS
from archcalc.arch._decoder import group
from archcalc.arch._schema import Flag, Layers, Size, Tokens
from archcalc.blocks._tensor import linear
from archcalc.blocks.attention import GroupedQueryAttention
from archcalc.blocks.vision import table
from archcalc.model import Architecture

QK_NORM = {"more": (("QK-norm", "RMSNorm per head"),)}


class Schema(qwen2.Schema):
    head_dim: Size | None = 128
    attention_bias: Flag = False

    def attention(self, window: int | None) -> GroupedQueryAttention:
        return GroupedQueryAttention(
            self.hidden_size, self.num_attention_heads, self.kv_heads, self.head_size,
            self.attention_bias, self.attention_bias, window, qk_norm="head",
        )  # fmt: skip

    def more(self) -> dict[str, Any]:
        return QK_NORM


class Qwen3VlText(Schema):
    """The text model of Qwen3-VL: Qwen 3's.
    Source: transformers 5.23, models/qwen3_vl/modeling_qwen3_vl.py and configuration_qwen3_vl.py (defaults)."""

    max_position_embeddings: Tokens = 128000


class Maincoder(Schema):
    """Maincoder: Qwen 3's layer.
    Source: llama.cpp (llama-cpp-python 0.3.36), conversion/llama.py and maincoder.py, src/models/maincoder.cpp."""

    head_dim: Size | None = None


OWN = ("block_size", "block_length", "mask_token_id", "debug", "fuse_cross_entropy")


class Sdar(Schema):
    """SDAR: Qwen 3's layers, which see both ways inside a block of tokens and fill it over several passes.
    Source: SGLang 0.5, srt/models/sdar.py (`SDARForCausalLM`; keys and values of finished blocks are cached)."""

    inert_keys = (*Schema.inert_keys, *OWN)

    def architecture(self, prefix: str) -> Architecture:
        a = super().architecture(prefix)
        return a._replace(notes=(*a.notes, IN_BLOCKS))


class Qwen3OmniMoeTalkerCodePredictor(Schema):
    """What writes the further codes of a sound in Qwen3-Omni: Qwen 3's layers, with a table and a head for each of them.
    Source: transformers 5.24, models/qwen3_omni_moe/modeling_qwen3_omni_moe.py
    (`Qwen3OmniMoeTalkerCodePredictorModelForConditionalGeneration`) and configuration_qwen3_omni_moe.py (defaults,
    `layer_types`)."""

    vocab_size: Size = 2048
    hidden_size: Size = 1024
    intermediate_size: Size = 3072
    num_hidden_layers: Layers = 5
    num_attention_heads: Size = 16
    num_key_value_heads: Size | None = 8
    sliding_window: Size | None = None
    num_code_groups: Layers = 32

    @property
    def windowed(self) -> bool:
        """The class has no `use_sliding_window`: a window holds wherever it is stated."""
        return True

    def architecture(self, prefix: str) -> Architecture:
        a, h, v, codes = super().architecture(prefix), self.hidden_size, self.vocab_size, range(self.num_code_groups - 1)
        root = prefix.removesuffix("model")
        return a._replace(
            groups=(
                group("embedding", (table(f"{prefix}.codec_embedding.{i}", v, h) for i in codes)),
                *(g for g in a.groups if g.part not in ("embedding", "head")),
                group("head", (t for i in codes for t in linear(f"{root}lm_head.{i}", v, h, "head"))),
            ),
            facts=a.facts._replace(tied_embeddings=False),
        )  # fmt: skip
