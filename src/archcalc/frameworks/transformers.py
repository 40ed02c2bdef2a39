"""transformers' Trainer, TRL and accelerate: YAML or JSON of training arguments.

Read in transformers 5.24 (training_args.py), TRL 1.16 (trainer/base_config.py, sft_config.py, model_config.py, utils.py) and
PEFT 0.21.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from archcalc import report
from archcalc.analysis.training.adapters import PARAMETER
from archcalc.analysis.training.method import Asked
from archcalc.engines._version import at_least
from archcalc.errors import ConfigError
from archcalc.frameworks import flash, liger
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, OPTIMIZERS, Keys
from archcalc.frameworks.launch import METHOD
from archcalc.frameworks.named_files import ACCELERATE_INERT, NOTHING, split_of

ATTENTION = {
    "eager": "eager", "sdpa": "sdpa", "flash_attention_2": "flash", "flash_attention_3": "flash", "flash_attention_4": "flash",
    "kernels-community/flash-attn2": "flash", "kernels-community/flash-attn3": "flash", "flex_attention": "flash",
    "kernels-community/vllm-flash-attn3": "flash",
}  # fmt: skip
_TRL = (
    "max_length",
    "max_seq_length",
    "packing",
    "use_peft",
    "lora_r",
    "max_completion_length",
    "dataset_name",
    "padding_free",
    "beta",
)
# Of scripts that are not TRL's: transformers, examples/pytorch/language-modeling/run_clm.py.
_EXAMPLES = ("block_size", "config_name", "dataset_config_name", "train_file")
# TRL 1.16, trainer/grpo_config.py and rloo_config.py: what no other trainer's configuration has.
_ROLLOUTS = (
    "num_generations", "max_completion_length", "use_vllm", "vllm_mode", "vllm_gpu_memory_utilization", "generation_batch_size",
    "steps_per_generation", "num_iterations", "reward_weights", "reward_funcs", "scale_rewards",
)  # fmt: skip
# `model_max_length` is FastChat's and Alpaca's, `block_size` run_clm.py's, `max_seq_len` DeepSpeed-Chat's.
_LENGTHS = ("max_length", "max_seq_length", "model_max_length", "block_size", "max_seq_len")
_PROMPT = 512
_PAIRS = ("precompute_ref_log_probs", "beta", "loss_type", "ref_model_init_kwargs", "sync_ref_model")


# Packed rows are of the length that is given; PPO's rollouts and their batches are computed without gradients (TRL 0.24,
# trainer/ppo_config.py).
_INERT = (
    f"{INERT[:-1]}|packing|total_episodes|missing_eos_penalty|stop_token|eos_token|num_ppo_epochs|num_mini_batches"
    "|local_rollout_forward_batch_size|kl_coef|temperature)"
)


class Transformers:
    """The Trainer's own arguments."""

    name = "transformers"

    def recognizes(self, file: File) -> bool:
        own = ("per_device_train_batch_size", "model_name_or_path", "gradient_checkpointing", "distributed_type")
        return any(key in file.data for key in own)

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        precision = "pure" if given.get("lora") or given.get("quant") else "amp"
        version = given.get("version")
        # Experts were linear modules before release 5, but where checkpoints hold them fused.
        linear = given.get("quant") and version is not None and not at_least(version, 5, 0)
        more = {"quantized_experts": "apart"} if linear else {}
        if given.get("method") in ("dpo", "kto", "grpo"):
            # TRL 1.16's trainers (trainer/dpo_trainer.py, kto_trainer.py, grpo_trainer.py: `fused_lm_head=True`).
            more["loss"] = "fused"
        return {
            "adapter_autocast": True,
            "precision": precision,
            "optimizer": OPTIMIZERS[optimizer(version)],
            "shifted": shifted(version),
            "gathered_logits": True,
            **more,
        }

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        # LLaMA-Factory's files for its other commands look like the Trainer's.
        k.no_training(("infer_backend", "export_dir"))
        k.refuse(
            (
                "galore_rank",
                "torch_compile_backend",
                "tp_size",
                "optim_target_modules",
                "config_overrides",
                "parallelism_config",
                "fp8",
            )
        )
        trl = (k.has(METHOD) or any(key in k.values for key in _TRL)) and not any(key in k.values for key in _EXAMPLES)
        if k.values.get("deepspeed") is True:
            k.get("deepspeed")  # A flag alone, of DeepSpeed's own scripts.
        fields = arguments(k, ask, trl=trl)
        weights = k.text("model_name_or_path", "model")
        # examples/pytorch/language-modeling/run_clm.py: the shape is another's where that is named.
        model = k.text("config_name") or weights or None
        if trl and (method := preference(k, ask, fields)) is not None:
            ask = ask._replace(method=method)
        inert = _INERT
        if k.has("distributed_type"):
            inert = f"{_INERT}|{ACCELERATE_INERT}"
            if not k.has("per_device_train_batch_size") and "micro_batch" not in ask.changes:
                k.notes.append("accelerate's configuration says who shares a run: the rest is the Trainer's default, or options'")
        return reported(ask, k, "transformers", inert, model, fields)


FRAMEWORK = Transformers()


def shifted(version: str | None) -> str:
    """What the loss of a release shifts by one token.

    transformers 4.39 to 4.45, models/llama/modeling_llama.py `LlamaForCausalLM.forward`: `logits = logits.float()`, then
    `shift_logits = logits[..., :-1, :].contiguous()`; 4.46, loss/loss_utils.py `ForCausalLMLoss`: the same copy, of logits that the
    output does not hold; 4.49: the labels are padded instead.
    """
    if version is None or at_least(version, 4, 49):
        return "labels"
    return "logits" if at_least(version, 4, 46) else "fp32-logits"


def optimizer(version: str | None) -> str:
    """The optimizer of a release that is told none: PyTorch's fused one with PyTorch 2.8 or later from 4.54 on, which came out with it
    (training_args.py `default_optim`; up to 4.53 PyTorch's foreach one)."""
    return "adamw_torch_fused" if version is None or at_least(version, 4, 54) else "adamw_torch"


def parameters(k: Keys, key: str) -> tuple[str, ...]:
    """PEFT's `target_parameters`, as targets of a run."""
    return tuple(f"{PARAMETER}{name}" for name in k.names(key))


def arguments(k: Keys, ask: Ask, *, trl: bool) -> dict[str, Any]:
    """The fields of a run that training arguments decide; TRL's defaults where `trl`."""
    n = world(ask)
    bf16 = k.flag("bf16", default=trl and not k.flag("fp16"))
    # TRL's scripts load in fp32 unless told otherwise (trainer/model_config.py `ModelConfig.dtype`), transformers 5 as published.
    dtype = k.text(
        "dtype", "torch_dtype", "model_init_kwargs.dtype", "model_init_kwargs.torch_dtype", default="float32" if trl else "auto"
    )
    lora = k.flag("use_peft") or k.has("lora_r")
    four, eight = k.flag("load_in_4bit"), k.flag("load_in_8bit")
    if four and eight:
        raise ConfigError(f"{k.path}: load_in_8bit and load_in_4bit exclude each other", "leave one out", key="load_in_8bit")
    if (four or eight) and not lora:
        # trainer_utils.py `validate_quantization_for_training`.
        name = "load_in_8bit" if eight else "load_in_4bit"
        raise ConfigError(
            f"{k.path}: {name}: quantized weights cannot be trained", "use_peft: true trains an adapter beside them", key=name
        )
    # Published weights are half precision, and transformers 5 loads them so; fp32 ones are trained under autocast.
    fp32 = dtype in ("float32", "fp32")
    precision = "pure" if not fp32 or four or eight else "amp" if bf16 or k.flag("fp16") else "fp32"
    if fp32 and (four or eight):
        k.notes.append(
            f"dtype {dtype}: what is not quantized is counted in half precision, and is twice as large (--set dtype=bfloat16)"
        )
    split = split_of(k, n, NOTHING, half=precision != "fp32" or bf16, full=not lora, mixed=bf16 or k.flag("fp16"))
    # sft_trainer.py: adapters beside a quantized model are in bf16, and under ZeRO 3 they are as the model is loaded.
    narrow = trl and lora and (four or eight or (split.get("zero") == 3 and not fp32))
    experts = parameters(k, "lora_target_parameters")
    key = "model_init_kwargs.attn_implementation" if k.has("model_init_kwargs.attn_implementation") else "attn_implementation"
    attention = k.choice(key, ATTENTION, "sdpa")
    flash.refuse(ask.gpus, f"{k.path}: {key}", k.text(key), f"{key}: sdpa")
    fields: dict[str, Any] = {
        "seq": k.int(*_LENGTHS, default=1024 if trl else None),
        "micro_batch": k.int("per_device_train_batch_size", default=8),
        "micro_batches": k.int("gradient_accumulation_steps", default=1),
        "precision": precision,
        "optimizer": k.choice("optim", OPTIMIZERS, optimizer(ask.version)),
        "attention": attention,
        "recompute": "full" if k.flag("activation_checkpointing", "gradient_checkpointing", default=trl) else "none",
        # TRL 1.16 computes log-probabilities with the head in tiles (trainer/utils.py `add_fused_lm_head`).
        "loss": "fused" if k.flag("use_liger_kernel") or trl else "full",
        # integrations/liger.py: all kernels but those that `liger_kernel_config` switches off.
        "fused_norms": liger.norms(k.flag("liger_kernel_config.rms_norm", default=True) and k.flag("use_liger_kernel")),
        "fused_glu": liger.glu(
            k.flag("liger_kernel_config.swiglu", "liger_kernel_config.geglu", default=True) and k.flag("use_liger_kernel")
        ),
        "output_freed": True,
        "shifted": shifted(ask.version),
        "offload_inputs": k.flag("activation_offloading") or None,
        "lora": (k.int("lora_r", default=16) or 16) if lora else None,
        "targets": (*(k.names("lora_target_modules") or (() if experts else ("all-linear",))), *experts) if lora else None,
        "dora": (k.flag("use_dora") and lora) or None,
        # TRL 1.16, trainer/model_config.py; PEFT's own default is none.
        "adapter_dropout": (lora and k.drops("lora_dropout", 0.05 if trl else 0.0)) or None,
        "saved": k.names("lora_modules_to_save") if lora else None,
        "quant": "nf4" if four else "int8" if eight else None,
        # modeling_utils.py `gradient_checkpointing_enable`: not since release 5.
        "reentrant": k.flag(
            "gradient_checkpointing_kwargs.use_reentrant", default=not trl and not at_least(ask.version or "5", 5, 0)
        ),
        "double_quant": k.flag("use_bnb_nested_quant") if four else None,
        "adapter_size": 2 if narrow else None,
        "adapter_autocast": (lora and (bf16 or k.flag("fp16"))) or None,
        # A reference model is of the trained one's type (trainer/grpo_trainer.py, dpo_trainer.py), DeepSpeed's aside.
        "frozen_size": 4 if trl and fp32 and not four and not eight and not split.get("zero") else None,
    }
    return fields | split


def preference(k: Keys, ask: Ask, fields: dict[str, Any]) -> Asked | None:
    """What is learned from, where the file or the command line says so; of rollouts the file says the length and the engine.

    TRL 1.16, trainer/grpo_config.py: completions of 512 tokens, `beta` 0 and vLLM on the same GPUs with 0.3 of the memory by default;
    prompts are of any length there, and up to release 0.27 of `max_prompt_length`.
    """
    given, said = ask.method, k.text(METHOD)
    if given is None and said:
        # Odds ratios and contrasts need no reference model, and read whole logits (TRL 1.16, experimental/orpo, experimental/cpo).
        if said in ("orpo", "cpo") and not k.flag("use_liger_kernel"):
            fields["loss"] = "full"
        given = Asked("dpo", reference=False) if said in ("orpo", "cpo") else Asked(said)  # type: ignore[arg-type]
    name = given.method if given is not None else "grpo" if any(key in k.values for key in _ROLLOUTS) else "sft"
    if name == "sft":
        if given is None and any(k.values.get(key) is not None for key in _PAIRS):
            k.notes.append(
                "the file does not say what it learns from: taken as sft; --method dpo, kto or grpo where it is another's"
            )
        return given
    if name in ("dpo", "kto") and given is not None:
        known = given.reference if given.reference is not None or not k.flag("precompute_ref_log_probs") else False
        return given._replace(reference=known)
    if name == "ppo":
        # The reward model is of any size: counted as the policy's.
        k.get("reward_model_path"), k.get("sft_model_path")
    if name != "grpo":
        return given
    completion = k.int("max_completion_length", default=512) or 512
    prompt = k.int("max_prompt_length")
    if not prompt and "seq" not in ask.changes:
        k.notes.append(
            f"assumed: prompts of {_PROMPT} tokens, the max_prompt_length that TRL had up to 0.27; --seq names the length of both"
        )
    fields["seq"] = (prompt or _PROMPT) + completion
    k.get("num_generations"), k.get("loss_type"), k.get("vllm_tensor_parallel_size")
    beta = k.text("beta", default="0")
    lora = bool(fields.get("lora"))
    taken = rollout_bytes(
        k, ask, used=k.flag("use_vllm"), mode=k.text("vllm_mode", default="colocate"), asleep=k.flag("vllm_enable_sleep_mode"),
        share=k.text("vllm_gpu_memory_utilization", default="0.3"),
    )  # fmt: skip
    own = Asked("grpo", completion, beta not in ("0", "0.0", "") and not lora, taken)
    if given is None:
        return own
    return Asked(
        "grpo",
        given.completion or completion,
        own.reference if given.reference is None else given.reference,
        given.rollout_bytes or taken,
    )


def rollout_bytes(k: Keys, ask: Ask, *, used: bool, mode: str, asleep: bool, share: str) -> int:
    """What vLLM takes of the GPUs that train: TRL's `colocate`, unless it sleeps while they do."""
    if not used or mode != "colocate" or asleep or ask.gpus is None:
        return 0
    try:
        part = float(share)
    except ValueError:
        part = 0.0
    if not 0 < part <= 1:
        raise ConfigError(f"{k.path}: vLLM's share of the memory is {share!r}, and a number up to 1 was expected")
    return round(part * ask.gpus.device.visible_bytes)
