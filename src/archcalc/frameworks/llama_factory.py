"""LLaMA-Factory's YAML.

Read in LLaMA-Factory 0.9.5: hparams/finetuning_args.py, model_args.py, data_args.py, model/adapter.py,
model/model_utils/checkpointing.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from archcalc import report
from archcalc.analysis.training.method import Asked
from archcalc.engines._version import at_least
from archcalc.errors import ConfigError, UnsupportedError
from archcalc.frameworks import flash, liger
from archcalc.frameworks.common import reported, world
from archcalc.frameworks.files import File
from archcalc.frameworks.framework import Ask
from archcalc.frameworks.keys import INERT, OPTIMIZERS, Keys
from archcalc.frameworks.named_files import LLAMA_FACTORY, adapter_of, split_of
from archcalc.frameworks.transformers import optimizer
from archcalc.model import Architecture

_INERT = (
    INERT[:-1] + r"|stage|template|cutoff_len_eval|max_samples|preprocessing_.*|pref_beta|pref_loss|finetuning_type|ddp_find_.*"
    # Packed rows are of `cutoff_len` (data/processor/supervised.py).
    r"|packing|neat_packing|gradient_checkpointing(?:_kwargs\..*)?|image_max_pixels|image_min_pixels|video_.*|audio_.*|ray_.*|tokenized_path)"
)


class LlamaFactory:
    """LLaMA-Factory."""

    name = "llama-factory"

    def recognizes(self, file: File) -> bool:
        return "finetuning_type" in file.data or "cutoff_len" in file.data or "stage" in file.data

    def defaults(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "precision": "pure" if given.get("lora") or given.get("quant") else "amp",
            "recompute": "full",
            "optimizer": OPTIMIZERS[_optimizer(given.get("version"))],
            "output_freed": True,
            "adapter_autocast": True,
        }

    def report(self, file: File, ask: Ask) -> report.TrainReport:
        k = Keys(file, ask.overrides)
        # `llamafactory-cli` chat, api, webchat, export and eval take files with the same keys (hparams/parser.py).
        if not k.flag("do_train"):
            k.no_training(("infer_backend", "export_dir", "do_predict", "do_eval"))
        k.refuse(
            (
                "use_galore",
                "use_apollo",
                "use_badam",
                "use_llama_pro",
                "shift_attn",
                "mixture_of_depths",
                "use_unsloth",
                "use_adam_mini",
                "use_mca",
                "use_hyper_parallel",
                "use_asft_loss",
                "use_kt",
                "ref_model",
                "upcast_layernorm",
                # Megatron-core's by its adapter (USE_MCA), or Megatron-Bridge's.
                "tensor_model_parallel_size",
                "pipeline_model_parallel_size",
                "virtual_pipeline_model_parallel_size",
                "expert_model_parallel_size",
                "context_parallel_size",
                "use_distributed_optimizer",
                "recompute_granularity",
                "fp8",
            )
        )
        newer = [
            name for name in ("model", "model_class", "peft_config", "dist_config", "kernel_config", "quant_config") if k.has(name)
        ]
        if newer:
            raise UnsupportedError(
                f"{k.path}: {', '.join(newer)}: keys of LLaMA-Factory's v1 format, which is not read",
                "write its keys of before: model_name_or_path, finetuning_type, per_device_train_batch_size",
            )
        kind = k.text("finetuning_type", default="lora")
        if kind not in ("lora", "full"):
            raise UnsupportedError(f"{k.path}: finetuning_type {kind!r} is not modelled", "lora and full are")
        lora = kind == "lora"
        bits = k.int("quantization_bit", default=0, least=0) or 0
        if bits not in (0, 4, 8):
            raise UnsupportedError(f"{k.path}: quantization_bit {bits} is not modelled", "4 and 8 are")
        if bits and not lora:
            # hparams/parser.py `_verify_model_args`.
            raise ConfigError(
                f"{k.path}: quantization_bit: quantized weights cannot be trained", "finetuning_type: lora", key="quantization_bit"
            )
        method = k.text("quantization_method", default="bnb").lower()
        if bits and method not in ("bnb", "bitsandbytes"):
            raise UnsupportedError(f"{k.path}: quantization_method {method!r} is not modelled", "bnb is")
        pure = k.flag("pure_bf16")
        half = k.flag("bf16") or k.flag("fp16") or pure
        split = split_of(k, world(ask), LLAMA_FACTORY, half=half, full=not lora and not pure, mixed=half)
        sharded = split.get("zero") == 3
        targets = k.names("lora_target")
        flash.refuse(ask.gpus, f"{k.path}: flash_attn", k.text("flash_attn", default="auto"), "flash_attn: sdpa")
        fields: dict[str, Any] = {
            "seq": k.int("cutoff_len", default=2048),
            "micro_batch": k.int("per_device_train_batch_size", default=8),
            "micro_batches": k.int("gradient_accumulation_steps", default=1),
            # Trained weights are cast to fp32 unless pure_bf16 or ZeRO 3 (model/adapter.py `init_adapter`:
            # cast_trainable_params_to_fp32).
            "precision": "fp32" if not half else "pure" if lora or pure or sharded else "amp",
            "adapter_size": 2 if pure else None,
            "adapter_autocast": (bool(lora) and half and not pure) or None,
            # train/trainer_utils.py `create_custom_optimizer`.
            "optimizer": "muon" if k.flag("use_muon") else k.choice("optim", OPTIMIZERS, _optimizer(ask.version)),
            "attention": {"fa2": "flash", "fa3": "flash", "disabled": "eager"}.get(k.text("flash_attn", default="auto"), "sdpa"),
            # On unless switched off (model/model_utils/checkpointing.py `prepare_model_for_training`).
            # The Trainer's own key switches it on again.
            "recompute": "none" if k.flag("disable_gradient_checkpointing") and not k.flag("gradient_checkpointing") else "full",
            # model/model_utils/checkpointing.py `get_unsloth_gradient_checkpointing_func`: inputs of layers wait on the CPU.
            "offload_inputs": k.flag("use_unsloth_gc") or None,
            "loss": "fused" if k.flag("enable_liger_kernel") else "full",
            "fused_norms": liger.norms(k.flag("enable_liger_kernel")),
            "fused_glu": liger.glu(k.flag("enable_liger_kernel")),
            "output_freed": True,
            "lora": (k.int("lora_rank", default=8) or 8) if lora else None,
            "targets": (("all-linear",) if targets in ((), ("all",)) else targets) if lora else None,
            "dora": (k.flag("use_dora") and lora) or None,
            "adapter_dropout": (lora and k.drops("lora_dropout")) or None,
            # Copies of modules are trained in the type of other trained weights (model/adapter.py `init_adapter`).
            "saved": k.names("additional_target") if lora else None,
            "saved_size": 4 if half and not pure else None,
            "quant": "nf4" if bits == 4 else "int8" if bits else None,
            "reentrant": k.flag("use_reentrant_gc", default=True),
            "double_quant": k.flag("double_quantization", default=True) if bits == 4 else None,
            # The tower and what joins it are frozen unless told otherwise (hparams/finetuning_args.py `freeze_vision_tower`,
            # model/model_utils/visual.py `get_forbidden_modules`).
            "frozen": _frozen(
                k.flag("freeze_vision_tower", default=True),
                k.flag("freeze_multi_modal_projector", default=True),
                k.flag("freeze_language_model"),
            ),
            **split,
            # Goes on with the last of them, but where a new one is made (model/adapter.py `_setup_lora_tuning`).
            **(adapter_of(k, "adapter_name_or_path") if lora and not k.flag("create_new_adapter") else {}),
        }
        stage = k.choice("stage", {"sft": "sft", "pt": "sft", "dpo": "dpo", "kto": "kto", "rm": "reward", "ppo": "ppo"}, "sft")
        # DPO's reference model is another, unless the loss needs none (train/dpo/workflow.py, pref_loss: orpo, simpo).
        free = k.text("pref_loss") in ("orpo", "simpo")
        # train/rm/workflow.py and train/ppo/workflow.py: `load_model(add_valuehead=True)`. PPO's reward model is an adapter on the
        # same weights, a model of its own or a server's (train/trainer_utils.py `create_reward_model`).
        rewards = 0
        if stage == "ppo":
            k.text("reward_model")
            apart = k.choice("reward_model_type", {"lora": "lora", "full": "full", "api": "api"}, "lora")
            if apart == "lora" and not lora:
                # hparams/finetuning_args.py `__post_init__`.
                raise ConfigError(
                    f"{k.path}: reward_model_type lora: LLaMA-Factory refuses it where all weights are trained", "reward_model_type: full",
                    key="reward_model_type",
                )  # fmt: skip
            rewards = int(apart == "full")
        learned = Asked(stage, reference=False if free else None, headed=stage in ("ppo", "reward"), reward_models=rewards)  # type: ignore[arg-type]
        return reported(ask, k, "llama-factory", _INERT, k.text("model_name_or_path") or None, fields, method=learned)


def _optimizer(version: str | None) -> str:
    """The Trainer's own default, of the newest transformers that a release takes: 4.52.4 up to 0.9.3, 4.57.1 in 0.9.4, 5.6.0 in 0.9.5
    (Requires-Dist)."""
    return optimizer(None if version is None or at_least(version, 0, 9, 4) else "4.52")


def _frozen(tower: bool, projector: bool, language: bool) -> Callable[[Architecture], frozenset[str] | None]:
    """The parts that are not trained, of a model that has them; what joins the tower is a part of it here."""

    def of(a: Architecture) -> frozenset[str] | None:
        parts = {s.part for s in a.stacks} & {"vision", "audio"}
        if not parts:
            return None
        if tower != projector:
            raise UnsupportedError(
                "freeze_vision_tower and freeze_multi_modal_projector differ: what joins the tower is not told from it here",
                "--set freeze_multi_modal_projector=true to see the run without it",
            )
        return frozenset(parts if tower else ()) | (frozenset({"embedding", "decoder", "head"}) if language else frozenset())

    return of


FRAMEWORK = LlamaFactory()
