"""axolotl's YAML.

Read in axolotl 0.19: utils/schemas/config.py, model.py, peft.py, training.py, loaders/model.py and integrations.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.analysis.training.method import Asked
from archcalc.analysis.training.pieces import patterns
from archcalc.errors import ConfigError, UnsupportedError, UsageError
from archcalc.frameworks import flash, liger
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, OPTIMIZERS, Keys
from archcalc.frameworks.named_files import AXOLOTL, FP32_SHARDS, adapter_of, fsdp_of, no_sync, zero_of
from archcalc.frameworks.transformers import parameters, rollout_bytes
from archcalc.model import Architecture

# Keys of the tables `trl` and `vllm` that change no memory of the trainer (utils/schemas/trl.py `TRLConfig`, vllm.py `VllmConfig`): what is
# generated and how it is rewarded, and the server. `use_liger_loss` and `sync_ref_model` are not among them.
_TRL = (
    "beta", "max_completion_length", "use_vllm", "vllm_mode", "vllm_server_(?:host|port|timeout)", "vllm_guided_decoding_regex",
    "reward_(?:funcs|weights|num_workers)", "generation_batch_size", "num_generations", "log_completions", "num_completions_to_print",
    "importance_sampling_level", "ref_model_(?:mixup_alpha|sync_steps)", "scale_rewards", "temperature", "top_p", "top_k", "min_p",
    "repetition_penalty", r"generation_kwargs(?:\..*)?", r"chat_template_kwargs(?:\..*)?", "num_iterations",
    "epsilon", "epsilon_high", "loss_type",
    "mask_truncated_completions", "vllm_enable_sleep_mode", "rollout_func", "multi_objective_aggregation", "use_data_producer",
    "async_prefetch", "prefetch_depth", "vllm_sync_interval", "streaming_(?:partial_batch|min_groups)",
    "vllm_importance_sampling_(?:correction|mode|cap)", "off_policy_mask_threshold", "use_bias_correction_kl", "replay_buffer_size",
    "replay_recompute_logps", "reroll_(?:start_fraction|max_groups)", "skip_zero_advantage_batches", "vllm_lora_sync",
)  # fmt: skip
_VLLM = (
    "device", "tensor_parallel_size", "data_parallel_size", "gpu_memory_utilization", "dtype", "max_model_len", "enable_prefix_caching",
    "host", "port", "enable_reasoning", "reasoning_parser", "enforce_eager", "serve_module", "worker_extension_cls",
)  # fmt: skip
_INERT = (
    INERT[:-1] + rf"|trl\.(?:{'|'.join(_TRL)})|vllm\.(?:{'|'.join(_VLLM)})"
    r"|tf32|pad_to_sequence_len|sample_packing_.*|eval_sample_packing|flash_attn_.*|liger_rope"
    r"|liger_layer_norm|gradient_checkpointing_kwargs.*|xformers_attention|use_tensorboard|experimental_.*|tokenizer_.*"
    r"|lora_mlp_kernel|lora_qkv_kernel|lora_o_kernel|bfloat16|float16|tokens\..*|lora_fan_in_fan_out|sequence_parallel.*|micro_batch_size_eval"
    r"|fsdp_config\..*|fsdp|revision_of_model|eot_tokens|roles_to_train|excess_length_strategy|use_kernels|processor_type|skip_prepare_dataset|pretraining_dataset.*|pretrain_.*|streaming.*|num_labels"
    r"|resize_token_embeddings_to_32x|batch_size|ddp_find_unused_parameters|low_cpu_mem_usage|device_map|use_ray|ray_.*|use_otel_metrics|otel_.*"
    r"|use_swanlab|swanlab_.*|rl_beta|kto_.*|center_rewards_coefficient|do_causal_lm_eval|hf_use_auth_token|base_model_ignore_patterns"
    r"|eta_min|full_finetune|use_eaft|eaft_.*|peft_use_rslora|cls_model_config|liger_rms_norm_gated|reinit_weights|gptq)"
)


class Axolotl:
    """axolotl."""

    name = "axolotl"

    def recognizes(self, file: File) -> bool:
        return "base_model" in file.data

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "precision": "pure", "optimizer": "adamw-fused", "attention": "flash", "adapter_autocast": True,
            "quantized_experts": bool(given.get("quant")), "output_freed": True, "gathered_logits": True,
        }  # fmt: skip

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        k.refuse(
            (
                "relora",
                "galore",
                "fp8",
                "cfg_parallel",
                "gptq",
                "tiled_mlp",
                "qat",
                "quantization",
                "layer_offloading",
                "selective_checkpointing",
                "recompute_layer_types",
                "shrink_embeddings",
                "ple_cpu_offload",
                "peft_layers_to_transform",
                "peft_layer_replication",
                "peft_trainable_token_indices",
                "lora_rank_pattern",
                "lisa_n_layers",
                "expert_parallel_size",
                "process_reward_model",
            )
        )
        n = world(ask)
        adapter = k.text("adapter")
        four = k.flag("load_in_4bit") or adapter == "qlora"
        eight = k.flag("load_in_8bit")
        if eight and (adapter != "lora" or four):
            # utils/schemas/validation.py; loaders/model.py `_set_quantization_config`.
            raise ConfigError(
                f"{k.path}: load_in_8bit goes with adapter lora alone, and with no load_in_4bit",
                "load_in_8bit: false",
                key="load_in_8bit",
            )
        unfrozen = k.names("unfrozen_parameters")
        if unfrozen and adapter:
            raise UnsupportedError(
                f"{k.path}: unfrozen_parameters beside adapter {adapter} is not modelled", "take one of them out to see the rest"
            )
        try:
            patterns(unfrozen)
        except re.error as error:
            raise ConfigError(
                f"{k.path}: unfrozen_parameters: {error}", "regular expressions of names", key="unfrozen_parameters"
            ) from None
        plugins = " ".join(k.names("plugins")).lower()
        checkpointing = k.text("activation_checkpointing", "gradient_checkpointing", default="false").lower()
        asked = [k.flag(name) for name in ("cut_cross_entropy", "liger_fused_linear_cross_entropy", "chunked_cross_entropy")]
        fused = "cut_cross_entropy" in plugins or any(asked)
        micro, length = k.int("micro_batch_size", default=1) or 1, k.int("sequence_len", default=512) or 512
        packed = k.flag("sample_packing")
        implementation = "flash_attention_2" if k.flag("flash_attention") else k.text("attn_implementation")
        flash.refuse(ask.gpus, f"{k.path}: {implementation}", implementation, "attn_implementation: sdpa (or sdp_attention: true)")
        attention = "flash" if implementation.startswith("flash") else "sdpa"
        k.flag("sdp_attention")
        if k.flag("eager_attention"):
            attention = "eager"
        linear = k.flag("lora_target_linear")
        experts = parameters(k, "lora_target_parameters")
        targets, rank = k.names("lora_target_modules"), k.int("lora_r", default=8) or 8
        if k.flag("model_quantization_config_kwargs.dequantize"):
            k.get("model_quantization_config")
        tp, cp = (
            k.int("tensor_parallel_size", default=1) or 1,
            k.int("context_parallel_size", "sequence_parallel_degree", default=1) or 1,
        )
        shard = k.int("dp_shard_size") or 0
        replicas = k.int("dp_replicate_size") or 0
        if replicas > 1 and replicas * max(1, shard) * tp * cp != n and ask.gpus is not None:
            raise UsageError(
                f"{k.path}: dp_replicate_size {replicas} x dp_shard_size {max(1, shard)} x tensor_parallel_size {tp} x "
                f"context_parallel_size {cp} makes {replicas * max(1, shard) * tp * cp} ranks, and there are {n} GPUs",
                "name as many with --gpu",
            )
        # Keys without a value are as if they were not there.
        fsdp = bool(k.names("fsdp")) or any(name.startswith("fsdp_config.") for name in k.values) or shard > 1
        left = max(1, n // (tp * cp))
        # The model is loaded in bf16, and trained so (loaders/model.py `_set_quantization_config`, `torch_dtype`); fp32 otherwise.
        fp16 = k.flag("fp16", "float16")
        half = k.text("bf16", "bfloat16", default="auto").lower() in ("true", "auto", "full") or fp16
        # A configuration of FSDP wins over one of DeepSpeed, which axolotl refuses beside it (utils/schemas/validation.py).
        shared = (
            fsdp_of(k, "fsdp_config.", " ".join(k.names("fsdp")).lower().replace(",", " ").split())
            if fsdp
            else zero_of(k, "deepspeed", AXOLOTL, half=half, full=not adapter) or {}
        )
        # Under FSDP2 its own `fsdp2_prepare_model` stands in for accelerate's, and casts nothing to fp32 (monkeypatch/accelerate/fsdp2.py).
        second = k.text("fsdp_version", "fsdp_config.fsdp_version", "fsdp_config.version") == "2"
        if fsdp and half and not adapter and not second and k.text("bf16").lower() != "full":
            shared = {**FP32_SHARDS, **shared}
        fields: dict[str, Any] = {
            # Packed rows are one sequence each of all the micro-batch's tokens (utils/samplers/multipack.py).
            "seq": length * micro if packed and attention == "flash" else length,
            "micro_batch": 1 if packed and attention == "flash" else micro,
            "micro_batches": k.int("gradient_accumulation_steps", default=1),
            "precision": "pure" if half else "fp32",
            # core/builders/base.py: the Trainer's own bf16, and with it autocast, but for `full`.
            "adapter_autocast": (bool(adapter) and half and k.text("bf16").lower() != "full") or None,
            "optimizer": k.choice("optimizer", OPTIMIZERS, "adamw_torch_fused"),
            "attention": attention,
            "recompute": "none" if checkpointing in ("false", "no", "") else "full",
            "offload_inputs": (checkpointing.startswith("offload") or k.text("activation_offloading").lower() not in ("", "false")) or None,
            "loss": "fused" if fused else "full",
            # integrations/liger/plugin.py `pre_model_load`.
            "fused_norms": liger.norms(k.flag("liger_rms_norm") and "liger" in plugins),
            "fused_glu": liger.glu(k.flag("liger_glu_activation", "liger_swiglu") and "liger" in plugins),
            "output_freed": True,
            # transformers 5.24, models/llama/modeling_llama.py `_tp_plan`: `colwise_gather_output`.
            "gathered_logits": True,
            "lora": rank if adapter else None,
            "dora": (k.flag("peft_use_dora") and bool(adapter)) or None,
            "adapter_dropout": (bool(adapter) and k.drops("lora_dropout")) or None,
            "saved": k.names("lora_modules_to_save") if adapter else None,
            "targets": (*(("all-linear",) if linear or not (targets or experts) else targets), *experts) if adapter else None,
            "quant": "int8" if eight else "nf4" if four and adapter else None,
            # loaders/model.py `_set_quantization_config`.
            "double_quant": k.flag("bnb_config_kwargs.bnb_4bit_use_double_quant", default=True) if four and adapter else None,
            # utils/config/__init__.py `normalize_config`; core/builders/base.py `_configure_gradient_checkpointing`.
            "reentrant": k.flag("gradient_checkpointing_kwargs.use_reentrant", default=not k.text("rl")),
            # monkeypatch/models/llama4/modeling.py: Llama 4's experts as linear modules, which bitsandbytes takes.
            "quantized_experts": k.flag("quantize_moe_experts") or k.flag("llama4_linearized_experts") or None,
            "unfrozen": unfrozen or None,
            "frozen": _towers if k.flag("freeze_mm_modules") else None,
            "tp": tp,
            "cp": cp,
            "fsdp": (shard or left) if fsdp else 1,
            "dp": max(1, left // (shard or left)) if fsdp else left,
            "no_sync": (no_sync(k) and fsdp) or None,
            **shared,
            **(adapter_of(k, "lora_model_dir") if adapter else {}),
        }  # fmt: skip
        rl = k.choice(
            "rl", {"": "sft", "dpo": "dpo", "ipo": "dpo", "kto": "kto", "grpo": "grpo", "orpo": "orpo", "simpo": "simpo"}, ""
        )
        if k.flag("reward_model"):
            rl = "reward"
        notes = ["packed: a micro-batch is one row of all its tokens"] if packed and attention == "flash" and micro > 1 else []
        # loaders/utils.py `load_model_config`.
        base = k.text("base_model")
        model = k.text("base_model_config") or base or None
        # Odds ratios and SimPO's margin need no reference model (TRL, trainer/orpo_trainer.py, cpo_trainer.py).
        method = Asked("dpo", reference=False) if rl in ("orpo", "simpo") else Asked(rl)  # type: ignore[arg-type]
        if rl == "grpo":
            method = _rollouts(k, ask, lora=bool(adapter))
        elif rl in ("dpo", "kto") and k.flag("precompute_ref_log_probs"):
            method = method._replace(reference=False)
        return reported(ask, k, "axolotl", _INERT, model, fields, notes, method)


def _towers(a: Architecture) -> frozenset[str] | None:
    """Towers of images and sound, and what joins them (utils/freeze.py `freeze_mm_modules`)."""
    return frozenset({s.part for s in a.stacks} & {"vision", "audio"}) or None


def _rollouts(k: Keys, ask: Ask, *, lora: bool) -> Asked:
    """GRPO by the tables `trl` and `vllm` (core/trainers/grpo/__init__.py `GRPOStrategy.set_training_args_kwargs`): a server apart unless
    `vllm_mode` says colocate, TRL's default elsewhere."""
    beta = k.text("trl.beta", "rl_beta", default="0")
    taken = rollout_bytes(
        k, ask, used=k.flag("trl.use_vllm"), mode=k.text("trl.vllm_mode", default="server"),
        asleep=k.flag("trl.vllm_enable_sleep_mode"), share=k.text("vllm.gpu_memory_utilization", default="0.9"),
    )  # fmt: skip
    return Asked("grpo", k.int("trl.max_completion_length"), beta not in ("0", "0.0", "") and not lora, taken)


FRAMEWORK = Axolotl()
