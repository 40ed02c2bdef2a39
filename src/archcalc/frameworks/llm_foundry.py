"""llm-foundry's YAML.

Read in llm-foundry 0.22: command_utils/train.py, models/mpt/configuration_mpt.py, models/mpt/modeling_mpt.py, optim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.errors import ConfigError
from archcalc.frameworks import flash
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, Keys
from archcalc.loader import Loaded

_INERT = (
    INERT[:-1]
    + r"|global_seed|train_loader.*|eval_loader.*|icl_tasks.*|scheduler.*|algorithms.*|callbacks.*|loggers.*|max_duration|eval_first"
    r"|global_train_batch_size|device_eval_.*|progress_bar|log_to_console|console_.*|variables.*|optimizer\..*|python_log_level|autoresume|data_local|dist_timeout|expandable_segments"
    r"|data_remote|model\.(?:init_device|initializer.*|init_config.*|no_bias|use_cache|attn_config\..*|norm_type|ffn_config.*)|fsdp_config\..*|save_.*"
    r"|load_path|tp_config.*|eval_subset_.*|model\.pretrained|model\.use_auth_token)"
)


class LlmFoundry:
    """MosaicML's llm-foundry."""

    name = "llm-foundry"

    def recognizes(self, file: File) -> bool:
        return "device_train_microbatch_size" in file.data or ("max_duration" in file.data and "model" in file.data)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"attention": "flash", "loss": "compiled", "precision": "mixed" if given.get("fsdp", 1) > 1 else "amp"}

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        k.refuse(("model.peft_config.peft_type", "tp_config.tensor_parallel_degree", "model.ffn_config.ffn_type"))
        n = world(ask)
        micro = k.int("device_train_microbatch_size", default=None)
        if k.values.get("device_train_microbatch_size") == "auto" and "micro_batch" not in ask.changes:
            k.notes.append(
                "device_train_microbatch_size: auto: counted for 1, where Composer finds the most that fits (--micro-batch)"
            )
        whole = k.int("global_train_batch_size", default=None)
        strategy = k.text("fsdp_config.sharding_strategy", default="FULL_SHARD" if k.has("fsdp_config") else "NO_SHARD")
        mixed = k.text("fsdp_config.mixed_precision", default="PURE")
        precision = k.text("precision", default="amp_bf16")
        sharded = strategy != "NO_SHARD" and n > 1
        optimizer = k.text("optimizer.name", default="decoupled_adamw")
        each = max(1, whole // (n * micro)) if whole and micro else 1
        # A fused cross-entropy is the default where flash attention's package is there (models/mpt/modeling_mpt.py
        # `ComposerMPTCausalLM`).
        loss = "compiled" if k.text("model.loss_fn", default="fused_crossentropy") == "fused_crossentropy" else "full"
        implementation = k.text("model.attn_config.attn_impl", default="flash")
        flash.refuse(ask.gpus, f"{k.path}: model.attn_config.attn_impl", implementation, "attn_impl: torch")
        fields: dict[str, Any] = {
            "seq": k.int("max_seq_len", "model.max_seq_len"),
            "micro_batch": micro or 1,
            "micro_batches": each,
            "precision": "fp32" if precision == "fp32" else "mixed" if sharded and mixed in ("PURE", "DEFAULT") else "amp",
            "optimizer": {"decoupled_adamw": "adamw", "adamw": "adamw", "decoupled_lionw": "lion",
            "decoupled_lionw_8b": "lion-8bit"}.get(optimizer, "adamw"),
            "attention": "eager" if implementation == "torch" else "flash",
            "recompute": "full" if k.flag("fsdp_config.activation_checkpointing") else "none",
            "offload_inputs": k.flag("fsdp_config.activation_cpu_offload") or None,
            "loss": loss,
            "fsdp": n if sharded else 1,
            "dp": 1 if sharded else n,
            "reshard": False if strategy == "SHARD_GRAD_OP" else None,
        }  # fmt: skip
        name = k.text("model.name", default="mpt_causal_lm")
        model: str | Loaded | None = k.text("model.pretrained_model_name_or_path") or None
        if model is None and name == "mpt_causal_lm":
            model = _mpt(k)
        return reported(ask, k, "llm-foundry", _INERT, model, fields)


FRAMEWORK = LlmFoundry()


def _mpt(k: Keys) -> Loaded | None:
    from archcalc.arch import parse

    names = {"d_model": 2048, "n_heads": 16, "n_layers": 24, "expansion_ratio": 4, "max_seq_len": 2048, "vocab_size": 50368}
    if not k.has("model.d_model"):
        return None
    config: dict[str, Any] = {name: k.int(f"model.{name}", default=default) for name, default in names.items()}
    if config["d_model"] % config["n_heads"]:
        raise ConfigError(
            f"{k.path}: model.n_heads {config['n_heads']} does not divide model.d_model {config['d_model']}", key="model.n_heads"
        )
    return Loaded(report.SourceInfo(k.path, "file", "llm-foundry", None), parse({"model_type": "mpt", **config}))
