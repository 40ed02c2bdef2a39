"""torchtitan's TOML.

Read in torchtitan 0.2 and 0.3: config/job_config.py, config/configs.py, distributed/activation_checkpoint.py, components/loss.py,
models/llama3/infra/parallelize.py `apply_fsdp`; torchao 0.14, float8/float8_linear.py `matmul_with_hp_or_float8_args.forward` (saves its
input in the computing type) and fsdp_utils.py (gathers fp8 where that is switched on).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc import report, zoo
from archcalc.engines._version import at_least
from archcalc.errors import UnsupportedError, UsageError
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys

_INERT = (
    r"(?!job\.custom_config_module|experimental\.custom_(?:args_module|import))(?:job|profiling|metrics|checkpoint|comm|experimental|validation|lr_scheduler|fault_tolerance|memory_estimation|debug|training\.dataset.*"
    r"|training\.steps|training\.max_norm|training\.seed|training\.deterministic|training\.gc_.*|optimizer|float8|quantize|compile|parallelism"
    r"|model\.(?:hf_assets_path|tokenizer_path|tokenizer|print_after.*|converters))(?:\..*)?|" + INERT
)
_SCHEDULES = {"1F1B", "Interleaved1F1B", "InterleavedZeroBubble", "GPipe", "LoopedBFS"}
"""Of PyTorch's (2.13, distributed/pipelining/schedules.py) those whose micro-batches in flight are counted."""


class Torchtitan:
    """torchtitan."""

    name = "torchtitan"

    def recognizes(self, file: File) -> bool:
        return file.kind == "toml" and isinstance(file.data.get("training"), dict) and isinstance(file.data.get("model"), dict)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        version = given.get("version")
        # components/loss.py `ChunkedLossWrapper` is what configurations have since they are Python (after 0.2.2).
        loss = "chunked" if version is not None and at_least(version, 0, 3) else "compiled"
        return {
            "attention": "flash", "recompute": "selective", "loss": loss, "head_in_chunks": True, "optimizer": "adamw-fused",
            "ends_apart": True,
        }  # fmt: skip

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        k.refuse(("parallelism.pipeline_parallel_schedule_csv",))
        p = "parallelism"
        if (spread := k.int(f"{p}.expert_tensor_parallel_degree", default=1) or 1) > 1:
            raise UnsupportedError(f"{k.path}: {p}.expert_tensor_parallel_degree {spread} is not modelled", "1 is")
        n = world(ask)
        tp, pp, cp = (k.int(f"{p}.{name}_parallel_degree", default=1) or 1 for name in ("tensor", "pipeline", "context"))
        replicas = k.int(f"{p}.data_parallel_replicate_degree", default=1) or 1
        shard = k.int(f"{p}.data_parallel_shard_degree", default=-1, least=-1) or -1
        if shard < 1:
            if n % (tp * pp * cp * replicas):
                raise UsageError(
                    f"{k.path}: tp {tp} x pp {pp} x cp {cp} x {replicas} replicas does not divide {n} GPUs",
                    "--gpu gives their number",
                )
            shard = n // (tp * pp * cp * replicas)
        mode = k.text("activation_checkpoint.mode", default="selective")
        option = k.text("activation_checkpoint.selective_ac_option", default="op")
        compiled = k.flag("compile.enable", "training.compile") and "loss" in (k.names("compile.components") or ("model", "loss"))
        schedule = k.text(f"{p}.pipeline_parallel_schedule", default="1F1B")
        if pp > 1 and schedule not in _SCHEDULES:
            raise UnsupportedError(
                f"{k.path}: {p}.pipeline_parallel_schedule {schedule!r} is not modelled", f"one of {', '.join(sorted(_SCHEDULES))}"
            )
        local = k.int("training.local_batch_size", "training.batch_size", default=8) or 8
        micro = k.int(f"{p}.pipeline_parallel_microbatch_size", default=1) or 1
        reshard = k.text(f"{p}.fsdp_reshard_after_forward", default="default")
        whole = k.int("training.global_batch_size", default=-1, least=-1) or -1
        steps = max(1, whole // (local * replicas * shard)) if whole > 0 else 1
        converters = k.names("model.converters")
        if other := next((name for name in converters if name.rpartition("quantize.linear.")[2] != "float8"), None):
            raise UnsupportedError(f"{k.path}: model.converters: {other!r} is not modelled", "float8 is")
        gather = "float8.enable_fsdp_float8_all_gather"
        gathered = bool(converters) and k.flag(gather, f"quantize.linear.{gather}")
        notes = ["float8: matrices keep what they read in bf16 (torchao), so activations are bf16's"] if converters else []
        fields: dict[str, Any] = {
            "gathered_fp8": gathered or None,
            "seq": k.int("training.seq_len", default=2048),
            "micro_batch": micro if pp > 1 else local,
            "micro_batches": max(1, local // micro) if pp > 1 else steps,
            "precision": _precision(k, alone=shard * replicas * cp == 1),
            "step_in_backward": k.flag("optimizer.early_step_in_backward") or None,
            "optimizer": {"AdamW": "adamw-fused", "Adam": "adamw-fused", "Muon": "muon"}.get(
                k.text("optimizer.name", default="AdamW"), "adamw"
            ),
            "attention": "flash",
            "recompute": {"none": "none", "full": "full", "selective": "selective"}.get(mode, ""),
            # Up to 0.2.2, distributed/activation_checkpoint.py `_apply_layer_sac`: one block in so many is wrapped, the others are not.
            "one_in": max(1, int(option)) if mode == "selective" and option.isdecimal() else None,
            # components/loss.py `build_cross_entropy_loss`: compiled with the model since 2025.
            "loss": "compiled" if compiled else "full",
            "fsdp": shard,
            "dp": replicas,
            "tp": tp,
            "sequence": tp > 1 or None,
            "pp": pp,
            "interleave": 2 if pp > 1 and schedule in ("Interleaved1F1B", "InterleavedZeroBubble") else 1,
            # Each pass of all micro-batches forward before the first backward (`ScheduleGPipe`, `ScheduleLoopedBFS`).
            "all_forward": (pp > 1 and schedule in ("GPipe", "LoopedBFS")) or None,
            "cp": cp,
            "ep": k.int(f"{p}.expert_parallel_degree", default=1),
            # models/llama3/infra/parallelize.py `apply_fsdp`: embedding, and norm with head, are units.
            "ends_apart": True,
            # models/llama3/infra/parallelize.py `apply_tp`: the head's output is whole where its loss is not parallel.
            "gathered_logits": k.flag(f"{p}.disable_loss_parallel") or None,
            # `apply_fsdp`: `CPUOffloadPolicy`, of weights, gradients and states; DDP has none.
            "offload": "all" if k.flag("training.enable_cpu_offload") and shard * cp > 1 else None,
            "reshard": False if reshard == "never" else None,
        }
        if pp > 1 and schedule == "InterleavedZeroBubble":
            notes.append("InterleavedZeroBubble is counted as Interleaved1F1B, which keeps no less")
        if not fields["recompute"]:
            raise UnsupportedError(f"{k.path}: activation_checkpoint.mode {mode!r} is not modelled", "none, full or selective")
        if fields["one_in"]:
            fields["recompute"] = "full"
        name, flavor = k.text("model.name"), k.text("model.flavor")
        return reported(ask, k, "torchtitan", _INERT, bundled(name, flavor), fields, notes)


def _precision(k: Keys, *, alone: bool) -> str:
    """`training.dtype` is that of weights and states, `mixed_precision_param` that in which FSDP gathers them (config/configs.py
    `TrainingConfig`)."""
    if k.text("training.dtype", default="float32") == "bfloat16":
        return "pure"
    gathered = k.text("training.mixed_precision_param", default="bfloat16")
    return "mixed" if gathered == "bfloat16" and not alone else "fp32"


FRAMEWORK = Torchtitan()


def bundled(name: str, flavor: str) -> str | None:
    """The bundled model of a name and a flavor: llama3 and 8B are llama-3.1-8b, the one that torchtitan's shapes are of."""
    family = {"llama3": "llama31", "llama4": "llama4", "qwen3": "qwen3", "deepseek_v3": "deepseek"}.get(name, name)
    wanted = family + {"671B": "v3", "16B": "v2lite", "17bx16e": "scout", "17bx128e": "maverick"}.get(flavor, flavor)
    key = re.sub(r"[^a-z0-9]", "", wanted.lower())
    return next((one for one in zoo.names() if re.sub(r"[^a-z0-9]", "", one) == key), None)
