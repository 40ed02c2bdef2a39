"""DeepSpeed's JSON, beside a SOURCE.

Read in DeepSpeed 0.18 (runtime/config.py, runtime/zero/config.py, stage_1_and_2.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys

_OPTIMIZERS = {
    "AdamW": "adamw-fused", "Adam": "adamw-fused", "FusedAdam": "adamw-fused", "DeepSpeedCPUAdam": "adamw", "CPUAdam": "adamw",
    "Lion": "lion",
    "SGD": "sgd", "Muon": "muon",
}  # fmt: skip
_INERT = (
    INERT[:-1]
    + r"|optimizer\.params.*|scheduler.*|steps_per_print|wall_clock_breakdown|train_batch_size|gradient_clipping|.*loss_scale.*"
    r"|.*hysteresis|.*min_loss_scale|zero_optimization\.(?:overlap_comm|contiguous_gradients|round_robin_gradients|reduce_scatter|sub_group_size"
    r"|stage3_.*|allgather_partitions|ignore_unused_parameters|zero_hpz_.*|gather_16bit.*)|.*pin_memory|.*nvme_path|.*buffer_count|zero_allow_.*"
    r"|prescale_gradients|communication_data_type|fp16\..*|activation_checkpointing\..*|aio.*|flops_profiler.*|comms_logger.*|tensorboard.*)"
)


class DeepSpeed:
    """ZeRO by its JSON."""

    name = "deepspeed"

    def recognizes(self, file: File) -> bool:
        return "zero_optimization" in file.data or "train_micro_batch_size_per_gpu" in file.data

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"optimizer": "adamw-fused", "buffers": 4 * 500_000_000 if given.get("zero") else 0}

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        k.refuse(
            ("compression_training", "sparse_attention", "zero_optimization.zero_quantized_weights", "tensor_parallel.autotp_size")
        )
        half = k.flag("bf16.enabled", "bfloat16.enabled") or k.flag("fp16.enabled")
        z = "zero_optimization"
        stage = k.int(f"{z}.stage", default=0, least=0, most=3) or 0
        params = k.text(f"{z}.offload_param.device", default="none")
        states = k.text(f"{z}.offload_optimizer.device", default="cpu" if k.flag(f"{z}.cpu_offload") else "none")
        size = 2 if half else 4
        # One bucket of gradients on their way, two where reduction overlaps (stage_1_and_2.py `ipg_buckets`).
        bucket = k.int(f"{z}.reduce_bucket_size", default=500_000_000, most=1 << 40) or 0
        gathers = k.int(f"{z}.allgather_bucket_size", default=500_000_000, most=1 << 40) or 0
        overlap = k.flag(f"{z}.overlap_comm", default=stage == 3)
        fields: dict[str, Any] = {
            "micro_batch": k.int("train_micro_batch_size_per_gpu", default=1),
            "micro_batches": k.int("gradient_accumulation_steps", default=1),
            "precision": "mixed" if half else "fp32",
            "optimizer": k.choice("optimizer.type", _OPTIMIZERS, "AdamW"),
            "dp": world(ask),
            "zero": stage,
            "offload": "all" if params not in ("none", "") else "optimizer" if states not in ("none", "") else "none",
            "buffers": (bucket * size * (2 if overlap else 1) + (gathers * size if stage in (1, 2) else 0)) if stage else 0,
        }
        return reported(ask, k, "deepspeed", _INERT, None, fields)


FRAMEWORK = DeepSpeed()
