"""DFlash 2: convolutions around attention and FFN whose kernels each token shifts, and a table that chooses among candidates.

Source: vLLM 0.33, models/qwen3_dflash2.py (`DFlashGroupedConv`, `CandidateSelector`); SGLang 0.5.23, srt/models/dflash.py.
"""

from collections.abc import Iterator

from archcalc.arch import dflash
from archcalc.arch._schema import divided
from archcalc.blocks._tensor import linear, prefixed
from archcalc.model import Shard, Tensor


class Schema(dflash.Schema):
    inert_keys = (*dflash.Schema.inert_keys, "target_model_type")

    def beside(self) -> Iterator[Tensor]:
        h, taps, size = self.hidden_size, self.option("conv_kernel_size"), self.option("conv_group_size")
        groups = divided(h, size or h, "hidden_size", "dflash_config.conv_group_size")
        for name in ("attention_conv", "mlp_conv") if taps else ():
            yield Tensor(f"{name}.base_kernel", (2, taps, h), "other")
            yield from linear(f"{name}.kernel_projection", 2 * taps * groups, h, "other")

    def heads(self) -> Iterator[Tensor]:
        rank, vocab = self.option("selector_rank"), self.vocab_size
        tables = (Tensor(f"{name}_codebook", (vocab, rank), "head", Shard(0, vocab)) for name in ("predecessor", "successor"))
        yield from prefixed("candidate_selector", (*tables, *linear("hidden_projection", rank, self.hidden_size, "head")))
