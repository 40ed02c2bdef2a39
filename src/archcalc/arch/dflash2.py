"""DFlash 2: convolutions around attention and FFN whose kernels each token shifts, and a table that chooses among candidates.

Source: vLLM 0.33, models/qwen3_dflash2.py (`DFlashGroupedConv`, `CandidateSelector`); SGLang 0.5.23, srt/models/dflash.py.
"""

from collections.abc import Iterator
from typing import ClassVar

from archcalc.arch import dflash
from archcalc.arch._dflash import Options
from archcalc.arch._schema import Count, Few, Size, divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.blocks.feedforward import FeedForward
from archcalc.blocks.norm import layer_norm, rms_norm
from archcalc.blocks.vision import multihead
from archcalc.model import Shard, Tensor


class Schema(dflash.Schema):
    inert_keys = (*dflash.Schema.inert_keys, "target_model_type")

    def extra_tensors(self) -> Iterator[Tensor]:
        h, taps, size = self.hidden_size, self.option("conv_kernel_size"), self.option("conv_group_size")
        groups = divided(h, size or h, "hidden_size", "dflash_config.conv_group_size")
        for name in ("attention_conv", "mlp_conv") if taps else ():
            yield Tensor(f"{name}.base_kernel", (2, taps, h), "other")
            yield from linear(f"{name}.kernel_projection", 2 * taps * groups, h, "other")

    def heads(self) -> Iterator[Tensor]:
        rank, vocab = self.option("selector_rank"), self.vocab_size
        tables = (Tensor(f"{name}_codebook", (vocab, rank), "head", Shard(0, vocab)) for name in ("predecessor", "successor"))
        yield from prefixed("candidate_selector", (*tables, *linear("hidden_projection", rank, self.hidden_size, "head")))


class LatticeOptions(Options):
    """What LiLiCorr adds to `dflash_config`."""

    inert_keys = (*Options.inert_keys, "lilicorr_enabled", "lilicorr_logit_scale")

    block_size: Size
    lilicorr_hidden_size: Count
    lilicorr_num_heads: Size
    lilicorr_num_layers: Few
    lilicorr_mlp_ratio: float
    lilicorr_factor_dim: Size
    lilicorr_candidate_topk: Size


class Lilicorr(Schema):
    """LiLiCorr: a draft whose candidates a small transformer weighs against each other over all places of the block.
    Source: vLLM 0.33, models/lilicorr.py (`LiLiCorrHead`); SGLang 0.5.23, srt/models/lilicorr.py."""

    # Of a candidate: its rank, its logit and what follows from them.
    features: ClassVar[int] = 5

    dflash_config: LatticeOptions

    def heads(self) -> Iterator[Tensor]:
        return prefixed("lilicorr", self.lattice())

    def lattice(self) -> Iterator[Tensor]:
        o, width = self.dflash_config, self.hidden_size
        h, count, block = o.lilicorr_hidden_size or width, o.lilicorr_num_heads, o.block_size
        divided(h, count, "dflash_config.lilicorr_hidden_size", "dflash_config.lilicorr_num_heads")
        if h != width:
            yield from linear("token_proj", h, width, "head", bias=True)
        for name in ("pass_hidden_proj", "context_proj"):
            yield from linear(name, h, width, "head", bias=True)
        yield from layer_norm("feature_norm", self.features)
        yield from linear("feature_mlp.up_proj", h, self.features, "head", bias=True)
        yield from linear("feature_mlp.down_proj", h, h, "head", bias=True)
        yield Tensor("slot_embedding", (1, 1, block - 1, 1, h), "head")
        yield Tensor("rank_embedding", (1, 1, 1, o.lilicorr_candidate_topk, h), "head")
        yield Tensor("relative_slot_bias", (count, 2 * block - 1), "head")
        yield Tensor("same_slot_bias", (count,), "head")
        for i in range(o.lilicorr_num_layers):
            yield rms_norm(f"layers.{i}.attn_norm", h)
            yield from multihead(f"layers.{i}.attn", h, count)
            yield rms_norm(f"layers.{i}.mlp_norm", h)
            names = (f"layers.{i}.mlp.up_proj", f"layers.{i}.mlp.down_proj")
            yield from FeedForward(h, int(h * o.lilicorr_mlp_ratio), "silu", names=names).tensors()
        yield rms_norm("output_norm", h)
        yield rms_norm("anchor_norm", h)
        yield from linear("factor_input_proj", h, 3 * h, "head", bias=True)
        for name in ("out_head", "in_head", "anchor_out_head"):
            yield from linear(name, o.lilicorr_factor_dim, h, "head", bias=True)


class Qwen3Xpress(dflash.Schema):
    """XPress: a draft of DFlash's form whose logits a narrow network over the whole block refines.
    Source: vLLM 0.33, models/qwen3_xpress.py (`XPressRefinerHead`, `Qwen3XPressModel`)."""

    inert_keys = (*dflash.Schema.inert_keys, "xpress_topc", "xpress_compile_head")

    draft_vocab_size: Size | None = None
    num_speculative_steps: Size = 15
    xpress_block_size: Size | None = None
    xpress_rank: Size = 256
    xpress_mlp_hidden: Size = 512

    def heads(self) -> Iterator[Tensor]:
        rank, width, vocab, h = self.xpress_rank, self.xpress_mlp_hidden, self.vocab_size, self.hidden_size
        block = self.xpress_block_size or self.num_speculative_steps + 1

        def refiner() -> Iterator[Tensor]:
            yield Tensor("w1.weight", (vocab, rank), "head", Shard(0, vocab))
            yield from linear("down_h", rank, h, "head")
            yield from linear("down_g", rank, h, "head")
            yield from linear("in_proj", rank, 3 * rank, "head")
            yield Tensor("mix_L", (rank, block, block), "head")
            yield from linear("mlp_gate", width, rank, "head")
            yield from linear("mlp_up", width, rank, "head")
            yield from linear("mlp_down", rank, width, "head")
            yield from linear("w2", vocab, rank, "head", shard=Shard(0, vocab))

        return prefixed("xpress_head", refiner())
