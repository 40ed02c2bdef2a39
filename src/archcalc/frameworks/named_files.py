"""Files that a recipe names and that decide memory: read where they are, known where the framework ships them, refused otherwise.

Read in LLaMA-Factory (commit ff6d4d1, examples/deepspeed), axolotl (commit 067b021, deepspeed_configs), TRL 1.16 (accelerate_configs,
cli/accelerate_config.py), transformers 5.24 (training_args.py `_process_fsdp_args`, integrations/deepspeed.py) and accelerate 1.15
(utils/dataclasses.py `DeepSpeedPlugin`, `FullyShardedDataParallelPlugin`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from archcalc.analysis.training.adapters import PARAMETER
from archcalc.errors import ArchcalcError, ConfigError, UnsupportedError, UsageError
from archcalc.frameworks import deepspeed, files
from archcalc.frameworks.keys import Keys
from archcalc.records import NamedTuple


class Shipped(NamedTuple):
    """Files that a framework comes with: where they are in its repository, and what each holds that decides memory."""

    where: str
    files: Mapping[str, Mapping[str, Any]]


def _ds(stage: int, *, states: bool = False, params: bool = False, overlap: bool = False, **more: Any) -> dict[str, Any]:
    """What these files of DeepSpeed share: all that the Trainer knows is `"auto"`."""
    device = {"device": "cpu"}
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": overlap}
    zero |= {"reduce_bucket_size": "auto"} if stage == 3 else {}
    zero |= {"offload_optimizer": device} if states else {}
    zero |= {"offload_param": device} if params else {}
    zero |= more
    return {
        "bf16": {"enabled": "auto"}, "train_micro_batch_size_per_gpu": "auto", "gradient_accumulation_steps": "auto",
        "zero_optimization": zero,
    }  # fmt: skip


LLAMA_FACTORY = Shipped(
    "LLaMA-Factory's examples/deepspeed (commit ff6d4d1)",
    {
        "ds_z0_config.json": _ds(0),
        "ds_z2_config.json": _ds(2),
        "ds_z2_offload_config.json": _ds(2, states=True),
        "ds_z2_autotp_config.json": {**_ds(2), "tensor_parallel": {"autotp_size": 2}},
        "ds_z3_config.json": _ds(3),
        "ds_z3_offload_config.json": _ds(3, states=True, params=True),
        "ds_z3_fp8_config.json": _ds(3, states=True, reduce_bucket_size=12_845_056),
    },
)
AXOLOTL = Shipped(
    "axolotl's deepspeed_configs (commit 067b021)",
    {
        "zero1.json": _ds(1, overlap=True),
        "zero1_torch_compile.json": _ds(1, overlap=True),
        "zero2.json": _ds(2, states=True, overlap=True),
        "zero2_torch_compile.json": _ds(2, states=True, overlap=True),
        "zero3.json": _ds(3, overlap=True),
        "zero3_bf16.json": _ds(3, overlap=True),
        "zero3_bf16_cpuoffload_all.json": _ds(3, states=True, params=True, overlap=True),
        "zero3_bf16_cpuoffload_params.json": _ds(3, params=True, overlap=True),
    },
)
TRL = Shipped(
    "TRL's accelerate_configs (release 1.16)",
    {
        "single_gpu": {"distributed_type": "NO"},
        "multi_gpu": {"distributed_type": "MULTI_GPU"},
        **{f"zero{n}": {"distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": n}} for n in (1, 2, 3)},
        "fsdp1": {
            "distributed_type": "FSDP",
            "fsdp_config": {"fsdp_version": 1, "fsdp_offload_params": False, "fsdp_reshard_after_forward": "FULL_SHARD"},
        },
        "fsdp2": {
            "distributed_type": "FSDP",
            "fsdp_config": {"fsdp_version": 2, "fsdp_offload_params": False, "fsdp_reshard_after_forward": True},
        },
    },
)
# Its repository has the same under other names (examples/accelerate_configs).
TRL = TRL._replace(
    files={
        **TRL.files,
        **{f"{name}.yaml": held for name, held in TRL.files.items() if not name.startswith("zero")},
        **{f"deepspeed_{name}.yaml": held for name, held in TRL.files.items() if name.startswith("zero")},
    }
)
NOTHING = Shipped("", {})

_FSDP_INERT = (
    r"(?:fsdp_)?(?:auto_wrap_policy|transformer_layer_cls_to_wrap|min_num_params|backward_prefetch|forward_prefetch|use_orig_params"
    r"|sync_module_states|cpu_ram_efficient_loading|(?:final_)?state_dict_type|limit_all_gathers|xla.*|version|wrap_policy)"
)
ACCELERATE_INERT = (
    r"compute_environment|debug|downcast_bf16|machine_rank|main_.*|mixed_precision|num_machines|num_processes|rdzv_.*|same_network|tpu_.*"
    r"|use_cpu|gpu_ids|enable_cpu_affinity|dynamo_config.*|deepspeed_config\.(?:deepspeed_(?:multinode_launcher|hostfile)|gradient_.*|zero3_.*"
    rf"|.*nvme_path)|(?:fsdp_config\.)?{_FSDP_INERT}"
)
_OFF = ("", "false", "no", "none")


def _read(k: Keys, key: str, name: str, shipped: Shipped, inert: str) -> Keys:
    """The keys of the file `name`, which `key` of the recipe names: beside the recipe, or from the working directory. Raises
    `UsageError` for one that is neither here nor shipped."""
    path = os.path.expanduser(name)
    base = os.path.basename(path)
    there = (os.path.join(os.path.dirname(k.path), path), path)
    found = next(
        (place for place in there if os.path.lexists(place) and not (base in shipped.files and os.path.isdir(place))), None
    )
    if found is not None:
        k.notes.append(f"{key} {name} is read: {found}")
        try:
            data = files.read(found).data
        except ArchcalcError as error:
            raise type(error)(
                f"{k.path}: {key}: {error.message}", f"correct it, or --set {key}=null to see the run without it"
            ) from None
        return k.within(key, found, data, inert)
    held = shipped.files.get(base)
    if held is None:
        known = f"; {', '.join(shipped.files)} are known as {shipped.where} has them" if shipped.files else ""
        raise UsageError(
            f"{k.path}: {key} names {name}, which is not here, and memory depends on what it holds",
            f"put it beside {os.path.basename(k.path)}, or --set {key}=null to see the run without it{known}",
        )
    k.notes.append(
        f"{key} {name} is not here: taken as that of {shipped.where}; put the file beside {os.path.basename(k.path)} to have it read"
    )
    return k.within(key, name, held, inert)


def _named(k: Keys, key: str) -> str:
    """The name of a file that a key holds, or nothing where it is a table, or off."""
    value = k.values.get(key)
    if value is None or isinstance(value, bool) or str(value).lower() in _OFF:
        return ""
    return k.text(key)


def zero_of(k: Keys, key: str, shipped: Shipped, *, half: bool, full: bool) -> dict[str, Any] | None:
    """Who shares states by DeepSpeed's keys, which are those of a file that `key` names, or of the table that it is; None where it is
    neither. `"auto"` is what the recipe says itself."""
    if name := _named(k, key):
        inner = _read(k, key, name, shipped, deepspeed.INERT_KEYS)
    elif any(one.startswith(f"{key}.") for one in k.values):
        inner = k.within(key, f"{k.path}: {key}", {}, deepspeed.INERT_KEYS)
    else:
        return None
    for own, others in (
        ("train_micro_batch_size_per_gpu", ("per_device_train_batch_size", "micro_batch_size")),
        ("gradient_accumulation_steps", ("gradient_accumulation_steps",)),
    ):
        said, asked = inner.int(own, most=1 << 31), next((k.int(one) for one in others if k.has(one)), None)
        if said is not None and asked is not None and said != asked:
            # integrations/deepspeed.py `trainer_config_process`.
            raise ConfigError(
                f"{inner.path}: {own} is {said}, and {k.path} says {asked}: the Trainer refuses to start",
                'write "auto" there',
                key=own,
            )
    inner.flag("bf16.enabled", "bfloat16.enabled")
    inner.refuse(("bf16.bf16_master_weights_and_grads",))
    found = {**deepspeed.zero(inner, half=half), **_master(inner, half=half, full=full)}
    if inner.has("optimizer.type"):
        # Its optimizer is the one that runs (integrations/deepspeed.py `deepspeed_optim_sched`).
        found["optimizer"] = inner.choice("optimizer.type", deepspeed.OPTIMIZERS, "AdamW")
    return found


def _master(inner: Keys, *, half: bool, full: bool) -> dict[str, Any]:
    """ZeRO trains half-precision weights beside an fp32 copy of its own (DeepSpeed 0.19, runtime/zero/stage_1_and_2.py
    `single_partition_of_fp32_groups`, stage3.py `fp32_partitioned_groups_flat`), whatever type they are loaded in."""
    return {"precision": "mixed"} if half and full and inner.int("zero_optimization.stage", least=0) else {}


def split_of(k: Keys, n: int, shipped: Shipped, *, half: bool, full: bool, mixed: bool) -> dict[str, Any]:
    """Who shares weights and states of a Trainer's run over `n` GPUs: by DeepSpeed's configuration, FSDP's, accelerate's, or none.
    `half` where they compute in half precision, `full` where they train all weights in their own type, `mixed` where accelerate's mixed
    precision is on."""
    for key in ("accelerate_config", "config_file"):
        if name := _named(k, key):
            # trl/cli/accelerate_config.py: a profile's name, or a path.
            return _split(_read(k, key, name, TRL, ACCELERATE_INERT), n, NOTHING, half=half, full=full, mixed=mixed)
    return _split(k, n, shipped, half=half, full=full, mixed=mixed)


def _split(k: Keys, n: int, shipped: Shipped, *, half: bool, full: bool, mixed: bool) -> dict[str, Any]:
    kind = k.text("distributed_type").upper()
    if kind not in ("", "NO", "MULTI_GPU", "FSDP", "DEEPSPEED"):
        raise UnsupportedError(f"{k.path}: distributed_type {kind} is not modelled", "MULTI_GPU, FSDP and DEEPSPEED are")
    # accelerate's launcher hands its own on where the arguments name none (transformers 5.24, training_args.py `__post_init__`).
    mixed = mixed or k.text("mixed_precision").lower() in ("bf16", "fp16")
    sharded = _fsdp(k, n, kind, fp32=mixed and full)
    if sharded is not None:
        return sharded
    for key, ships in (
        ("deepspeed", shipped), ("deepspeed_config.deepspeed_config_file", NOTHING), ("deepspeed_config_file", NOTHING),
        *([("deepspeed_config", NOTHING)] if _named(k, "deepspeed_config") else []),
    ):  # fmt: skip
        found = zero_of(k, key, ships, half=half, full=full)
        if found is not None:
            return {"dp": n, **found}
    return {"dp": n, **_accelerate(k, kind, half=half, full=full)}


def _accelerate(k: Keys, kind: str, *, half: bool, full: bool) -> dict[str, Any]:
    """DeepSpeed by accelerate's own keys, which are DeepSpeed's of other names."""
    here = kind == "DEEPSPEED" or k.has("deepspeed_config")
    stage = k.int("zero_stage", "deepspeed_config.zero_stage", default=2 if here else None, least=0, most=3)
    if stage is None:
        return {}
    devices = {
        f"offload_{what}": {"device": k.text(f"deepspeed_config.offload_{what}_device", f"offload_{what}_device", default="none")}
        for what in ("optimizer", "param")
    }
    inner = Keys(files.File(k.path, "json", {"zero_optimization": {"stage": stage, **devices}}))
    inner.notes = k.notes
    return {**deepspeed.zero(inner, half=half), **_master(inner, half=half, full=full)}


FP32_SHARDS = {"precision": "mixed"}
"""Trained weights whose shards are in fp32, whatever they were loaded in (accelerate 1.15, accelerator.py `prepare_model`,
utils/fsdp_utils.py `fsdp2_prepare_model`: where mixed precision is on)."""


def _fsdp(k: Keys, n: int, kind: str, *, fp32: bool) -> dict[str, Any] | None:
    """FSDP by `fsdp` and `fsdp_config`, a table or a file of JSON; None where it is off. Its shards are in fp32 where `fp32`."""
    words = " ".join(k.names("fsdp")).lower().replace(",", " ").split()
    on = bool(words) and words[0] not in _OFF
    name = _named(k, "fsdp_config")
    versions = ("fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version")
    if not on and kind != "FSDP" and not any(k.values.get(one) for one in versions):
        if name:
            k.notes.append("fsdp is not set: fsdp_config changes nothing (transformers, training_args.py `_process_fsdp_args`)")
        return None
    k.get("fsdp_version")
    c = _read(k, "fsdp_config", name, NOTHING, _FSDP_INERT) if name else k.within("fsdp_config", k.path, {}, _FSDP_INERT)
    return {"fsdp": n, "dp": 1, "no_sync": no_sync(k), **(FP32_SHARDS if fp32 else {}), **fsdp_of(c, "", words)}


def no_sync(k: Keys) -> bool:
    """Whether the Trainer sums whole gradients on every rank over micro-batches (transformers 5.24, trainer.py
    `_inner_training_loop`)."""
    return not k.flag("accelerator_config.gradient_accumulation_kwargs.sync_each_batch")


def fsdp_of(k: Keys, prefix: str, words: list[str]) -> dict[str, Any]:
    """What FSDP's keys, which begin with `prefix`, and the words of `fsdp` say: what is offloaded, gathered again, made again."""

    def names(*keys: str) -> tuple[str, ...]:
        return tuple(f"{prefix}{before}{key}" for key in keys for before in ("fsdp_", ""))

    strategy = k.text(*names("sharding_strategy"), *names("reshard_after_forward"), default="")
    said = {
        "1": "full_shard",
        "2": "shard_grad_op",
        "3": "no_shard",
        "true": "full_shard",
        "false": "shard_grad_op",
        "": "full_shard",
    }
    strategy = said.get(strategy.lower(), strategy.lower())
    strategy = next((word for word in words if word in ("shard_grad_op", "no_shard") or word.startswith("hybrid")), strategy)
    if strategy not in ("full_shard", "shard_grad_op"):
        raise UnsupportedError(f"{k.path}: FSDP's {strategy} is not modelled in a recipe", "full_shard and shard_grad_op are")
    offload = "offload" in words or k.flag(*names("offload_params", "cpu_offload"))
    again = k.flag(*names("activation_checkpointing"))
    return {
        "offload": "all" if offload else "none",
        **({"reshard": False} if strategy == "shard_grad_op" else {}),
        **({"recompute": "full"} if again else {}),
    }


def adapter_of(k: Keys, key: str) -> dict[str, Any]:
    """Rank and targets of the adapter that training goes on with, by its `adapter_config.json` (PEFT 0.21, `PeftModel.from_pretrained`);
    the recipe's own are not used then."""
    name = k.names(key)[-1:] if k.values.get(key) not in (None, False, "") else ()
    if not name:
        return {}
    inner = _read(k, key, os.path.join(name[0], "adapter_config.json"), NOTHING, _ADAPTER_INERT)
    inner.refuse(("rank_pattern", "layers_to_transform", "trainable_token_indices"))
    kind = inner.text("peft_type", default="LORA")
    rank = inner.int("r")
    targets = inner.values.get("target_modules")
    experts = tuple(f"{PARAMETER}{one}" for one in inner.names("target_parameters"))
    if kind.upper() != "LORA" or rank is None or (isinstance(targets, str) and targets != "all-linear") or not (targets or experts):
        raise UnsupportedError(
            f"{inner.path}: this adapter is not modelled", "one of peft_type LORA with r and a list of target_modules is"
        )
    return {
        "lora": rank,
        "targets": (*inner.names("target_modules"), *experts),
        "saved": inner.names("modules_to_save"),
        "dora": inner.flag("use_dora") or None,
        "adapter_dropout": inner.drops("lora_dropout") or None,
    }


_ADAPTER_INERT = (
    r"alpha_pattern.*|arrow_config.*|auto_mapping.*|base_model_name_or_path|bias|corda_config.*|eva_config.*|exclude_modules|fan_in_fan_out"
    r"|inference_mode|init_lora_weights|lora_alpha|lora_bias|lora_dropout|loftq_config.*|megatron_.*|peft_version|qalora_.*|revision|task_type"
    r"|use_.*|ensure_weight_tying|layer_replication|layers_pattern"
)
