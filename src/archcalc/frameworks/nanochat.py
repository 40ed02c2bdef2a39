"""nanochat's base training: one dial, the depth, in the script that starts it.

Read in karpathy/nanochat (scripts/base_train.py, nanochat/gpt.py, nanochat/muon.py, 2026): bf16 embeddings, fp32 matrices under autocast,
Muon for the matrices and AdamW for the rest, their states and gradients sharded over ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys
from archcalc.loader import Loaded

_INERT = (
    INERT[:-1]
    + r"|run|num_iterations|target_.*|.*_lr|.*_every|core_metric_.*|sample_.*|save_every|model_tag|device_type|nproc_per_node|standalone"
    r"|nnodes)"
)


class Nanochat:
    """nanochat."""

    name = "nanochat"

    def recognizes(self, file: File) -> bool:
        return file.kind == "shell" and any("base_train" in word for word in file.words)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"precision": "amp", "optimizer": "muon", "attention": "flash", "loss": "compiled", "compiled": True}

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        from archcalc.arch import parse
        from archcalc.frameworks.megatron.arguments import from_words

        words = {name.replace("-", "_"): value for name, value in from_words(file.words).items() if name}
        k = Keys(file._replace(data=words), ask.overrides)
        n = world(ask)
        depth = k.int("depth", default=20, most=10_000) or 20
        seq, batch = k.int("max_seq_len", default=2048) or 2048, k.int("device_batch_size", default=32) or 32
        whole = k.int("total_batch_size", default=524_288, least=-1) or 524_288
        vocab = k.int("vocab_size", default=65_536) or 65_536
        config = {"model_type": "nanochat", "depth": depth, "vocab_size": vocab, "max_position_embeddings": seq}
        loaded = Loaded(report.SourceInfo(k.path, "file", "nanochat", None), parse(config))
        fields: dict[str, Any] = {
            "seq": seq,
            "micro_batch": batch,
            "micro_batches": max(1, whole // (seq * batch * n)) if whole > 0 else 1,
            "precision": "amp",
            "optimizer": "muon",
            "attention": "flash",
            # The model is compiled, its loss with it.
            "loss": "compiled",
            "compiled": True,
            "dp": n,
            "zero": 1 if n > 1 else 0,
        }
        return reported(ask, k, "nanochat", _INERT, loaded if ask.source is None else None, fields)


FRAMEWORK = Nanochat()
