"""DeepSpeed's JSON, beside a SOURCE.

Read in DeepSpeed 0.18 (runtime/config.py, runtime/zero/config.py, stage_1_and_2.py) and 0.19 (offload_config.py; stage3.py
`_configure_offloading`: parameters may be offloaded without the optimizer's states).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archcalc import report
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys
from archcalc.model import Architecture

OPTIMIZERS = {
    "AdamW": "adamw-fused", "Adam": "adamw-fused", "FusedAdam": "adamw-fused", "DeepSpeedCPUAdam": "adamw", "CPUAdam": "adamw",
    "Lion": "lion",
    "SGD": "sgd", "Muon": "muon",
}  # fmt: skip
_DEVICES = {"none": "", "": "", "cpu": "cpu", "nvme": "nvme"}
INERT_KEYS = (
    INERT[:-1]
    + r"|optimizer\.params.*|scheduler.*|steps_per_print|wall_clock_breakdown|train_batch_size|gradient_clipping|.*loss_scale.*"
    r"|.*hysteresis|.*min_loss_scale|zero_optimization\.(?:overlap_comm|contiguous_gradients|round_robin_gradients|reduce_scatter|sub_group_size"
    r"|stage3_.*|allgather_partitions|ignore_unused_parameters|gather_16bit.*)|.*pin_memory|.*nvme_path|.*buffer_count|zero_allow_.*"
    r"|prescale_gradients|communication_data_type|fp16\..*|activation_checkpointing\..*|aio.*|flops_profiler.*|comms_logger.*|tensorboard.*|comms_config.*"
    r"|monitor_config.*|csv_monitor.*|wandb.*|zero_force_ds_cpu_optimizer|compile\..*|_comment|zero_optimization\.max_(?:live_parameters|reuse_distance))"
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
        half = k.flag("bf16.enabled", "bfloat16.enabled") or k.flag("fp16.enabled")
        fields: dict[str, Any] = {
            "micro_batch": k.int("train_micro_batch_size_per_gpu", default=1),
            "micro_batches": k.int("gradient_accumulation_steps", default=1),
            "precision": "mixed" if half else "fp32",
            "optimizer": k.choice("optimizer.type", OPTIMIZERS, "AdamW"),
            "dp": world(ask),
            **zero(k, half=half),
        }
        return reported(ask, k, "deepspeed", INERT_KEYS, None, fields)


FRAMEWORK = DeepSpeed()


def zero(k: Keys, *, half: bool) -> dict[str, Any]:
    """The stage of ZeRO, what is offloaded, and the bytes of buckets, of elements of two bytes where `half`.

    `"auto"` is the Trainer's: a bucket of as many gradients as the hidden size squared (transformers 5.24, integrations/deepspeed.py
    `trainer_config_finalize`).
    """
    k.refuse(
        ("compression_training", "sparse_attention", "zero_optimization.zero_quantized_weights", "tensor_parallel.autotp_size")
    )
    z = "zero_optimization"
    stage = k.int(f"{z}.stage", default=0, least=0, most=3) or 0
    params = k.choice(f"{z}.offload_param.device", _DEVICES, "cpu" if k.flag(f"{z}.cpu_offload_param") else "none")
    states = k.choice(f"{z}.offload_optimizer.device", _DEVICES, "cpu" if k.flag(f"{z}.cpu_offload") else "none")
    _whole(k, f"{z}.offload_optimizer.ratio", states)
    for one in ("zero_hpz_partition_size", "mics_shard_size"):
        if (k.int(f"{z}.{one}", default=1, least=-1) or 1) > 1:
            raise UnsupportedError(
                f"{k.path}: {z}.{one}: not modelled, and memory depends on it", "take it out to see the rest of the run"
            )
    if stage < 3 and params:
        k.notes.append(f"{k.path}: offload_param is ZeRO 3's, and changes nothing in stage {stage}")
        params = ""
    if stage == 0:
        states = ""
    size = 2 if half else 4
    # One bucket of gradients on their way, two where reduction overlaps (stage_1_and_2.py `ipg_buckets`).
    name = f"{z}.reduce_bucket_size"
    by_shape = k.values.get(name) == "auto"
    bucket = k.int(name, default=500_000_000, most=1 << 40) or 0
    gathers = k.int(f"{z}.allgather_bucket_size", default=500_000_000, most=1 << 40) or 0
    buckets = size * (2 if k.flag(f"{z}.overlap_comm", default=stage == 3) else 1)
    gathered = gathers * size if stage in (1, 2) else 0
    sized: int | Callable[[Architecture], int] = (
        (lambda a: a.facts.hidden_size**2 * buckets + gathered) if by_shape else bucket * buckets + gathered
    )
    return {
        "zero": stage,
        "offload": "all" if params and states else "params" if params else "optimizer" if states else "none",
        "buffers": sized if stage else 0,
    }


def _whole(k: Keys, name: str, states: str) -> None:
    """Raises `UnsupportedError` where a share of the states stays on the GPU (runtime/zero/offload_config.py, `ratio`)."""
    try:
        share = float(k.text(name, default="1"))
    except ValueError:
        raise ConfigError(f"{k.path}: {name} is {k.values[name]!r}, and a number from 0 to 1 was expected", key=name) from None
    if states and share != 1:
        raise UnsupportedError(f"{k.path}: {name} {share:g} is not modelled", "1 is: all states are offloaded")
